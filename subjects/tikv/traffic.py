"""TiKV's own metrics of what its clients get: the requests over gRPC, by type."""

from subjects.base.subject import Metric
from subjects.traffic import TrafficMetrics

_DURATION = "tikv_grpc_msg_duration_seconds"


def _of_clients(metric: Metric) -> bool:
    return metric.labels.get("type", "").startswith(("kv_", "raw_", "coprocessor"))


TRAFFIC = TrafficMetrics(
    names=(_DURATION, "tikv_grpc_msg_fail_total"),
    requests=lambda metric: metric.name == f"{_DURATION}_count" and _of_clients(metric),
    errors=lambda metric: metric.name == "tikv_grpc_msg_fail_total" and _of_clients(metric),
    latency=lambda metric: metric.name == f"{_DURATION}_bucket" and _of_clients(metric),
    latency_of="request",
)
