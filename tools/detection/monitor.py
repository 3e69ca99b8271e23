"""The monitor: watches one cluster from every side for as long as there is one.

It learns of planned acts by `maintenance` and of load by `client_window`. Of faults it learns nothing:
what was injected is found out here the way a stranger's `kill -9` is.
"""

import asyncio
import gc
import resource
import time
from collections import deque
from collections.abc import Collection, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any, Literal

from subjects.base import Cluster, ClusterSnapshot, ClusterState
from subjects.errors import SubjectError
from tools.detection.client import STALE_S, ClientView
from tools.detection.conditions import Condition
from tools.detection.correlate import Correlator
from tools.detection.fresh import FreshConnections
from tools.detection.incident_tracker import IncidentTracker
from tools.detection.kernel import KernelView
from tools.detection.maintenance import Maintenance
from tools.detection.probe import Reports
from tools.detection.recorder import Recorder
from tools.detection.rollout import Rollout
from tools.detection.service_ports import ServicePorts
from tools.detection.sight import Sight
from tools.detection.timer_wheel import PERIOD_S, Wheel
from tools.detection.upkeep import Upkeep
from tools.events import Emit, Notice
from tools.incidents.store import IncidentStore
from tools.observe.figures import Window
from tools.observe.kinds import Weight, meaning, signal
from tools.observe.ledger import Ledger
from tools.observe.limits import limits_of
from tools.observe.signal import CLIENT_PORT, Detection, Signal
from tools.observe.snapshot_diff import SnapshotDiff
from tools.observe.targets import ProbeTarget, targets_of
from tools.observe.waits import CpuWaits
from tools.tasks import told_if_it_fails

LOOK_S = 3.0
"""Between two snapshots of a healthy cluster. What is urgent comes by events and held connections, and
whatever seems wrong there brings the next one at once."""

UNREST_LOOK_S = 1.0
"""Between two snapshots while something is wrong."""

QUICK_LOOK_S = 0.25
"""Between two snapshots while what is wrong is new."""

QUICK_FOR_S = 30.0
"""For how long it is new."""

KEPT = 200
"""Detections that are kept: a watch of days must not grow."""

LOOK_BOUND_S = 5.0
"""A snapshot that takes longer is given up; subjects bound theirs to about 2 s."""


