"""What operator knows of any database (`Subject`) and of any place where its nodes run (`Runtime`).

    snapshot.py   what a look at a cluster shows: plain frozen data
    subject.py   the protocol of a database
    runtime.py   the protocol of a place where nodes run, and what faults are made of there
    cluster.py   one subject on one runtime

Everyone else imports from here.
"""

from subjects.base.cluster import Cluster
from subjects.base.runtime import (
    STOP_TIMEOUT_S,
    Capability,
    Direction,
    LinkRule,
    LogLine,
    Primitive,
    Runtime,
    RuntimeEvent,
    Scope,
)
from subjects.base.snapshot import (
    NOT_PROBED,
    OUR_SIDE,
    SLOW_SCORE,
    Alarm,
    ClusterSnapshot,
    ClusterState,
    Connection,
    ControlState,
    FormerMember,
    Health,
    Identity,
    Membership,
    NodeView,
    Probe,
    ProcessState,
    ProcessView,
    Quorum,
    Role,
    Scalar,
    Serving,
    Unseen,
    UnseenReason,
)
from subjects.base.subject import Invariant, LoadTarget, Metric, Subject, UsualAlert

__all__ = [
    "NOT_PROBED",
    "OUR_SIDE",
    "SLOW_SCORE",
    "STOP_TIMEOUT_S",
    "Alarm",
    "Capability",
    "Cluster",
    "ClusterSnapshot",
    "ClusterState",
    "Connection",
    "ControlState",
    "Direction",
    "FormerMember",
    "Health",
    "Identity",
    "Invariant",
    "LinkRule",
    "LoadTarget",
    "LogLine",
    "Membership",
    "Metric",
    "NodeView",
    "Primitive",
    "Probe",
    "ProcessState",
    "ProcessView",
    "Quorum",
    "Role",
    "Runtime",
    "RuntimeEvent",
    "Scalar",
    "Scope",
    "Serving",
    "Subject",
    "Unseen",
    "UnseenReason",
    "UsualAlert",
]
