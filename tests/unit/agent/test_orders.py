"""A plain order is read for exactly what it says."""

import pytest

from agent.demo.request import DemoRequest
from agent.orders import Order, read_demo, read_order


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("kill etcd-2", Order("store_kill", {"target": "etcd-2"})),
        ("Please kill the leader.", Order("store_kill", {"target": "leader"})),
        ("kill a store", Order("store_kill", {"target": "random"})),
        ("kill tikv1", Order("store_kill", {"target": "tikv1"})),
        ("pause the leader now", Order("fault_inject", {"kind": "pause", "target": "leader"})),
        ("inject a partition on etcd-1", Order("fault_inject", {"kind": "partition", "target": "etcd-1"})),
        ("inject network_delay", Order("fault_inject", {"kind": "network_delay", "target": "random"})),
        ("kill etcd\u20112\uff01", Order("store_kill", {"target": "etcd-2"})),
        ("kill etcd\u20132\u3002", Order("store_kill", {"target": "etcd-2"})),
        ("restart etcd-1", Order("store_restart", {"node": "etcd-1"})),
        ("restart it", Order("store_restart", {"node": "etcd-3"})),
        ("bring etcd-2 back", Order("store_restart", {"node": "etcd-2"})),
        ("undo everything", Order("fault_heal")),
        ("heal fault 3", Order("fault_heal", {"fault": 3})),
        ("start the load with workload b", Order("load_start", {"workload": "B"})),
        ("stop the load", Order("load_stop")),
        ("start the cluster", Order("cluster_start")),
        ("stop the cluster", Order("cluster_stop")),
    ],
)
def test_an_order(text: str, order: Order) -> None:
    assert read_order(text, "etcd-3") == order


def test_it_means_nothing_where_nothing_was_broken() -> None:
    assert read_order("restart it") is None


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("run the chaos demo", DemoRequest()),
        ("Please run the chaos demo!", DemoRequest()),
        ("can you run the demo?", DemoRequest()),
        ("run the demo and tell me what you see", DemoRequest()),
        ("run the chaos demo with fault pause on the leader", DemoRequest("pause", "leader")),
        ("run the chaos demo on tikv1", DemoRequest(None, "tikv1")),
        ("run the demo, fault: partition, target follower", DemoRequest("partition", "follower")),
        ("run the demo with workload b at 500 operations/s", DemoRequest(None, None, 30.0, "B", 500.0)),
        ("run the demo; wait up to 12 s for detection", DemoRequest(timeout_s=12.0)),
    ],
)
def test_an_order_for_the_demo_and_its_particulars(text: str, request_: DemoRequest) -> None:
    assert read_demo(text) == request_
