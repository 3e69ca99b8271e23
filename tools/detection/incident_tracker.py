"""The incidents under way, as the monitor holds them: what is of one cause, what repeats, when it is over."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from subjects import clock
from subjects.base import UsualAlert
from tools.detection.recorder import Recorder
from tools.incidents.store import IncidentStore, new_id
from tools.observe.incident import FirstSeen
from tools.observe.signal import WHO, Again, Key, Signal, Source

GROUP_S = 5.0
"""Nodes that fail within this of one another fail of one cause."""

HOLD_S = 1.0
"""All views must be clear for so long before an incident is closed."""

MAX_HOLD_S = 30.0
"""The hold doubles each time that the same trouble comes back, up to this."""

FLAP_S = 60.0
"""Trouble that comes back by itself within this of a recovery is the same incident."""

ANSWERS = 3
"""A node that was down is back once it answered so often. It is asked over two lines, and of each one answer
may still have been on its way when it died."""

AWAITED_S = 60.0
"""For so long after a detection a node that is down is asked more often, to see that it is back."""

LATE_S = 10.0
"""Who learns of an end late tells of it within this: a kubelet looks once a second, and on a busy
machine its word takes seconds more (5 s measured)."""

MANY = 10
"""With more nodes than this in incidents, none of them is asked more often."""


@dataclass(slots=True)
class Outages:
    """The outages of one node (or of the whole cluster) in one incident."""

    count: int = 0
    """Detections of one trouble that repeats."""
    first: float = 0.0
    """Monotonic time of the first of them."""
    answers: int = 0
    """Healthy answers since the last of them."""
    started: bool = False
    """The kernel or engine reported since that its process runs again."""
    restart_due: bool = False
    """That it was restarted is what the last detection leads to, and no news."""
    end_due: float = 0.0
    """Until this monotonic time how its process ended may still be told, by who learns of that late: it is
    what the last detection was about, and no news."""
    over: set[Key] = field(default_factory=set)
    """What was held against it in this incident, and ended since the last detection."""

    def back_from(self, signal: Signal) -> bool:
        """Whether the node had come back, so that `signal` is of another outage than the last."""
        if signal.kind == "restarted":
            return not self.restart_due
        if signal.source is Source.PROCESS and time.monotonic() < self.end_due:
            return False
        if signal.source is Source.PROCESS and self.started:
            return True
        if signal.source in {Source.PROCESS, Source.CONNECTION}:
            return self.answers >= ANSWERS
        return signal.key in self.over

    def detect(self, kinds: Iterable[str], *, repeats: bool) -> Again | None:
        """Keep a detection; return which it is if it `repeats` the ones before."""
        now = time.monotonic()
        self.count, self.first = (self.count + 1, self.first or now) if repeats else (1, now)
        self.answers, self.started = 0, False
        self.restart_due = "restarted" not in kinds
        self.over.clear()
        return Again(self.count, round(now - self.first, 1)) if self.count > 1 else None


@dataclass(slots=True)
class OpenIncident:
    """One incident under way."""

    id: str
    opened: float
    """Monotonic time of its first signal."""
    opened_wall: float
    nodes: list[str]
    invariants: list[str]
    name: str
    """What it is called by."""
    troubles: set[str]
    """What was detected, in words; the same words again are the same trouble."""
    caused: float
    """Monotonic time of the last detection in it."""
    reopened: int = 0
    quiet_since: float | None = None
    quiet_wall: float | None = None
    closed: float | None = None
    by_kernel: bool = False
    """What it is called by is what the kernel or the engine reported."""
    settled: bool = False
    """Somebody acted to end it, so that trouble that comes later is another incident."""
    unmeasured: bool = False
    """The load that showed it is over, and whether clients are served as before is not known."""
    knew: set[str] = field(default_factory=set)
    outages: dict[str | None, Outages] = field(default_factory=dict)

    @property
    def hold_s(self) -> float:
        """How long all must be clear before it is closed."""
        return HOLD_S if self.settled else min(MAX_HOLD_S, HOLD_S * 2.0**self.reopened)

    @property
    def end_due(self) -> bool:
        """Whether a process was seen to be another than before, and its end is still to be told."""
        now = time.monotonic()
        return any(now < each.end_due and not each.restart_due for each in self.outages.values())

    def of(self, node: str | None) -> Outages:
        """Return the outages of `node` in it."""
        return self.outages.setdefault(node, Outages())


class IncidentTracker:
    """All incidents that are open, and those closed a short while ago."""

    def __init__(self, recorder: Recorder, cluster: str, alert: UsualAlert) -> None:
        self._recorder = recorder
        self._cluster = cluster
        self._alert = alert
        self._open: dict[str, OpenIncident] = {}
        self._closed: list[OpenIncident] = []
        self.topology: Sequence[Mapping[str, str | None]] = ()
        """Name, role and version of each node, as the cluster was last seen healthy."""

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[OpenIncident]:
        return iter(list(self._open.values()))

    def name(self, incident: str) -> str | None:
        """Return what an incident is called by, if it is under way or was a short while ago."""
        known = (*self._open.values(), *self._closed)
        return next((each.name for each in known if each.id == incident), None)

    def get(self, incident: str | None) -> OpenIncident | None:
        """Return the open incident of that id."""
        return self._open.get(incident or "")

    def of(self, node: str) -> OpenIncident | None:
        """Return the open incident in which `node` is."""
        return next((each for each in self._open.values() if node in each.nodes), None)

    def awaited(self, node: str) -> bool:
        """Whether a node that went down a short while ago is not back yet, and few others are down."""
        incident = self.of(node)
        if incident is None or time.monotonic() - incident.caused > AWAITED_S:
            return False
        return incident.of(node).answers < ANSWERS and sum(len(each.nodes) for each in self) <= MANY

    def latest(self) -> OpenIncident | None:
        """Return the open incident in which a cause was found last."""
        return max(self._open.values(), key=lambda each: each.caused, default=None)

    def take(
        self,
        nodes: Sequence[str],
        invariants: Sequence[str],
        text: str,
        signals: Sequence[Signal],
        known: OpenIncident | None = None,
    ) -> OpenIncident:
        """Return the incident that a detection belongs to: one open, one reopened, or a new one."""
        now = time.monotonic()
        grouped = known or next((each for each in self if now - each.caused < GROUP_S), None)
        incident = grouped or self._flapping(text, now) or self._new(nodes, invariants, text, signals)
        incident.caused = now
        incident.troubles.add(text)
        self._widen(incident, nodes, invariants)
        for signal in signals:
            self.note(incident, signal)
        return incident

    def note(self, incident: OpenIncident, signal: Signal) -> None:
        """Add a signal to an incident, and to who knew when if it is the first of its side."""
        incident.quiet_since = None
        self._recorder.do(lambda store: store.add(incident.id, signal))
        who = WHO[signal.source]
        if who in incident.knew:
            return
        incident.knew.add(who)
        first = FirstSeen(who, signal.at - incident.opened, signal.wall, signal.raw)
        self._recorder.do(lambda store: store.knew(incident.id, first))

    def call(self, incident: OpenIncident, text: str, *, by_kernel: bool = False) -> None:
        """Call an incident by other words, which say more; the kernel's come before a connection's."""
        if by_kernel:
            if incident.by_kernel:
                return
            incident.by_kernel = True
            incident.troubles.add(text)
        incident.name = text
        self._recorder.do(lambda store: store.rename(incident.id, text))

    def settle(self, nodes: Iterable[str]) -> None:
        """Note that somebody acts on `nodes`: an incident about them ends by that, not by itself."""
        wanted = set(nodes)
        for incident in self._open.values():
            if wanted & set(incident.nodes):
                incident.settled = True

    def settle_all(self) -> None:
        """Note that all was put in order: whatever comes now is another incident."""
        for incident in (*self._open.values(), *self._closed):
            incident.settled = True

    def close_if_quiet(self, incident: OpenIncident, *, quiet: bool, text: str = "") -> bool:
        """Count how long all was clear; close the incident after its hold. True when it was closed."""
        now = time.monotonic()
        if not quiet:
            incident.quiet_since = None
            return False
        if incident.quiet_since is None:
            incident.quiet_since, incident.quiet_wall = now, clock.wall()
            return False
        if now - incident.quiet_since < incident.hold_s:
            return False
        incident.closed = now
        del self._open[incident.id]
        self._closed = [old for old in self._closed if now - (old.closed or 0.0) < FLAP_S] + [incident]
        wall = incident.quiet_wall

        def record(store: IncidentStore) -> None:
            store.recover(incident.id, wall=wall, text=text)
            incident.settled = incident.settled or store.get(incident.id).healed is not None

        self._recorder.do(record)
        return True

    def end(self) -> None:
        """Note of all open incidents that the watching ends."""
        for incident in self:
            self._recorder.do(lambda store, one=incident.id: store.unwatch(one))  # type: ignore[misc]
        self._open.clear()

    def _flapping(self, text: str, now: float) -> OpenIncident | None:
        """Reopen the last incident of the same trouble that ended by itself a short while ago."""
        fit = [
            each
            for each in self._closed
            if not each.settled and now - (each.closed or 0.0) <= FLAP_S and text in each.troubles
        ]
        if not fit:
            return None
        incident = fit[-1]
        self._closed.remove(incident)
        self._open[incident.id] = incident
        incident.closed = incident.quiet_since = None
        incident.unmeasured = False
        incident.reopened += 1
        wall = clock.wall()
        self._recorder.do(lambda store: store.reopen(incident.id, f"came back: {text}", wall))
        return incident

    def _new(
        self, nodes: Sequence[str], invariants: Sequence[str], text: str, signals: Sequence[Signal]
    ) -> OpenIncident:
        first = min(signals, key=lambda signal: signal.at)
        incident = OpenIncident(
            id=new_id(first.wall),
            opened=first.at,
            opened_wall=first.wall,
            nodes=list(nodes),
            invariants=list(invariants),
            name=text,
            troubles={text},
            caused=time.monotonic(),
        )
        self._open[incident.id] = incident
        topology, alert = list(self.topology), self._alert
        usual = FirstSeen(alert.name, alert.after_s, None, alert.source, measured=False)

        def record(store: IncidentStore) -> None:
            store.open(
                cluster=self._cluster,
                text=text,
                nodes=nodes,
                invariants=invariants,
                wall=incident.opened_wall,
                incident=incident.id,
            )
            store.knew(incident.id, usual)
            if topology:
                store.set_figures(incident.id, {"topology": topology})

        self._recorder.do(record)
        return incident

    def _widen(self, incident: OpenIncident, nodes: Sequence[str], invariants: Sequence[str]) -> None:
        more_nodes = [node for node in nodes if node not in incident.nodes]
        more_broken = [name for name in invariants if name not in incident.invariants]
        if not more_nodes and not more_broken:
            return
        incident.nodes += more_nodes
        incident.invariants += more_broken
        self._recorder.do(lambda store: store.widen(incident.id, more_nodes, more_broken))
