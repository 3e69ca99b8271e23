"""The decision table: which disagreement of views means what, row by row, for every database alike.

Each node is held against the rows from the top; the first that fits is taken. A row fits when of every
group in `when` something was seen, and nothing of `unless`. The order matters and is part of the knowledge:
a dead process also refuses connections and loses its peers, so what the kernel says comes before what the
network says. What a row can't be told apart from is named in `rivals`, and is what a diagnosis rules out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tools.diagnosis.schema import Confidence, Kind
from tools.diagnosis.views import Seen, Views

Words = tuple[str, ...]

DEAD = ("killed", "oom", "failed")
NO_WAY = ("refused", "reset", "silent")
QUICK = ("host_quick", "quick_alone")
ALIVE = ("running", "answers", *QUICK)
"""What only a process that runs shows."""


LATE = ("late_port", "slow_port", "slow_health")
"""Answers over the network that come late: whoever gives them may be too busy, and is not cut off."""

LASTS_S = 5.0
"""By then the peers of a member that was restarted are connected to it again: under a second is usual."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: what must be seen, what must not, what it means and why."""

    name: str
    kind: Kind
    when: tuple[Words, ...]
    reason: str
    """Completes the sentence `NODE …`."""
    rivals: tuple[str, ...]
    """Names of the rows that look most like it, likeliest first."""
    unless: Words = ()
    outside: bool | None = None
    """True: only where nobody here sees the node's process. False: only where somebody does."""
    surest: Confidence = Confidence.HIGH
    """The most that such evidence is good for."""
    sure_with: Words = ()
    """Without any of these it is good for medium at most: what it looks like is not ruled out."""
    weight: int | None = None
    """In place of its kind's, where this row is surer than others of the kind."""
    database: str | None = None
    """The only database that has it."""
    told_by: bool = False
    """Whether the words of what made it fit say why, and belong to the reason."""
    lasting: Words = ()
    """What must still be so LASTS_S after what is first in `when`."""

    def fits(self, views: Views) -> bool:
        """Whether the node's views are those of this row."""
        if self.outside is not None and self.outside is not views.outside:
            return False
        if not all(views.has(words) for words in self.when) or views.has(self.unless):
            return False
        return not self.lasting or self._lasts(views)

    def _lasts(self, views: Views) -> bool:
        since = views.of(self.when[0])[0].signal.wall
        return any(seen.now and seen.signal.wall - since >= LASTS_S for seen in views.of(self.lasting))

    def firm(self, views: Views) -> bool:
        """Whether every group that makes it fit has something that can be counted on."""
        return all(any(seen.firm for seen in views.of(words)) for words in self.when)

    def surest_of(self, views: Views) -> Confidence:
        """Return the most that the evidence of this node is good for."""
        sure = self.surest is not Confidence.HIGH or not self.sure_with or views.has(self.sure_with)
        return self.surest if sure else Confidence.MEDIUM

    def matched(self, views: Views) -> tuple[Seen, ...]:
        """Return what made the row fit, the earliest of each group."""
        return tuple(found[0] for words in self.when if (found := views.of(words)))


_MEDIUM, _LOW = Confidence.MEDIUM, Confidence.LOW

