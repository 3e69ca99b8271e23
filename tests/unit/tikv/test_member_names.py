"""Whoever runs the PDs names them; a person is shown the node's name."""

import pytest

from subjects.tikv.members import Member, named
from subjects.tikv.pd import Group, PdMember


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("basic-pd-0", "basic-pd-0.basic-pd-peer.db.svc"),
        ("basic-pd-0.basic-pd-peer.db.svc.cluster.local", "basic-pd-0.basic-pd-peer.db.svc.cluster.local"),
        ("pd-x4f2a", "basic-pd-0.basic-pd-peer.db"),
    ],
    ids=["TiDB Operator v1", "v1 with a clusterDomain", "v2"],
)
def test_a_pd_and_its_lead_are_those_of_the_pod_that_its_address_begins_with(name: str, host: str) -> None:
    group = Group("7", (PdMember(name, "1", (f"http://{host}:2379",), None),), name)

    ours = named(group, [Member("basic-pd-0", "pd", "http://10.0.0.7:2379")])

    assert ([each.name for each in ours.members], ours.leader) == (["basic-pd-0"], "basic-pd-0")


def test_a_pd_that_is_none_of_the_nodes_keeps_its_name() -> None:
    group = Group("7", (PdMember("pd-1", "1", ("http://10.0.0.8:2379",), None),), "pd-1")

    assert named(group, [Member("pd-0", "pd", "http://10.0.0.7:2379")]) == group
