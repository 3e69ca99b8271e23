"""Cases: the incidents under way, as the monitor holds them: what is of one cause, and when it is over."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from subjects.base import UsualAlert
from tools.detection.recorder import Recorder
from tools.detection.signals import Signal, Source
from tools.incidents.record import FirstSeen
from tools.incidents.store import IncidentStore, new_id

GROUP_S = 5.0
"""Nodes that fail within this of one another fail of one cause."""

HOLD_S = 1.0
"""All views must be well for so long before a case is closed."""

MAX_HOLD_S = 30.0
"""The hold doubles each time that the same trouble comes back, up to this."""

FLAP_S = 60.0
"""Trouble that comes back by itself within this of a recovery is the same incident."""

WHO = {
    Source.PROCESS: "kernel",
    Source.CONNECTION: "connection",
    Source.SELF: "node itself",
    Source.PEERS: "peers",
    Source.CONTROL: "control plane",
    Source.CLIENT: "client",
}
"""How the table `who knew when` calls a signal's source. With containers `kernel` is the engine's word."""


@dataclass(slots=True)
class Case:
    """One incident under way."""

    id: str
    opened: float
    """Monotonic time of its first signal."""
    opened_wall: float
    nodes: list[str]
    invariants: list[str]
    texts: list[str]
    """What was detected, in words, what it is called by first; the same words again are the same trouble."""
    caused: float
    """Monotonic time of the last detection in it."""
    reopened: int = 0
    quiet_since: float | None = None
    quiet_wall: float | None = None
    closed: float | None = None
    by_kernel: bool = False
    """What it is called by is the kernel's or the engine's word."""
    settled: bool = False
    """Somebody acted to end it, so that trouble that comes later is another incident."""
    knew: set[str] = field(default_factory=set)

    @property
    def hold_s(self) -> float:
        """How long all must be well before it is closed."""
        return min(MAX_HOLD_S, HOLD_S * 2.0**self.reopened)


class Cases:
    """All cases that are open, and those closed a short while ago."""

    def __init__(
        self,
        recorder: Recorder,
        cluster: str,
        alert: UsualAlert,
    ) -> None:
        self._recorder = recorder
        self._cluster = cluster
        self._alert = alert
        self._open: dict[str, Case] = {}
        self._closed: list[Case] = []

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Case]:
        return iter(list(self._open.values()))

    def get(self, case_id: str | None) -> Case | None:
        """Return an open case."""
        return self._open.get(case_id) if case_id else None

    def name(self, case_id: str) -> str | None:
        """Return what an incident is called by, if it is under way or was a short while ago."""
        known = (*self._open.values(), *self._closed)
        return next((case.texts[0] for case in known if case.id == case_id), None)

    def of(self, node: str) -> Case | None:
        """Return the open case in which `node` is."""
        return next((case for case in self._open.values() if node in case.nodes), None)

    def latest(self) -> Case | None:
        """Return the open case in which a cause was found last."""
        return max(self._open.values(), key=lambda case: case.caused, default=None)

    def take(
        self,
        nodes: Sequence[str],
        invariants: Sequence[str],
        text: str,
        signals: Sequence[Signal],
        known: Case | None = None,
    ) -> Case:
        """Return the case that a detection belongs to: one under way, one that came back, or a new one."""
        now = time.monotonic()
        grouped = known or next((case for case in self if now - case.caused < GROUP_S), None)
        case = grouped or self._flapping(text, now) or self._new(nodes, invariants, text, signals)
        case.caused = now
        if text not in case.texts:
            case.texts.append(text)
        self._widen(case, nodes, invariants)
        for signal in signals:
            self.note(case, signal)
        return case

    def note(self, case: Case, signal: Signal) -> None:
        """Add a signal to a case's timeline, and to who knew when if it is the first of its side."""
        case.quiet_since = None
        self._recorder.do(
            lambda store: store.add(
                case.id,
                signal.raw,
                source=signal.source.value,
                kind=signal.kind,
                node=signal.node,
                evidence=signal.evidence,
                wall=signal.wall,
            )
        )
        who = WHO[signal.source]
        if who in case.knew:
            return
        case.knew.add(who)
        knower = FirstSeen(who, signal.at - case.opened, signal.wall, f"{signal.kind}: {signal.raw}")
        self._recorder.do(lambda store: store.knew(case.id, knower))

    def call(self, case: Case, node: str, text: str) -> None:
        """Call the incident of `node` by the kernel's word, where another one came first and said less."""
        if case.nodes[:1] != [node] or case.by_kernel:
            return
        case.by_kernel = True
        if text not in case.texts:
            case.texts.insert(0, text)
            self._recorder.do(lambda store: store.rename(case.id, text))

    def settle(self, nodes: Iterable[str]) -> None:
        """Note that somebody acts on `nodes`: a case about them ends by that, not by itself."""
        wanted = set(nodes)
        for case in self._open.values():
            if wanted & set(case.nodes):
                case.settled = True

    def close_if_quiet(self, case: Case, *, quiet: bool) -> bool:
        """Keep count of how long all was well; close the case after its hold. True when it was closed."""
        now = time.monotonic()
        if not quiet:
            case.quiet_since = None
            return False
        if case.quiet_since is None:
            case.quiet_since, case.quiet_wall = now, time.time()
            return False
        if now - case.quiet_since < case.hold_s:
            return False
        case.closed = now
        del self._open[case.id]
        self._closed = [old for old in self._closed if now - (old.closed or 0.0) < FLAP_S] + [case]
        wall = case.quiet_wall

        def record(store: IncidentStore) -> None:
            store.recover(case.id, wall=wall)
            case.settled = case.settled or store.get(case.id).healed is not None

        self._recorder.do(record)
        return True

    def end(self) -> None:
        """Note of all open cases that the watching ends."""
        for case in self:
            self._recorder.do(lambda store, case_id=case.id: store.unwatch(case_id))  # type: ignore[misc]
        self._open.clear()

    def _flapping(self, text: str, now: float) -> Case | None:
        """Reopen the last case of the same trouble that ended by itself a short while ago."""
        fit = [
            case
            for case in self._closed
            if not case.settled and now - (case.closed or 0.0) <= FLAP_S and text in case.texts
        ]
        if not fit:
            return None
        case = fit[-1]
        self._closed.remove(case)
        self._open[case.id] = case
        case.closed = case.quiet_since = None
        case.reopened += 1
        wall = time.time()
        self._recorder.do(lambda store: store.reopen(case.id, f"came back: {text}", wall))
        return case

    def _new(
        self, nodes: Sequence[str], invariants: Sequence[str], text: str, signals: Sequence[Signal]
    ) -> Case:
        first = min(signals, key=lambda signal: signal.at)
        case = Case(
            id=new_id(first.wall),
            opened=first.at,
            opened_wall=first.wall,
            nodes=list(nodes),
            invariants=list(invariants),
            texts=[text],
            caused=time.monotonic(),
        )
        self._open[case.id] = case
        named, broken, cluster, alert = tuple(nodes), tuple(invariants), self._cluster, self._alert
        self._recorder.do(
            lambda store: store.open(
                cluster=cluster,
                text=text,
                nodes=named,
                invariants=broken,
                wall=case.opened_wall,
                incident=case.id,
            )
        )
        usual = FirstSeen(alert.name, alert.after_s, None, alert.source, measured=False)
        self._recorder.do(lambda store: store.knew(case.id, usual))
        return case

    def _widen(self, case: Case, nodes: Sequence[str], invariants: Sequence[str]) -> None:
        more_nodes = [node for node in nodes if node not in case.nodes]
        more_broken = [name for name in invariants if name not in case.invariants]
        if not more_nodes and not more_broken:
            return
        case.nodes += more_nodes
        case.invariants += more_broken
        self._recorder.do(lambda store: store.widen(case.id, more_nodes, more_broken))