TABLE: tuple[Row, ...] = (
    Row(
        "removed",
        Kind.MEMBERSHIP,
        (("member_removed",),),
        "is no longer a member: somebody removed it, and its process ends by that",
        ("crash", "partition"),
    ),
    Row(
        "replaced",
        Kind.MEMBERSHIP,
        (("member_replaced",),),
        "is another member than before under the same name: it was removed and added again",
        ("restarted", "crash"),
    ),
    Row(
        "of another cluster",
        Kind.MEMBERSHIP,
        (("foreign",),),
        "answers as a member of another cluster: it was started with other data, and has no vote here",
        ("replaced", "restarted"),
    ),
    Row(
        "expired certificate",
        Kind.CERTIFICATE,
        (("expired",),),
        "shows a certificate that has expired: who verifies it can't connect, who is connected stays",
        ("new connections are lost", "crash"),
    ),
    Row(
        "corrupt data",
        Kind.CORRUPTION,
        (("corrupt",),),
        "raised the CORRUPT alarm: its data differs from the others', and the cluster refuses writes for it",
        ("space quota", "disk full"),
    ),
    Row(
        "space quota",
        Kind.SPACE_QUOTA,
        (("no_space", "log_quota"),),
        "is over the quota of its database (NOSPACE): the cluster refuses writes and serves reads",
        ("disk full", "corrupt data"),
    ),
    Row(
        "disk full",
        Kind.DISK_FULL,
        (("log_no_space", "low_space"),),
        "could not write: the operating system or the database refused for want of space",
        ("slow disk", "killed"),
    ),
    Row(
        "close to the space quota",
        Kind.SPACE_QUOTA,
        (("near_quota",),),
        "has used nearly all of its space quota: once it has, the cluster refuses writes (NOSPACE)",
        ("space quota", "disk full"),
        weight=5,
    ),
    Row(
        "upgraded",
        Kind.PLANNED_RESTART,
        (("version_changed",),),
        "was restarted with another version: an upgrade",
        ("crash", "restarted"),
    ),
    Row(
        "cannot be started",
        Kind.CRASH,
        (("blocked",),),
        "is down, and cannot be started until somebody changes what keeps it from that",
        ("restarted on request", "killed"),
        told_by=True,
    ),
    Row(
        "evicted",
        Kind.CRASH,
        (("evicted",),),
        "was evicted: whoever runs it took it off its machine",
        ("OOM-killed", "restarted on request"),
        told_by=True,
    ),
    Row(
        "failed its liveness probe",
        Kind.RESTART,
        (("probe_failed",),),
        "was restarted by whoever runs it because its liveness probe failed: it ran, and did not answer in "
        "time. Why it did not is not known by that",
        ("restarted on request", "killed"),
        told_by=True,
    ),
    Row(
        "restarted on request",
        Kind.PLANNED_RESTART,
        (("log_shutdown",),),
        "was asked to stop and shut down in good order; a crash leaves no such lines",
        ("killed", "gave up"),
        unless=DEAD,
    ),
    Row(
        "gave up, and could not write why",
        Kind.DISK_FULL,
        (("failed",), ("log_no_reason",)),
        "exited by its own decision, and not even the reason could be written to its log",
        ("gave up", "killed"),
    ),
    Row(
        "OOM-killed",
        Kind.CRASH,
        (("oom",),),
        "was OOM-killed: the kernel or the engine ended it because memory ran out",
        ("killed", "gave up"),
    ),
    Row(
        "killed",
        Kind.CRASH,
        (("killed",),),
        "was killed with SIGKILL (exit 137)",
        ("OOM-killed", "restarted on request", "frozen"),
    ),
    Row(
        "gave up",
        Kind.CRASH,
        (("failed", "log_failed"),),
        "exited by its own decision (a panic or a fatal error): its last log lines say why",
        ("killed", "disk full"),
    ),
    Row(
        "stopped",
        Kind.PLANNED_RESTART,
        (("ended",),),
        "exited with code 0 or by SIGTERM: somebody asked it to stop",
        ("killed", "gave up"),
    ),
    Row(
        "exited",
        Kind.CRASH,
        (("exit",),),
        "exited; no shutdown request in its log",
        ("restarted on request", "frozen"),
    ),
    Row(
        "frozen",
        Kind.PAUSE,
        (("stopped",),),
        "is or was stopped (SIGSTOP): its ports are open, and nothing answers",
        ("partition", "overloaded", "killed"),
    ),
    Row(
        "server paused",
        Kind.PAUSE,
        (("log_server_paused",), NO_WAY),
        "runs and reports healthy, and serves nobody: its log says that its server was paused",
        ("frozen", "partition"),
        unless=("reported_running",),
        database="tikv",
    ),
    Row(
        "defragmentation",
        Kind.DEFRAGMENTATION,
        (("defragmenting", "log_defragmented"),),
        "was defragmented, and answers nothing while that lasts",
        ("overloaded", "slow disk"),
        surest=_MEDIUM,
    ),
    Row(
        "restarted, and cut off from its peers",
        Kind.PARTITION,
        (("restarted",), ("peer_lost",)),
        "was restarted, and its peers have had no connection to it since: the address that they have of it "
        "is wrong, or the network between them is cut",
        ("restarted", "partition from outside"),
        unless=("silent", "deaf", "no_connection"),
        surest=_MEDIUM,
        lasting=("peer_lost",),
    ),
    Row(
        "crashed and restarted, status not told yet",
        Kind.CRASH,
        (("restarted",), ("log_no_shutdown",), ("reported_running",)),
        "runs with a later start time than before; no shutdown request in its log. Of what it died is not "
        "known: its status does not show it yet, and comes a second or more late",
        ("OOM-killed", "restarted on request"),
        surest=_MEDIUM,
    ),
    Row(
        "crashed and restarted",
        Kind.CRASH,
        (("restarted",), ("log_no_shutdown",)),
        "runs with a later start time than before; no shutdown request in its log",
        ("restarted on request", "frozen"),
    ),
    Row(
        "restarted",
        Kind.RESTART,
        (("restarted",),),
        "was restarted; a crash and a stop on request cannot be told apart without its log",
        ("killed", "restarted on request"),
        surest=_MEDIUM,
    ),
    Row(
        "refuses connections, status not told yet",
        Kind.CRASH,
        (("refused",), ("reported_running",)),
        "refuses connections: nothing listens there any more, so that its process has most likely ended. "
        "Why is not known: its status does not show it yet, and comes a second or more late",
        ("OOM-killed", "restarted on request", "partition"),
        unless=("answers", "healthy"),
        outside=True,
        surest=_MEDIUM,
    ),
    Row(
        "refused connections, status not told yet",
        Kind.CRASH,
        (("refused",), ("reported_running",), ("answers", "healthy")),
        "refused connections and answers again: nothing listened there meanwhile, so its process has most "
        "likely ended. Why is not known: its status does not show it yet, and comes a second or more late",
        ("OOM-killed", "restarted on request"),
        outside=True,
        surest=_LOW,
    ),
    Row(
        "connections reset, status not told yet",
        Kind.CRASH,
        (("reset",), ("reported_running",)),
        "had its connections reset: either its process has ended, or it is cut off. Which is not known: "
        "its status does not show it yet, and comes a second or more late",
        ("OOM-killed", "partition from outside"),
        unless=("deaf", "no_connection", "answers", "healthy"),
        outside=True,
        surest=_LOW,
    ),
    Row(
        "back, status not told yet",
        Kind.RESTART,
        (("refused", "reset"), ("reported_running",), ("running",)),
        "refused or reset connections and answers for itself: either its process has ended and is back, or "
        "it is cut off. Which is not known: when it started can't be read from it, and its status does not "
        "show an end yet, which comes a second or more late",
        ("OOM-killed", "cut off from clients"),
        unless=("same_start",),
        surest=_LOW,
    ),
    Row(
        "crash",
        Kind.CRASH,
        (("refused",),),
        "is down: nothing listens on its port any more. It crashed or was stopped; "
        "from outside the two cannot be told apart",
        ("restarted on request", "frozen", "partition"),
        outside=True,
        surest=_MEDIUM,
    ),
    Row(
        "down behind a port that is open",
        Kind.CRASH,
        (("reset",),),
        "had its connections dropped, new ones too: what listens in front of it (a container's published "
        "port, a proxy) is there, and it does not answer behind it. It crashed, was stopped, or is cut off; "
        "from outside these cannot be told apart",
        ("restarted on request", "partition from outside"),
        unless=("deaf", "no_connection", "healthy"),
        outside=True,
        surest=_MEDIUM,
    ),
    Row(
        "unreached",
        Kind.CRASH,
        (("unreached",),),
        "is reached no more, while others answer at the address that they share: it is down, frozen or cut "
        "off, which nobody can tell apart behind one address",
        ("frozen from outside", "partition from outside"),
        outside=True,
        surest=_LOW,
    ),
    Row(
        "starved of CPU",
        Kind.OVERLOAD,
        (("starved",), ("running",)),
        "is starved of CPU; its peers are not",
        ("slow disk", "network latency"),
        weight=5,
    ),
    Row(
        "cut off from its peers, or frozen until a moment ago",
        Kind.PARTITION,
        (("peer_lost",), ("reported_running",), ("running",)),
        "runs, and its peers lost their connections to it: the network between them is cut, or it was frozen "
        "and its peers have not noticed yet that it is back; its status does not show which",
        ("frozen", "killed", "overloaded"),
        unless=("no_connection", "refused", "reset"),
        outside=False,
        surest=_MEDIUM,
    ),
    Row(
        "in no network",
        Kind.PARTITION,
        (("no_network",), ("running",)),
        "runs, and the engine that runs it says that it is attached to no network: it is cut off",
        ("killed", "frozen", "overloaded"),
        unless=("answers", "healthy"),
        outside=False,
    ),
    Row(
        "cut off from its peers",
        Kind.PARTITION,
        (("peer_lost",), ("running",)),
        "runs, and its peers lost their connections to it: the network between them is cut",
        ("killed", "frozen", "overloaded"),
        unless=LATE,
        outside=False,
    ),
    Row(
        "cut off from clients",
        Kind.PARTITION,
        (NO_WAY, ("healthy",)),
        "runs and reports healthy, and clients do not get through to it: the network in between is cut",
        ("killed", "frozen", "network latency"),
        unless=LATE,
        outside=False,
        sure_with=("cpu_enough", "refused", "reset", "unreachable", "no_network"),
    ),
    Row(
        "partition",
        Kind.PARTITION,
        (("leaderless", "log_stepped_down"), ("running",)),
        "runs and has no leader while the others follow one: its way to that leader is cut",
        ("killed", "frozen", "overloaded"),
        unless=("slow_port", "slow_health"),
        outside=False,
    ),
    Row(
        "cut off, and reached on its own host",
        Kind.PARTITION,
        (("no_connection",), ("host_quick", "host_late"), ("running",)),
        "runs and answers local requests on its own host, and no connection to it can be made from outside: "
        "the network to it is cut",
        ("frozen", "overloaded"),
        unless=("slow_port", "slow_health"),
        outside=False,
        surest=_MEDIUM,
    ),
    Row(
        "partition from outside",
        Kind.PARTITION,
        (("leaderless", "peer_lost"), ("answers", "unhealthy", "leaderless")),
        "answers clients, and has no connection to its leader or peers: the network between them is cut",
        ("frozen from outside", "overloaded"),
        unless=("silent", "deaf", "no_connection", "slow_port"),
        outside=True,
        surest=_MEDIUM,
    ),
    Row(
        "cut off from some peers",
        Kind.PARTITION,
        (("edge_lost",), ("running",), ("unhealthy", "health_silent")),
        "runs and is not healthy, and a peer lost its connection to it: part of the network is cut",
        ("frozen", "overloaded"),
        unless=LATE,
    ),
    Row(
        "slow disk",
        Kind.SLOW_DISK,
        (("slow_disk", "log_slow_disk"),),
        "waits for its disk: its own writes take long before any network is involved",
        ("starved of CPU", "network latency"),
        sure_with=("cpu_enough",),
    ),
    Row(
        "network latency",
        Kind.NETWORK_DELAY,
        (("slow_port",), ("host_quick",)),
        "is reached with high network latency; the node itself is fast",
        ("slow disk", "overloaded"),
    ),
    Row(
        "slow at one port",
        Kind.NETWORK_DELAY,
        (("slow_port",), ("quick_alone",)),
        "answers clients late, and local requests over the same network at once: the way to the port "
        "that clients use has high latency, or what serves that port is overloaded",
        ("overloaded", "slow disk"),
        unless=("cpu_enough",),
        surest=_LOW,
    ),
    Row(
        "network latency between peers",
        Kind.NETWORK_DELAY,
        (("slow_health", "health_silent"), QUICK, ("answers",)),
        "is fast by itself, and slow in what it must ask its peers for: high latency between them",
        ("slow disk", "overloaded"),
        unless=("silent",),
    ),
    Row(
        "slower to its clients than usual",
        Kind.NETWORK_DELAY,
        (("late_port",), ALIVE),
        "answers its clients several times slower than it did, while the others do not and nothing on it is "
        "slow: the way to it has high latency",
        ("slow disk", "overloaded"),
        unless=("host_late", "host_silent", "late_alone", "silent_alone", "starved", "silent"),
        surest=_MEDIUM,
    ),
    Row(
        "late, and not for want of CPU",
        Kind.NETWORK_DELAY,
        (("late_port", "slow_port"), ("cpu_enough",)),
        "answers late, and was not kept waiting for a processor meanwhile: what it is asked over has high "
        "latency",
        ("overloaded", "slow disk"),
        unless=("starved", "silent", "host_late", "host_silent"),
        surest=_MEDIUM,
    ),
    Row(
        "frozen from outside",
        Kind.PAUSE,
        (("deaf",),),
        "accepts connections and answers none: most likely its process is frozen (SIGSTOP, a paused "
        "container) or starved. A proxy in front of a node that is cut off looks the same",
        ("partition from outside", "overloaded"),
        outside=True,
        surest=_MEDIUM,
    ),
    Row(
        "unreachable from outside",
        Kind.PARTITION,
        (("no_connection",),),
        "lets no connection be made, and refuses none: it is cut off (a partition), or its whole machine "
        "is frozen or down; from outside these look alike",
        ("frozen from outside", "crash"),
        outside=True,
        surest=_LOW,
    ),
    Row(
        "silent from outside",
        Kind.PAUSE,
        (("silent",),),
        "did not answer for a while: frozen (a pause of its process or machine), cut off (a partition) and "
        "overloaded look alike from outside",
        ("frozen from outside", "partition from outside"),
        outside=True,
        surest=_LOW,
    ),
    Row(
        "new connections are lost",
        Kind.PARTITION,
        (("lossy",), ALIVE),
        "answers on held connections, and few or no new ones are accepted: they get lost on the way",
        ("overloaded", "frozen"),
        unless=("unhealthy", "host_late", "host_silent", "late_alone", "silent_alone"),
    ),
    Row(
        "overloaded",
        Kind.OVERLOAD,
        (("host_late", "host_silent"), ("running",)),
        "runs and takes too long to answer even local requests on its own host, where no network is in "
        "between; that it is short of CPU was not measured",
        ("slow disk", "network latency"),
        surest=_MEDIUM,
    ),
    Row(
        "late in all that it is asked",
        Kind.OVERLOAD,
        (("late_alone", "silent_alone"), ("running",)),
        "runs and takes too long to answer even local requests over the network: overloaded, or behind "
        "a slow network. Without figures of its CPU or a way past the network the two look alike",
        ("network latency", "slow disk"),
        surest=_LOW,
    ),
    Row(
        "clock drift",
        Kind.CLOCK_DRIFT,
        (("log_clock_drift",),),
        "has a wall clock that is off: a log reports that it differs from another member's, or that it "
        "jumped; nothing else was seen",
        ("network latency", "overloaded"),
    ),
)

BY_NAME = {row.name: row for row in TABLE}


def row_of(views: Views, database: str = "") -> Row | None:
    """Return the first row that fits; None when nothing does."""
    return next(rows_of(views, database), None)


def rows_of(views: Views, database: str = "") -> Iterator[Row]:
    """Yield every row that fits, from the top."""
    return (row for row in TABLE if row.database in {None, database} and row.fits(views))
