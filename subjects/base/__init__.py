"""What operator knows of any database (`Subject`) and of any place where its nodes run.

    snapshot.py   what was seen of a cluster at one time: plain frozen data
    subject.py   the protocol of a database
    nodes.py   seeing nodes: the protocol that everything watched has
    control.py   acting on them: small optional protocols, which faults are made of
    cluster.py   one subject, its nodes, and what may be done to them

Everyone else imports from here.
"""

from subjects.base.cluster import Cluster, ObservedCluster
from subjects.base.control import (
    Capability,
    Control,
    DeadMansSwitch,
    Deployment,
    Direction,
    Kill,
    Lifecycle,
    Limits,
    LinkRule,
    Network,
    Pause,
    Placed,
    Primitive,
    Scope,
)
from subjects.base.nodes import EventKind, LogLine, Nodes, RuntimeEvent, SeenThrough
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
    Replication,
    Role,
    Scalar,
    Serving,
    Unseen,
    UnseenReason,
)
from subjects.base.subject import Invariant, LoadTarget, Metric, Subject, UsualAlert
from subjects.base.targets import RANDOM, TargetRole

__all__ = [
    "NOT_PROBED",
    "OUR_SIDE",
    "RANDOM",
    "SLOW_SCORE",
    "Alarm",
    "Capability",
    "Cluster",
    "ClusterSnapshot",
    "ClusterState",
    "Connection",
    "Control",
    "ControlState",
    "DeadMansSwitch",
    "Deployment",
    "Direction",
    "EventKind",
    "FormerMember",
    "Health",
    "Identity",
    "Invariant",
    "Kill",
    "Lifecycle",
    "Limits",
    "LinkRule",
    "LoadTarget",
    "LogLine",
    "Membership",
    "Metric",
    "Network",
    "NodeView",
    "Nodes",
    "ObservedCluster",
    "Pause",
    "Placed",
    "Primitive",
    "Probe",
    "ProcessState",
    "ProcessView",
    "Quorum",
    "Replication",
    "Role",
    "RuntimeEvent",
    "Scalar",
    "Scope",
    "SeenThrough",
    "Serving",
    "Subject",
    "TargetRole",
    "Unseen",
    "UnseenReason",
    "UsualAlert",
]