UNKNOWN_AFTER_S = 4 * LOOK_BOUND_S
"""A snapshot so old says nothing of the present any more."""


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
        """The last snapshot of the cluster, as old as `snapshot_age_s`; None before the first."""
        self.seen_at: float | None = None
        """Monotonic time of the snapshot."""
        self.looked_at: float | None = None
        """Monotonic time when a look last ended, be it without a snapshot."""
        self.reported: float = 0.0
        """Monotonic time up to which detections were reported by `wait_for_detection`."""
        self._cluster = cluster
        self._emit = emit
        self._look_s = look_s
        self._maintenance = Maintenance()
        self._recorder = Recorder(incidents, emit)
        self._incidents = IncidentTracker(self._recorder, cluster.label, cluster.subject.usual_alert)
        self._made: deque[Detection] = deque(maxlen=KEPT)
        self._news = asyncio.Event()
        limits = limits_of(cluster.subject.invariants)
        self._correlator = Correlator(
            ledger=ledger,
            incidents=self._incidents,
            maintenance=self._maintenance,
            limits=limits,
            emit=emit,
            detected=self._keep,
        )
        self._diff = SnapshotDiff(limits)
        self._waits = CpuWaits()
        self._client = ClientView(limits)
        self._sight = Sight(cluster.nodes, emit)
        self._wheel = Wheel(Reports(self._probed_bad, self._probed_good, self._incidents.awaited), period_s)
        self._fresh = FreshConnections(self._wheel, self._take)
        self._ports = ServicePorts(cluster.subject, lambda: self.snapshot, self._take, self._wheel.way_s)
        self._kernel = KernelView(cluster.nodes, self._notified, emit, self._leaves)
        self._rollout = Rollout(self._maintenance, self._incidents, self._correlator.conditions, emit)
        self._upkeep = Upkeep(cluster.subject, self._take, emit)
        self._look_now = asyncio.Event()
        self._looked = asyncio.Event()
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
    def snapshot_age_s(self) -> float | None:
        """How old the last snapshot is; None before the first."""
        return None if self.seen_at is None else time.monotonic() - self.seen_at

    @property
    def state(self) -> Literal["healthy", "degraded", "down", "unknown"]:
        """The cluster in a word, by one rule wherever it is shown.

        Never healthy beside an open incident, and unknown where the last snapshot says nothing of the
        present any more.
        """
        age_s = self.snapshot_age_s
        if self.snapshot is None or age_s is None or age_s > UNKNOWN_AFTER_S:
            return "unknown"
        if self.snapshot.state is ClusterState.HEALTHY and len(self._incidents):
            return "degraded"
        return self.snapshot.state.value

    @property
    def broken(self) -> tuple[str, ...]:
        """The names of the invariants that are broken now, by what was proven."""
        names = (c.meaning.invariant for c in self._correlator.conditions if c.incident is not None)
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def answered(self) -> int:
        """Answers of probes so far: that they come shows that the watching goes on."""
        return self._wheel.answered

    @property
    def troubled(self) -> frozenset[str]:
        """The nodes that something proven is held against now."""
        held = self._correlator.conditions
        return frozenset(c.node for c in held if c.node and c.incident is not None and not c.follows)

    @property
    def open_incidents(self) -> tuple[str, ...]:
        """The ids of the incidents under way."""
        return tuple(incident.id for incident in self._incidents)

    def name(self, incident: str) -> str | None:
        """Return what an incident is called by: a plainer word may have come after its detection."""
        return self._incidents.name(incident)

    async def start(self) -> None:
        """Begin to watch; returns after the first snapshot."""
        _allow_connections(2 * len(self._cluster.subject.nodes))
        self._wheel.set_targets(targets_of(self._cluster.subject))
        self._spawn(self._recorder.run(), "recorder")
        self._spawn(self._sight.run(), "sight")
        self._spawn(self._kernel.listen(), "events")
        self._spawn(self._wheel.run(), "probes")
        self._spawn(self._fresh.run(), "fresh connections")
        await self._look()
        self._spawn(self._look_on(), "snapshots")
        self._spawn(self._ports.run(), "service ports")
        # A garbage collection through all that was imported takes 70 ms, in which no signal is taken.
        gc.freeze()

    async def stop(self) -> None:
        """Stop watching; incidents that are open are noted as no longer watched. Safe to call again."""
        self._incidents.end()
        await self._recorder.flush()
        tasks = list(self._tasks)
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._sight.aclose()
        await self._kernel.aclose()
        await self._upkeep.aclose()
        await self._fresh.aclose()
        await self._wheel.aclose()

    @contextmanager
    def maintenance(self, nodes: Iterable[str], reason: str) -> Iterator[None]:
        """Declare a planned start, stop or restart of `nodes`: it does not alarm while the block runs."""
        named = tuple(nodes)
        self._incidents.settle(named)
        with self._maintenance.window(named, reason, self._is_down):
            yield
        self._look_now.set()

    def settle(self) -> None:
        """Take what was wrong so far for put in order: whatever comes now is another incident."""
        self._incidents.settle_all()

    def client_window(self, window: Window) -> None:
        """Take one second of the load's figures."""
        if self._client.begins_anew(window):
            self._correlator.forget_load(window.at)
        nodes = self.snapshot.nodes if self.snapshot else ()
        reached_at = {node.address.rpartition("//")[2]: node.name for node in nodes}
        for seen in self._client.read(window, reached_at):
            self._take(seen)

    async def wait(self, after: float, timeout_s: float) -> Detection | None:
        """Return the first detection made at or after monotonic `after`, be it made already; else None."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self._made or self._made[-1].at < after:
                    await self._news.wait()
        return next((made for made in self._made if made.at >= after), None)

    async def until_quiet(self, timeout_s: float) -> bool:
        """Wait until no incident is open; False if that takes longer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while len(self._incidents):
                    await self._looked.wait()
        return not len(self._incidents)

    async def recorded(self) -> bool:
        """Wait until the incidents so far are written down; False if the disk takes longer than 2 s."""
        return await self._recorder.flush()

    def _keep(self, detection: Detection) -> None:
        self._last_new = detection.at
        self._rollout.detected(detection)
        self._look_now.set()
        self._made.append(detection)
        # Who waits has this event, and whoever waits from now on the next one.
        self._news.set()
        self._news = asyncio.Event()

    def _take(self, seen: Signal) -> None:
        self._sight.take(seen, self._take_seen)

    def _take_seen(self, seen: Signal) -> Condition | None:
        self._rollout.take(seen)
        return None if self._upkeep.excuses(seen) else self._correlator.take(seen)

    def _is_down(self, node: str) -> bool:
        """Whether a node is down as planned, rather than in an incident."""
        if self._incidents.of(node) is not None:
            return False
        return node in self._kernel.ended or not self._wheel.is_well(node)

    def _notified(self, seen: Signal) -> None:
        """Take what the kernel or the engine reports."""
        self._take(seen)
        if seen.kind == "running" and seen.node is not None:
            self._correlator.started(seen.node)
            self._look_now.set()

    def _leaves(self, node: str, raw: str, grace_s: float) -> None:
        """A node is shut down gracefully by somebody else: no alarm, unless it does not come back."""
        self._maintenance.leave(node, raw, grace_s=grace_s)
        self._emit(
            Notice(
                f"{node} is being taken down gracefully outside operator ({raw}): no alarm until it is back."
            )
        )

    def _probed_bad(self, seen: Signal) -> None:
        self._sight.take(seen, self._take_probed)

    def _take_probed(self, seen: Signal) -> None:
        condition = self._take_seen(seen)
        if condition is not None and condition.count == 1:
            self._last_new = seen.at
            self._look_now.set()
            if seen.kind == "silent" and seen.node is not None:
                self._kernel.ask(seen.node)
                self._upkeep.ask(seen.node)

    def _probed_good(self, target: ProbeTarget) -> None:
        if len(self._correlator.conditions):
            self._take(signal("answers", target.node, "answers", via=target.via))
            self._take(signal("healthy", target.node, "healthy", via=target.via))
        if len(self._incidents):
            self._correlator.answered(target.node)
        down = self._maintenance.planned_down(target.node)
        if down and all(self._wheel.healthy(target.node).values()):
            self._maintenance.healthy(target.node)
            if not self._maintenance.planned_down(target.node):
                self._look_now.set()  # see that it was restarted while that is still expected

    async def _look_on(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_pause_s()):
                    await self._look_now.wait()
            self._look_now.clear()
            await self._look()

    def _look_pause_s(self) -> float:
        took = self.snapshot.took_s if self.snapshot else 0.0
        if not len(self._correlator.conditions) and not len(self._incidents):
            return max(self._look_s, 2 * took)
        new = time.monotonic() - self._last_new < QUICK_FOR_S
        return max(QUICK_LOOK_S if new else UNREST_LOOK_S, took)

    async def _look(self) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(LOOK_BOUND_S):
                snapshot = await self._cluster.subject.observe()
        except (SubjectError, TimeoutError) as error:
            self._unseen(str(error) or f"no snapshot within {LOOK_BOUND_S:.0f} s")
            return
        except Exception as error:  # noqa: BLE001 - whatever a stranger's server answers, the watching goes on
            self._unseen(f"an answer that could not be read: {type(error).__name__}: {error}")
            return
        self._read(snapshot, began)

    def _unseen(self, raw: str) -> None:
        self.looked_at = time.monotonic()
        self._take(signal("unseen", None, raw))

    def _read(self, snapshot: ClusterSnapshot, began: float) -> None:
        nodes = [node.name for node in snapshot.nodes]
        before = [node.name for node in self.snapshot.nodes] if self.snapshot else nodes
        self.snapshot, self.seen_at, self.looked_at = snapshot, began, time.monotonic()
        if snapshot.state is ClusterState.HEALTHY:
            self._incidents.topology = [
                {"name": node.name, "role": node.role.value, "version": node.version}
                for node in snapshot.nodes
            ]
        targets = tuple(targets_of(self._cluster.subject))
        held = {target.node for target in targets if target.via == CLIENT_PORT}
        self._rollout.read(snapshot, began)
        shown = self._diff.read(snapshot, began, held=held, excused=self._excused(nodes))
        for seen in chain(shown, self._waits.read(snapshot)):
            if meaning(seen.kind).weight is not Weight.ALL_CLEAR or len(self._correlator.conditions):
                self._take(seen)
        self._correlator.told_late(node.name for node in snapshot.nodes if node.process.delayed)
        if snapshot.leader is not None:
            self._correlator.led_by(snapshot.leader)
        # A member may come back under another address.
        self._wheel.set_targets(targets)
        for node in set(before) - set(nodes):
            self._diff.forget(node)
            self._correlator.conditions.forget(node)
        self._correlator.forget_load(time.monotonic() - STALE_S)
        self._correlator.settle(nodes)
        self._looked.set()
        self._looked = asyncio.Event()

    def _excused(self, nodes: Sequence[str]) -> Collection[str]:
        """Return the nodes whose loss of the lead is explained by a planned act or their own incident."""
        if self._maintenance.recently(nodes, 10.0):
            return nodes
        return [node for incident in self._incidents for node in incident.nodes]

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"monitor {name}")
        told_if_it_fails(task, self._emit)
        self._tasks.append(task)


def _allow_connections(wanted: int) -> None:
    """Raise the soft limit of open files where a large cluster needs more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * wanted + 256
    if soft != resource.RLIM_INFINITY and soft < needed:
        limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
