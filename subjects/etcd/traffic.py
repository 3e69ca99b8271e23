"""etcd's own metrics of what its clients get.

How long requests take is counted only with `--metrics=extensive`; what every etcd counts is how long writing
its log to disk takes, which no write is faster than.
"""

from subjects.base.subject import Metric
from subjects.traffic import TrafficMetrics

_SERVERS_FAULT = ("Unavailable", "DeadlineExceeded", "Internal", "Unknown", "ResourceExhausted", "DataLoss")
"""Codes of gRPC that are not the client's own doing."""

_CLIENTS_OWN = (
    *("Canceled", "InvalidArgument", "NotFound", "PermissionDenied", "FailedPrecondition"),
    *("OutOfRange", "Unauthenticated"),
)

_METHODS = ("Range", "Put", "DeleteRange", "Txn", "Compact")
"""Of the service KV."""

_ASKED_FOR = tuple(
    f'grpc_server_handled_total{{grpc_code="{code}",grpc_method="{method}",'
    for code in ("OK", *_SERVERS_FAULT, *_CLIENTS_OWN)
    for method in _METHODS
)
"""A member counts each method of each service by each code: 700 lines, which take 50 ms to parse."""


def _of_clients(metric: Metric) -> bool:
    return (
        metric.name == "grpc_server_handled_total" and metric.labels.get("grpc_service") == "etcdserverpb.KV"
    )


def _failed(metric: Metric) -> bool:
    return _of_clients(metric) and metric.labels.get("grpc_code") in _SERVERS_FAULT


TRAFFIC = TrafficMetrics(
    names=(*_ASKED_FOR, "etcd_disk_wal_fsync_duration_seconds_bucket"),
    requests=_of_clients,
    errors=_failed,
    latency=lambda metric: metric.name == "etcd_disk_wal_fsync_duration_seconds_bucket",
    latency_of="fsync",
)
