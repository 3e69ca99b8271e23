"""A cluster of operator's own on Kubernetes: StatefulSets in a namespace of its own, an agent in each pod.

Everything that is done to a member is done in its pod, by its agent, and is undone there when its time is
over: neither a killed operator nor a lost API server strands it. Only a CPU limit is the API server's, and
what no agent can do is done by Chaos Mesh where that is installed.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from subjects.base import (
    Capability,
    Control,
    DeadMansSwitch,
    Deployment,
    Direction,
    Identity,
    Kill,
    Lifecycle,
    Limits,
    LinkRule,
    Network,
    Nodes,
    Pause,
    Placed,
    Primitive,
    ProcessState,
    ProcessView,
    RuntimeEvent,
    Scope,
    SeenThrough,
)
from subjects.base.control import can, cannot
from subjects.errors import NotReady, StaleTarget, SubjectError, Unreachable, Unsupported
from subjects.runtimes.json_file import LOCK, laying_out
from subjects.runtimes.kubernetes import canary, layout
from subjects.runtimes.kubernetes.api import Api, Json
from subjects.runtimes.kubernetes.attached import KubernetesNodes
from subjects.runtimes.kubernetes.chaos_mesh import ChaosMesh
from subjects.runtimes.kubernetes.layout import KubernetesLayout
from subjects.runtimes.kubernetes.made import UP_S, Made
from subjects.runtimes.kubernetes.manifest import PROBE, Database
from subjects.runtimes.kubernetes.pod_status import container_status
from subjects.runtimes.kubernetes.pods import Pods
from subjects.runtimes.kubernetes.session import Seen, Session
from subjects.runtimes.kubernetes.way import Way, reachable

START_S = 15.0
"""For a member's process to be there once it is let go."""
IN_SIGHT_S = 2.0
"""How long an agent's stream may take to be open again before its member is told as unknown."""
WAITS_S = 0.3
"""How long a look waits for what the kernel keeps of threads: it is good to have, and no more."""
DEFAULT_TTL_S = 300
MARGIN_S = 30
"""The agent undoes by itself so much later than the healer should have."""
RESIZE_FROM = (1, 33)
"""Kubernetes from this version changes the limits of a running container."""
_LOOK_S = 0.1


