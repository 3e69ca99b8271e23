"""The monitor: watches one cluster from every side for as long as there is one.

It is told of planned acts by `maintenance` and of load by `client_window`. Of faults it is told nothing:
what was injected is found out here the way a stranger's `kill -9` is.
"""

import asyncio
import resource
import time
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from subjects.base import Cluster, ClusterSnapshot
from subjects.errors import SubjectError
from tools.detection.board import Observation
from tools.detection.cases import Cases
from tools.detection.client import STALE_S, ClientView
from tools.detection.correlate import Correlator
from tools.detection.detections import Detections
from tools.detection.fresh import FreshConnections
from tools.detection.invariants import in_force
from tools.detection.kernel import KernelView
from tools.detection.lines import asks_client_port, lines_of
from tools.detection.looks import Looks, Well
from tools.detection.maintenance import Maintenance
from tools.detection.probe import Line, Reports
from tools.detection.recorder import Recorder
from tools.detection.signals import Detection, Signal, Source
from tools.detection.timer_wheel import PERIOD_S, Wheel
from tools.events import Emit, Failed
from tools.incidents.store import IncidentStore
from tools.load.figures import Window
from tools.observe.ledger import Ledger

LOOK_S = 3.0
"""Between two looks at a cluster that is well. What is urgent comes by events and held connections, and
whatever seems wrong there brings the next look at once."""

UNREST_LOOK_S = 1.0
"""Between two looks while something is wrong."""

QUICK_LOOK_S = 0.25
"""Between two looks while what is wrong is new."""

QUICK_FOR_S = 30.0
"""For how long it is new."""

LOOK_BOUND_S = 5.0
"""A look that takes longer is given up; subjects bound theirs to about 2 s."""


