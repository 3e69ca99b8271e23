"""What a member says of itself and of the members: read from the gateway's JSON, or from its metrics."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from subjects.base import Metric
from subjects.untrusted import read_name, read_object

STATUS_METRICS = (
    "etcd_server_id",
    "etcd_server_has_leader",
    "etcd_server_is_leader",
    "etcd_server_is_learner",
    "etcd_server_version",
    "etcd_server_proposals_applied_total",
    "etcd_mvcc_db_total_size_in_bytes",
)
"""What stands in for a status; all of them are there from etcd 3.4 on."""

NO_LEADER = "no leader"
"""A status has this among its errors while the member knows of none (etcdserver, ErrNoLeader)."""


@dataclass(frozen=True, slots=True)
class Status:
    """`/v3/maintenance/status` of one member. None is what it did not say."""

    member_id: str
    version: str
    leader: str | None
    """Its leader, maybe itself; None where it has none, or does not say which."""
    has_leader: bool
    learner: bool = False
    cluster_id: str | None = None
    term: int | None = None
    raft_index: int | None = None
    applied_index: int | None = None
    revision: int | None = None
    db_bytes: int | None = None
    in_use_bytes: int | None = None
    quota_bytes: int | None = None
    """Since 3.6; 0, which it writes as nothing, is the default of 2 GiB."""
    errors: tuple[str, ...] | None = None
    """None where it did not say: metrics have no alarms."""


@dataclass(frozen=True, slots=True)
class Member:
    """One row of `/v3/cluster/member/list`."""

    id: str
    name: str
    client_urls: tuple[str, ...]
    learner: bool

    @property
    def started(self) -> bool:
        """Whether it ever joined: only then it has a name and tells where its clients go."""
        return bool(self.name or self.client_urls)


def read_status(body: bytes) -> Status | None:
    """Return what a status says; None when it is none."""
    try:
        said = read_object(body)
        header = said["header"]
        leader = said.get("leader", "0")
        errors = said.get("errors", ())
        if not isinstance(errors, list | tuple):
            return None
        known = tuple(read_name(error) for error in errors)
        return Status(
            member_id=f"{int(header['member_id']):x}",
            version=read_name(said["version"]),
            leader=None if leader == "0" else f"{int(leader):x}",
            has_leader=leader != "0" and not any(NO_LEADER in error for error in known),
            learner=bool(said.get("isLearner", False)),
            cluster_id=f"{int(header['cluster_id']):x}" if "cluster_id" in header else None,
            term=int(said.get("raftTerm", header.get("raft_term", 0))),
            raft_index=int(said.get("raftIndex", 0)),
            applied_index=int(said.get("raftAppliedIndex", 0)),
            revision=int(header.get("revision", 0)),
            db_bytes=int(said.get("dbSize", 0)),
            in_use_bytes=int(said["dbSizeInUse"]) if "dbSizeInUse" in said else None,
            quota_bytes=int(said["dbSizeQuota"]) if "dbSizeQuota" in said else None,
            errors=known,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def read_members(body: bytes) -> list[Member] | None:
    """Return the list of members; None when it is none."""
    try:
        return [
            Member(
                f"{int(raw['ID']):x}",
                read_name(raw.get("name", "")),
                tuple(str(url) for url in raw.get("clientURLs", ())),
                bool(raw.get("isLearner", False)),
            )
            for raw in read_object(body)["members"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def status_of_metrics(metrics: Iterable[Metric]) -> Status | None:
    """Return as much of a status as the metrics have; None where they don't even name the member."""
    labels: dict[str, Mapping[str, str]] = {}
    values: dict[str, float] = {}
    for metric in metrics:
        labels[metric.name], values[metric.name] = metric.labels, metric.value
    member = labels.get("etcd_server_id", {}).get("server_id")
    if not member or "etcd_server_has_leader" not in values:
        return None
    leads = values.get("etcd_server_is_leader") == 1
    return Status(
        member_id=read_name(member),
        version=read_name(labels.get("etcd_server_version", {}).get("server_version", "")),
        leader=read_name(member) if leads else None,
        has_leader=values["etcd_server_has_leader"] == 1,
        learner=values.get("etcd_server_is_learner") == 1,
        applied_index=_whole(values.get("etcd_server_proposals_applied_total")),
        db_bytes=_whole(values.get("etcd_mvcc_db_total_size_in_bytes")),
    )


def _whole(value: float | None) -> int | None:
    return int(value) if value is not None and math.isfinite(value) else None