class KubernetesRuntime(KubernetesNodes):
    """The pods of one cluster of ours."""

    act_timeout_s = 45.0
    """A graceful stop takes up to 10 s, a stream that broke a few to be open again; what Chaos Mesh does
    not do takes 30 s to be given up."""
    verify_s = 60.0
    """Followers followed again up to 19 s after a cut of 35 s was lifted: TCP waits longer each time."""
    healthy_timeout_s = UP_S
    restarted_by_others = True
    """The kubelet starts again what ends by itself."""

    def __init__(
        self,
        folder: Path,
        known: KubernetesLayout,
        databases: Sequence[Database],
        api: Api,
        pods: Pods,
        way: Way,
        sight: canary.Canary,
        version: tuple[int, int],
    ) -> None:
        super().__init__(api, known.namespace, pods, way, sight)
        self.folder = folder
        self.layout = known
        self.databases = {node: database for database in databases for node in database.nodes}
        self._version = version
        self._made = Made(api, known.namespace, databases, pods)
        self._chaos_mesh = ChaosMesh(api, known.namespace)
        self._sessions: dict[str, Session] = {}
        self._before: dict[str, Seen] = {}
        self._ttl_s = DEFAULT_TTL_S
        self._no_cut = ""
        """Why the network can't be cut here, once that is known."""

    @property
    def place(self) -> str:
        """Where it is."""
        return f"the context {self.api.context} ({self.api.server}), namespace {self.namespace}"

    def capabilities(self) -> Mapping[Primitive, Capability]:
        """Say what can be done with these pods."""
        by_chaos_mesh = self._chaos_mesh.capability
        cut = can("the pod's agent drops what leaves it (ip rule); by itself again when its time is over")
        if self._no_cut:
            refused = cannot(f"the pod's agent may not change its routes: {self._no_cut}")
            cut = by_chaos_mesh if by_chaos_mesh.available else refused
        resize = self._version >= RESIZE_FROM
        return {
            Primitive.KILL: can(
                "the pod's agent sends SIGKILL and holds it down; started when its time is over"
            ),
            Primitive.PAUSE: can("the pod's agent sends SIGSTOP; SIGCONT when its time is over"),
            Primitive.NETWORK_CUT: cut,
            Primitive.NETWORK_ONE_WAY: by_chaos_mesh,
            Primitive.NETWORK_SCOPE: cut,
            Primitive.NETWORK_SHAPE: by_chaos_mesh,
            Primitive.NETWORK_LOSS: cannot("neither the pod's agent nor Chaos Mesh picks single connections"),
            Primitive.DISK_LIMIT: cannot("volumes have no limit of their own that could be put back"),
            Primitive.CPU_LIMIT: can(
                "the API server resizes the pod, live; undone by operator or the healer, never by itself"
            )
            if resize
            else cannot(
                f"pods are resized from Kubernetes 1.33 on, this is {'.'.join(map(str, self._version))}"
            ),
            Primitive.RESTART: can("the pod's agent sends SIGTERM, and lets it start again"),
        }

    def arm(self, ttl_s: float) -> None:
        """Have whatever is done from now on undo itself, in its pod, so much later."""
        self._ttl_s = int(ttl_s) + MARGIN_S

    async def up(self) -> None:
        """Make the namespace and what is in it; returns when the members' processes run.

        LaidOutMeanwhile as with local processes.
        """
        if not self.layout.namespace_uid:
            async with laying_out(self.folder, self.layout, layout.load, layout.save):
                pass
        uid = await self._made.make_namespace(self.layout.namespace_uid)
        if self.layout.namespace_uid != uid:
            self.layout = replace(self.layout, namespace_uid=uid)
            layout.save(self.layout, self.folder)
        self._no_cut = await self._made.make_all()
        await self._made.wait_running(self._running)
        await self.find_out()

    async def down(self) -> None:
        """Delete the namespace, if it is the one that was made, and wait until it is gone."""
        await self._close_sessions()
        await self._made.remove(self.layout.namespace_uid)
        for name in (layout.FILE, LOCK):
            (self.folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.folder.rmdir()
        self.layout = replace(self.layout, namespace_uid="")

    async def inspect(self, node: str) -> ProcessView:
        """Ask the pod's agent; what the API server says of a pod without one comes a second later."""
        session = await self._session(node)
        if session is not None and (seen := await session.latest(IN_SIGHT_S)) is not None:
            return await self._with_waits(session, self._with_reason(node, seen.view))
        by_api = await super().inspect(node)
        if by_api.state is ProcessState.EXITED and not self._agent_runs(node):
            return by_api
        raw = f"the agent in the pod {node} does not answer; the API server says: {by_api.raw}"
        return ProcessView(ProcessState.UNKNOWN, raw=raw)

    def startable(self, node: str) -> Capability:
        """Say whether the pod and its agent are there."""
        if self.pods.get(node) is None:
            return cannot(f"there is no pod {node}")
        if not self._agent_runs(node):
            return cannot(f"the agent's container in the pod {node} does not run")
        return can("its pod's agent lets it start again")

    async def start(self, node: str) -> None:
        """Let a member that is held down start on its own data; does nothing for one that runs."""
        session = await self._require_session(node)
        await session.ask("start")
        deadline = time.monotonic() + START_S
        while (seen := session.parse(await session.ask("see"))) is None or seen.state == "-":
            if time.monotonic() > deadline:
                raise NotReady(
                    f"{node} was let go and has not started within {START_S:g} s: "
                    f"{self.pods.view(node).raw}. `kubectl describe pod -n {self.namespace} {node}`."
                )
            await asyncio.sleep(_LOOK_S)

    async def stop(self, node: str, timeout_s: float) -> None:
        """SIGTERM, and SIGKILL after `timeout_s`; it stays down until it is started."""
        session = await self._require_session(node)
        seen = session.parse(await session.ask("see"))
        if seen is None or seen.state == "-":
            return
        with contextlib.suppress(StaleTarget):
            await session.ask("stop", seen.pid, seen.start, self._ttl_s)
            if not await self._ended(session, seen, timeout_s):
                await session.ask("force", seen.pid, seen.start)
                await self._ended(session, seen, timeout_s)

    async def kill(self, node: str, identity: Identity) -> None:
        """SIGKILL that very process, and hold it down."""
        await self._act(node, identity, "kill", self._ttl_s)

    async def pause(self, node: str, identity: Identity) -> None:
        """SIGSTOP that very process."""
        await self._act(node, identity, "pause", self._ttl_s)

    async def resume(self, node: str, identity: Identity) -> None:
        """SIGCONT that very process."""
        await self._act(node, identity, "resume")

    async def network(self) -> tuple[LinkRule, ...]:
        """Return what is in force, as the pods themselves and Chaos Mesh have it."""
        return (*await self._cuts(), *await self._chaos_mesh.rules())

    async def set_network(self, rules: Sequence[LinkRule]) -> None:
        """Cut members off, slow them down and let them back, until just these rules are in force."""
        ours = [rule for rule in rules if self._is_for_agents(rule)]
        theirs = [rule for rule in rules if rule not in ours]
        new = await self._chaos_mesh.new(theirs)
        await self._set_cuts(ours)
        await self._chaos_mesh.end_all_but(theirs)
        for rule in new:
            others = [node for node in self.databases if node != rule.node]
            await self._chaos_mesh.put(rule, others, self._ttl_s)

    def _is_for_agents(self, rule: LinkRule) -> bool:
        """Whether the pods' agents carry it out: what they drop is dropped both ways."""
        return rule.effect == "cut" and rule.direction is Direction.BOTH and not self._no_cut

    async def _cuts(self) -> tuple[LinkRule, ...]:
        nodes = [node for node in self.pods.names if self.pods.get(node) is not None]
        scopes = await asyncio.gather(*(self._cut_of(node) for node in nodes))
        return tuple(
            LinkRule(node, "cut", scope=scope) for node, scope in zip(nodes, scopes, strict=True) if scope
        )

    async def _set_cuts(self, rules: Sequence[LinkRule]) -> None:
        present = {rule.node: rule.scope for rule in await self._cuts()}
        wanted = {
            node: _union({r.scope for r in rules if r.node == node}) for node in {r.node for r in rules}
        }
        for node in sorted(present.keys() | wanted.keys()):
            if present.get(node) == wanted.get(node):
                continue
            session = await self._require_session(node)
            if (scope := wanted.get(node)) is None:
                await session.ask("uncut")
            else:
                await session.ask("cut", self._ttl_s, scope.value, *self._addresses(node))

    async def limits(self, node: str) -> Mapping[str, float | None]:
        """Return the share of the cores."""
        pod = await self.api.get(self._pod_path(node))
        return {"cpu_share": _cpu_limit(pod, self.databases[node].name)}

    async def set_limit(self, node: str, identity: Identity, name: str, value: float | None) -> None:
        """Set the share of the cores, live."""
        if name != "cpu_share":
            raise Unsupported(f"{name} cannot be set on {self.name}: cpu_share is the only limit there is.")
        if value is None:
            raise Unsupported("Kubernetes does not take a limit away once it is there.")
        await self._require(node, identity)
        wanted = _quantity(max(value, 0.01))  # the least that the kernel's scheduler grants: 1 ms in 100
        container = {"name": self.databases[node].name, "resources": {"limits": {"cpu": wanted}}}
        body = {"metadata": {"uid": identity.id}, "spec": {"containers": [container]}}
        await self.api.call(
            "PATCH",
            f"{self._pod_path(node)}/resize",
            body=body,
            content="application/strategic-merge-patch+json",
        )
        deadline = time.monotonic() + self.act_timeout_s / 2
        while (await self.limits(node))["cpu_share"] != cores(wanted):
            if time.monotonic() > deadline:
                raise NotReady(f"The limit of {node} was asked for and is not in force.")
            await asyncio.sleep(_LOOK_S)

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        """Yield what the agents tell, and what only the API server knows."""
        for node in self.pods.names:
            await self._session(node)
        async with contextlib.aclosing(super().events()) as happened:  # type: ignore[type-var]
            async for event in happened:
                yield event

    def spread_of_api(self, event: RuntimeEvent) -> None:
        """Tell an event of the pod watch: of a process only where its agent does not, which is quicker."""
        session = self._sessions.get(event.node)
        if event.kind in ("leaving", "oom", "evicted") or session is None or not session.fresh:
            self.spread(event)

    async def aclose(self) -> None:
        """Close what is held open; what was done in the pods stays."""
        await self._close_sessions()
        await super().aclose()

    async def _close_sessions(self) -> None:
        for session in list(self._sessions.values()):
            await session.aclose()
        self._sessions.clear()

    async def _act(self, node: str, identity: Identity, command: str, *words: object) -> None:
        session = await self._require_session(node)
        if session.uid != identity.id:
            raise StaleTarget(f"{node} is another pod by now ({session.uid}, not {identity.id}).")
        pid, _, start = identity.started.partition(" at ")
        if not start:
            raise StaleTarget(f"{node} is not known as {identity.started!r}.")
        await session.ask(command, pid, start, *words)

    async def _require(self, node: str, identity: Identity) -> None:
        view = await self.inspect(node)
        if view.identity != identity:
            raise StaleTarget(f"{node} is no longer {identity.id[:12]} ({identity.started}): {view.raw}.")

    async def _cut_of(self, node: str) -> Scope | None:
        said = await (await self._require_session(node)).ask("rules")
        return Scope(said) if said in tuple(Scope) else None

    def _addresses(self, node: str) -> list[str]:
        """Return the addresses of the other members."""
        others = [pod for name, pod in self.pods.all() if name != node]
        return [ip for pod in others if (ip := (pod.get("status") or {}).get("podIP"))]

    async def _session(self, node: str) -> Session | None:
        """Return the stream into the pod of that name; None while there is no pod."""
        pod, known = self.pods.get(node), self._sessions.get(node)
        uid = pod["metadata"]["uid"] if pod is not None else None
        if known is not None and known.uid != uid:
            del self._sessions[node]
            await known.aclose()
            known = None
        if known is None and uid is not None and pod is not None and self._agent_runs(node):
            known = Session(self.api, self.namespace, node, uid, self._told)
            self._sessions[node] = known
        return known

    async def _require_session(self, node: str) -> Session:
        session = await self._session(node)
        if session is None:
            raw = self.pods.view(node).raw
            raise Unreachable(f"The pod {node} is not there, or its agent does not run: {raw}.")
        return session

    def _agent_runs(self, node: str) -> bool:
        pod = self.pods.get(node)
        return pod is not None and "running" in (container_status(pod, "agent").get("state") or {})

    def _told(self, seen: Seen) -> None:
        """Make events of what an agent says."""
        before, self._before[seen.pod] = self._before.get(seen.pod), seen
        if before is None or before.uid != seen.uid:
            if before is not None and seen.state != "-":
                self._happened(seen, "start")
            return
        another = (before.pid, before.start) != (seen.pid, seen.start)
        if before.state != "-" and (another or seen.state == "-"):
            self._happened(seen if not another else replace(before, state="-", code=None), "exit")
        if seen.state != "-" and (another or before.state == "-"):
            self._happened(seen, "start")
        elif before.state != "-" and seen.state != "-" and before.state != seen.state:
            self._happened(seen, "stopped" if seen.state == "T" else "continued")

    def _happened(self, seen: Seen, kind: str) -> None:
        view = seen.view
        self.spread(RuntimeEvent(seen.pod, kind, time.monotonic(), view.raw, view.exit_code))  # type: ignore[arg-type]

    def _with_reason(self, node: str, view: ProcessView) -> ProcessView:
        """Add what only the API server knows of an end: whether memory ran out."""
        by_api = self.pods.view(node)
        if view.state is ProcessState.EXITED and by_api.oom_killed:
            return replace(view, oom_killed=True, raw=f"{view.raw}; {by_api.raw}")
        return view

    async def _with_waits(self, session: Session, view: ProcessView) -> ProcessView:
        """Add how long its threads ran, and waited for a processor, where that is told at once."""
        if view.state is not ProcessState.RUNNING:
            return view
        with contextlib.suppress(SubjectError, ValueError):
            ran, waited = map(int, (await session.ask("waits", timeout_s=WAITS_S)).split())
            if ran:
                return replace(view, ran_s=ran / 1e9, waited_s=waited / 1e9)
        return view

    async def _ended(self, session: Session, known: Seen, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            seen = session.parse(await session.ask("see"))
            if seen is None or seen.state == "-" or (seen.pid, seen.start) != (known.pid, known.start):
                return True
            await asyncio.sleep(_LOOK_S / 2)
        return False

    def _pod_path(self, node: str) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{node}"

    def _running(self) -> Collection[str]:
        return {
            node
            for node in self.databases
            if self.pods.view(node).state is ProcessState.RUNNING and self._agent_runs(node)
        }

    async def _straight(self) -> bool:
        ports = {node: next(iter(database.ports.values())) for node, database in self.databases.items()}
        there = [(name, (pod.get("status") or {}).get("podIP")) for name, pod in self.pods.all()]
        return await reachable([(ip, ports[name]) for name, ip in there if ip and name in ports])

    async def _try_cut(self) -> None:
        """Find out whether agents can cut the network on these nodes' kernels."""
        if self._no_cut:
            return
        try:
            await (await self._require_session(next(iter(self.databases)))).ask("trial")
        except SubjectError as error:
            self._no_cut = str(error).rstrip(".")

    async def find_out(self) -> None:
        """Of a cluster that runs already: how it is reached, and what can be done to it."""
        await self._chaos_mesh.find()
        if self._running():
            self.way.probe = (PROBE, PROBE)
            if await self._straight():
                self.way.mode = "straight"
            await self._try_cut()


def _union(scopes: set[Scope]) -> Scope:
    return scopes.pop() if len(scopes) == 1 else Scope.BOTH


def cores(quantity: str) -> float:
    """Return a quantity of processors as Kubernetes writes it (`1`, `0.5`, `20m`) in cores."""
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def _quantity(value: float) -> str:
    """Return cores as a quantity, in whole thousandths."""
    return f"{round(value * 1000)}m"


def _cpu_limit(pod: Json, container: str) -> float | None:
    """Return the limit in force: what the kubelet says, which may be behind what was asked for."""
    said = (container_status(pod, container).get("resources") or {}).get("limits") or {}
    return cores(str(said["cpu"])) if "cpu" in said else None


def _proof(
    runtime: KubernetesRuntime,
) -> tuple[
    Nodes,
    Control,
    Deployment,
    Lifecycle,
    Kill,
    Pause,
    Network,
    Limits,
    DeadMansSwitch,
    Placed,
    SeenThrough,
]:
    return (runtime,) * 11