class Monitor:
    """Signals, detections and incidents of one cluster."""

    def __init__(
        self,
        cluster: Cluster,
        ledger: Ledger,
        incidents: IncidentStore,
        emit: Emit,
        *,
        period_s: float = PERIOD_S,
        look_s: float = LOOK_S,
    ) -> None:
        self.snapshot: ClusterSnapshot | None = None
        """The last look at the cluster; None before the first."""
        self.seen_at: float | None = None
        """Monotonic time of the snapshot."""
        self.looked_at: float | None = None
        """Monotonic time when a look last ended, be it without a snapshot."""
        self.reported: float = 0.0
        """Monotonic time up to which detections were reported by `wait_for_detection`."""
        self._cluster = cluster
        self._emit = emit
        self._look_s = look_s
        self._invariants = in_force(cluster.subject.invariants)
        self._maintenance = Maintenance()
        self._recorder = Recorder(incidents, emit)
        self._cases = Cases(self._recorder, cluster.label, cluster.subject.usual_alert)
        self._made = Detections()
        self._correlator = Correlator(
            ledger=ledger,
            cases=self._cases,
            maintenance=self._maintenance,
            invariants=self._invariants,
            emit=emit,
            detected=self._keep,
        )
        self._looks = Looks(self._invariants)
        self._client = ClientView(self._invariants)
        self._wheel = Wheel(Reports(self._probed_bad, self._probed_good), period_s)
        self._fresh = FreshConnections(self._wheel, self._take)
        self._kernel = KernelView(cluster.nodes, self._told, emit)
        self._look_now = asyncio.Event()
        self._last_new = float("-inf")
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def signals(self) -> Sequence[Signal]:
        """The last signals, oldest first."""
        return tuple(self._correlator.signals)

    @property
    def detections(self) -> Sequence[Detection]:
        """The last detections, oldest first."""
        return tuple(self._made)

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of the invariants that are broken now, by what was proven."""
        names = (c.rule.invariant for c in self._correlator.board if c.case is not None)
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def answered(self) -> int:
        """Answers of probes so far: that they come tells that the watching goes on."""
        return self._wheel.answered

    @property
    def troubled(self) -> frozenset[str]:
        """The nodes that something proven is held against now."""
        board = self._correlator.board
        return frozenset(c.node for c in board if c.node and c.case is not None and not c.follows)

    @property
    def open_incidents(self) -> tuple[str, ...]:
        """The ids of the incidents under way."""
        return tuple(case.id for case in self._cases)

    def name(self, incident: str) -> str | None:
        """Return what an incident is called by: a plainer word may have come after its detection."""
        return self._cases.name(incident)

    async def start(self) -> None:
        """Begin to watch; returns after the first look."""
        _allow_connections(2 * len(self._cluster.subject.nodes))
        self._wheel.set_lines(lines_of(self._cluster.subject))
        self._spawn(self._recorder.run(), "recorder")
        self._spawn(self._kernel.listen(), "events")
        self._spawn(self._wheel.run(), "probes")
        self._spawn(self._fresh.run(), "fresh connections")
        await self._look()
        self._spawn(self._look_on(), "looks")

    async def stop(self) -> None:
        """Stop watching; incidents that are open are noted as no longer watched. Safe to call again."""
        self._cases.end()
        await self._recorder.flush()
        tasks = list(self._tasks)
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._kernel.aclose()
        await self._fresh.aclose()
        await self._wheel.aclose()
        await self._made.aclose()

    @contextmanager
    def maintenance(self, nodes: Iterable[str], reason: str) -> Iterator[None]:
        """Declare a planned start, stop or restart of `nodes`: it does not alarm while the block runs."""
        named = tuple(nodes)
        self._cases.settle(named)
        with self._maintenance.window(named, reason, self._is_down):
            yield
        self._look_now.set()

    def client_window(self, window: Window) -> None:
        """Take one second of the load's figures."""
        for part in self._client.read(window):
            self._take(part, window.at)

    async def wait(self, after: float, timeout_s: float) -> Detection | None:
        """Return the first detection made at or after monotonic `after`, be it made already; else None."""
        return await self._made.wait(after, timeout_s)

    async def recorded(self) -> bool:
        """Wait until the incidents so far are written down; False if the disk takes longer than 2 s."""
        return await self._recorder.flush()

    def _keep(self, detection: Detection) -> None:
        self._last_new = detection.at
        self._look_now.set()
        self._made.add(detection)

    def _take(self, part: Observation | Well, seen: float) -> None:
        if isinstance(part, Well):
            self._correlator.well(part, seen)
        else:
            self._correlator.bad(part)

    def _is_down(self, node: str) -> bool:
        """Tell whether a node is down as planned, rather than in an incident."""
        if self._cases.of(node) is not None:
            return False
        return node in self._kernel.ended or False in self._wheel.well(node).values()

    def _told(self, part: Observation | Well, seen: float) -> None:
        """Take the kernel's word."""
        self._take(part, seen)
        if isinstance(part, Well):
            self._look_now.set()

    def _probed_bad(self, observation: Observation) -> None:
        condition = self._correlator.bad(observation)
        if condition is not None and condition.count == 1:
            self._last_new = observation.at
            self._look_now.set()
            if observation.kind == "silent" and observation.node is not None:
                self._kernel.ask(observation.node)

    def _probed_good(self, line: Line) -> None:
        if len(self._correlator.board):
            now = time.monotonic()
            self._correlator.well(Well(Source.CONNECTION, line.node, via=line.via), now)
            self._correlator.well(Well(Source.SELF, line.node, ("unhealthy", "strange"), line.via), now)
        if self._maintenance.planned_down(line.node) and False not in self._wheel.well(line.node).values():
            self._maintenance.well(line.node)

    async def _look_on(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_pause_s()):
                    await self._look_now.wait()
            self._look_now.clear()
            await self._look()

    def _look_pause_s(self) -> float:
        took = self.snapshot.took_s if self.snapshot else 0.0
        if not len(self._correlator.board) and not len(self._cases):
            return max(self._look_s, 2 * took)
        new = time.monotonic() - self._last_new < QUICK_FOR_S
        return max(QUICK_LOOK_S if new else UNREST_LOOK_S, took)

    async def _look(self) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(LOOK_BOUND_S):
                snapshot = await self._cluster.subject.observe()
        except (SubjectError, TimeoutError) as error:
            raw = str(error) or f"no snapshot within {LOOK_BOUND_S:.0f} s"
            self._unseen(raw)
            return
        except Exception as error:  # noqa: BLE001 - whatever a stranger's server answers, the watching goes on
            self._unseen(f"an answer that could not be read: {type(error).__name__}: {error}")
            return
        self._read(snapshot, began)

    def _unseen(self, raw: str) -> None:
        self.looked_at = time.monotonic()
        self._correlator.bad(Observation(Source.CONTROL, "unseen", None, raw))

    def _read(self, snapshot: ClusterSnapshot, began: float) -> None:
        nodes = [node.name for node in snapshot.nodes]
        calm = not len(self._cases) and not self._maintenance.recently(nodes, 10.0)
        before = {node.name for node in self.snapshot.nodes} if self.snapshot else set(nodes)
        self.snapshot, self.seen_at, self.looked_at = snapshot, began, time.monotonic()
        found = self._looks.compare(
            snapshot, began, calm=calm, client_port=not asks_client_port(self._cluster.subject)
        )
        for observation in found.bad:
            self._correlator.bad(observation)
        for well in found.well:
            self._correlator.well(well, began)
        if snapshot.leader is not None:
            self._correlator.led_by(snapshot.leader)
        self._wheel.set_lines(lines_of(self._cluster.subject))  # a member may come back under another address
        for node in before - set(nodes):
            self._looks.forget(node)
            self._correlator.board.forget(node)
        self._correlator.board.expire(Source.CLIENT, time.monotonic() - STALE_S)
        self._correlator.settle()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"monitor {name}")
        task.add_done_callback(self._task_ended)
        self._tasks.append(task)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """A part of the monitor that ends by itself is a bug, and must not be a silent one."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._emit(Failed(f"{task.get_name()} has ended: {type(error).__name__}: {error}"))


def _allow_connections(wanted: int) -> None:
    """Raise the soft limit of open files where a large cluster needs more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * wanted + 256
    if soft != resource.RLIM_INFINITY and soft < needed:
        limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
