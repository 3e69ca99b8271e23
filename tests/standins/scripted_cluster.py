"""A cluster in memory whose nodes have real health ports, and whose every view is what a test says it is."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

from subjects.base import (
    Alarm,
    Cluster,
    ClusterSnapshot,
    ClusterState,
    Connection,
    EventKind,
    Health,
    LoadTarget,
    Metric,
    Nodes,
    NodeView,
    Probe,
    ProcessState,
    ProcessView,
    Quorum,
    Role,
    RuntimeEvent,
    Subject,
    UsualAlert,
)
from subjects.etcd.judge import INVARIANTS
from subjects.etcd.targets import TARGETS, USUAL_TARGET
from subjects.runtimes.endpoints import EndpointNodes
from tests.standins.many_nodes import HOST, HealthServer


class ScriptedRuntime(EndpointNodes):
    """Tells the events that it is given, and says of each process what it was told."""

    name = "scripted"

    def __init__(self) -> None:
        self.states: dict[str, ProcessState] = {}
        self.delayed = False
        """Whether it learns of an end late, as the API server of Kubernetes does."""
        self._events: asyncio.Queue[RuntimeEvent] = asyncio.Queue()

    def happens(self, node: str, kind: EventKind, exit_code: int | None = None) -> float:
        """Have the kernel notify of something now; return the monotonic time."""
        at = time.monotonic()
        self.states[node] = {"exit": ProcessState.EXITED, "stopped": ProcessState.PAUSED}.get(
            kind, ProcessState.RUNNING
        )
        self._events.put_nowait(RuntimeEvent(node, kind, at, f"scripted {kind}", exit_code))
        return at

    async def inspect(self, node: str) -> ProcessView:
        """What the kernel would say."""
        state = self.states.get(node, ProcessState.RUNNING)
        return ProcessView(state, delayed=self.delayed, raw=f"scripted {state}")

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        """What `happens`."""
        while True:
            yield await self._events.get()


class ScriptedSubject:
    """Three nodes (or more) with real health ports; `change` edits what a look at one of them shows."""

    name = "etcd"
    targets = TARGETS
    usual_target = USUAL_TARGET
    knowledge = ""
    stop_timeout_s = 1.0
    stall_s = 3.0
    usual_alert = UsualAlert("UsualAlert", 1200.0, "a rule somewhere")

    def __init__(self, runtime: ScriptedRuntime, names: Sequence[str]) -> None:
        self.runtime = runtime
        self.servers = {name: HealthServer() for name in names}
        self.leader: str | None = names[0]
        self.term = 2
        self.alarms: tuple[Alarm, ...] = ()
        self.alarms_known = True
        self.held: bool = True
        self.invariants = INVARIANTS
        self.views: dict[str, NodeView] = {name: _well(name, names) for name in names}
        self.looks = 0
        self.under: dict[str, str] = {}
        """Nodes that say that something is done to them, and what."""
        self.cpu: dict[str, tuple[float, float]] = {}
        """Of each second, for how long each node's threads run, and wait for a processor; else not known."""
        self.apart_s = 0.0
        """Looks are told to be so far apart, beside the time that passes between them."""
        self._used: dict[str, tuple[float, float]] = {}
        self._at = time.time()

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(self.servers)

    @property
    def stores(self) -> tuple[str, ...]:
        return self.nodes

    def watch_address(self, node: str) -> tuple[str, int]:
        return HOST, self.servers[node].port

    def health_request(self, node: str) -> bytes:
        return b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"

    def change(self, node: str, **fields: object) -> None:
        """Have the next look show `fields` of `node`."""
        self.views[node] = replace(self.views[node], **fields)  # type: ignore[arg-type]

    async def observe(self) -> ClusterSnapshot:
        self.looks += 1
        before, self._at = self._at, time.time() + self.looks * self.apart_s
        views = []
        for name in self.nodes:
            process = await self.runtime.inspect(name)
            if name in self.cpu:
                used = zip(self._used.get(name, (0.0, 0.0)), self.cpu[name], strict=True)
                ran_s, waited_s = (so_far + share * (self._at - before) for so_far, share in used)
                self._used[name] = ran_s, waited_s
                process = replace(process, ran_s=ran_s, waited_s=waited_s)
            views.append(replace(self.views[name], process=process))
        up = len(views) if self.held else 0
        return ClusterSnapshot(
            at=self._at,
            took_s=0.0,
            nodes=tuple(views),
            leader=self.leader,
            term=self.term,
            quorum=Quorum(len(views), up),
            state=ClusterState.HEALTHY,
            alarms=self.alarms,
            alarms_known=self.alarms_known,
        )

    async def probe(self, node: str, timeout_s: float) -> Probe:
        return Probe(Connection.ACCEPTED, Health.HEALTHY)

    async def metrics(self, node: str, names: Sequence[str]) -> list[Metric]:
        return []

    async def upkeep(self, node: str) -> str | None:
        return self.under.get(node)

    async def prepare(self) -> str:
        return ""

    def load_target(self, wanted: str = "auto") -> LoadTarget:
        return LoadTarget("", ())

    async def join(self, name: str) -> None:
        """Make a new member."""
        self.servers[name] = HealthServer()
        self.views[name] = _well(name, self.nodes)
        await self.servers[name].start()

    def leave(self, name: str) -> None:
        """Take a member out, and end it."""
        self.servers.pop(name).die()
        self.views.pop(name)

    async def aclose(self) -> None:
        for server in self.servers.values():
            server.die()


async def scripted_cluster(
    names: Sequence[str] = ("n1", "n2", "n3"),
) -> tuple[Cluster, ScriptedSubject, ScriptedRuntime]:
    """Return a cluster whose ports listen."""
    runtime = ScriptedRuntime()
    subject = ScriptedSubject(runtime, names)
    for server in subject.servers.values():
        await server.start()
    return Cluster("scripted", subject, runtime), subject, runtime


def _well(name: str, names: Sequence[str]) -> NodeView:
    peers: Mapping[str, bool] = {other: True for other in names if other != name}
    return NodeView(
        name=name,
        role=Role.FOLLOWER,
        address=f"{HOST}:0",
        process=ProcessView(ProcessState.RUNNING),
        client=Probe(Connection.ACCEPTED, Health.HEALTHY),
        itself=Probe(Connection.ACCEPTED, Health.HEALTHY),
        peers=peers,
        started_at=1_000_000.0,
        term=2,
        raft_index=100,
        lag=0,
    )


def _fits(subject: ScriptedSubject, runtime: ScriptedRuntime) -> tuple[Subject, Nodes]:
    """Static proof that both fit their protocols."""
    return subject, runtime
