"""Nodes as local processes: a folder each, what the kernel reports of each, one network process for all."""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path

from subjects.base import (
    Capability,
    Control,
    Deployment,
    Identity,
    Kill,
    Lifecycle,
    Limits,
    LinkRule,
    LogLine,
    Network,
    Nodes,
    Pause,
    Primitive,
    ProcessState,
    ProcessView,
    RuntimeEvent,
)
from subjects.base.control import can, cannot
from subjects.errors import NotReady, StaleTarget
from subjects.runtimes import cgroup, identity, layout, logtime
from subjects.runtimes.filelock import locked
from subjects.runtimes.json_file import laying_out
from subjects.runtimes.network import control, rules
from subjects.runtimes.node_processes import NodeProcesses
from subjects.runtimes.oom import oom_killed, oom_kills
from subjects.runtimes.process_events import watch
from subjects.runtimes.process_limits import ProcessLimits, cpu_capability, disk_capability
from subjects.runtimes.supervisor import describe_exit, spawn
from subjects.scrub import public_environment

LOCK_TIMEOUT_S = 5.0
_KILL_TIMEOUT_S = 5.0
_TAIL_BYTES = 4 << 20
"""How far back a log is read."""

SIGKILLED = 137
"""The exit code of a process that was killed with SIGKILL."""


class ProcessRuntime:
    """The nodes of one embedded cluster. All it knows is in its folder, so a later run finds it again."""

    name = "process"
    act_timeout_s = 40.0
    """The longest act, a graceful stop, takes 30 s of TiKV, and its end by force 5 s more."""
    verify_s = 15.0
    """etcd takes 0.1 s, after a lost leader 2 s (measured)."""
    healthy_timeout_s = 30.0
    """etcd takes 2.5 s (measured)."""
    restarted_by_others = False

    def __init__(self, folder: Path, cluster: layout.Layout) -> None:
        self.folder = folder
        self.layout = cluster
        self._processes = NodeProcesses(folder, cluster)
        self._oom_kills: dict[Identity, int | None] = {}
        """The kernel's count of OOM kills when each process was seen first."""

    def capabilities(self) -> Mapping[Primitive, Capability]:
        """Say what can be done here."""
        proxied = can("in the network process that all connections pass")
        return {
            Primitive.KILL: can("SIGKILL, through a pidfd on Linux"),
            Primitive.PAUSE: can("SIGSTOP and SIGCONT"),
            Primitive.NETWORK_CUT: proxied,
            Primitive.NETWORK_ONE_WAY: proxied,
            Primitive.NETWORK_SCOPE: proxied,
            Primitive.NETWORK_SHAPE: proxied,
            Primitive.NETWORK_LOSS: proxied,
            Primitive.DISK_LIMIT: disk_capability(),
            Primitive.CPU_LIMIT: cpu_capability(),
            Primitive.RESTART: can("SIGTERM, then start"),
        }

    async def up(self) -> None:
        """Start the network, then every node that does not run, those first that others wait for.

        LaidOutMeanwhile when another operator has laid the cluster out in the same moment.
        """
        async with laying_out(self.folder, self.layout, layout.load, layout.save):
            await control.ensure(self.folder, self.layout)
        order = TopologicalSorter({node.name: node.after for node in self.layout.nodes})
        order.prepare()
        while order.is_active():
            ready = order.get_ready()
            await asyncio.gather(*(self._start_or_adopt(node) for node in ready))
            order.done(*ready)

    async def down(self) -> None:
        """Kill every node and the network, and delete the folder: the data is throwaway."""
        for spec in self.layout.nodes:
            node = spec.name
            for known in (self._processes.running(node), await self._processes.unrecorded(node)):
                if known is not None:
                    await self._end(known)
            self._limits(node).forget()
        await control.stop(self.folder)
        await asyncio.to_thread(_delete, self.folder)

    async def inspect(self, node: str) -> ProcessView:
        """Ask the kernel."""
        recorded = self._processes.recorded(node)
        if recorded is None:
            return ProcessView(ProcessState.EXITED, raw="it was never started")
        now = identity.state(recorded)
        if now is ProcessState.EXITED and (stranger := await self._processes.adopted(node)) is not None:
            recorded, now = stranger, identity.state(stranger)
        if now is not ProcessState.EXITED:
            if recorded not in self._oom_kills:
                self._oom_kills[recorded] = oom_kills()
            ran_s, waited_s = identity.cpu_time(int(recorded.id)) or (None, None)
            return ProcessView(
                now,
                recorded,
                ran_s=ran_s,
                waited_s=waited_s,
                throttled_s=cgroup.throttled_s(int(recorded.id)),
                raw=f"process {recorded.id} is {now}",
            )
        code = await self._processes.wait_exit_code(node, recorded)
        how = "how it ended is not known" if code is None else describe_exit(code)
        oom = None
        if code == SIGKILLED:
            oom = await asyncio.to_thread(oom_killed, int(recorded.id), self._oom_kills.get(recorded))
        raw = f"process {recorded.id} has ended: {how}"
        return ProcessView(now, None, exit_code=code, oom_killed=oom, raw=raw)

    async def start(self, node: str) -> None:
        """Start the node on its own data unless it runs. StaleTarget if somebody else has started it.

        Its links lead through the network process: that is started, too, if it has died.
        """
        spec = self.layout.spec(node)
        if self.layout.links:
            await control.ensure(self.folder, self.layout)
        home = self._processes.home(node)
        home.mkdir(parents=True, exist_ok=True)
        async with locked(home / "lock", LOCK_TIMEOUT_S):
            if (present := self._processes.running(node)) is not None:
                if not identity.ending(present):
                    return
                if not await identity.wait_exit(present, _KILL_TIMEOUT_S):
                    raise NotReady(
                        f"{node} was killed, and the kernel has not ended process {present.id} yet."
                    )
            stranger = await self._processes.unrecorded(node)
            if stranger is not None:
                self._processes.record(node, stranger)
                raise StaleTarget(
                    f"{node} runs already (process {stranger.id}): it was started outside operator."
                )
            self._limits(node).forget()
            environment = {**public_environment(), **spec.env}
            started = identity.identify(await spawn(spec.argv, home, env=environment, piped=True))
            if started is None:
                raise NotReady(f"{node} ended as soon as it was started: {_last_line(home / 'log')}")
            self._processes.record(node, started)

    async def stop(self, node: str, timeout_s: float) -> None:
        """SIGTERM, and SIGKILL after `timeout_s`."""
        known = self._processes.running(node)
        if known is None:
            return
        with contextlib.suppress(StaleTarget):
            identity.send_signal(known, signal.SIGTERM)
            identity.send_signal(known, signal.SIGCONT)
        if not await identity.wait_exit(known, timeout_s):
            await self._end(known)

    def startable(self, node: str) -> Capability:
        """Say whether the node's program and its data are where they were when it was started."""
        program = Path(self.layout.spec(node).argv[0])
        if not os.access(program, os.X_OK):
            return cannot(f"its program {program} is not there any more, or can't be run")
        return can(f"with {program}")

    async def kill(self, node: str, identity: Identity) -> None:
        """SIGKILL that very process."""
        self._signal(node, identity, signal.SIGKILL)

    async def pause(self, node: str, identity: Identity) -> None:
        """SIGSTOP that very process."""
        self._signal(node, identity, signal.SIGSTOP)

    async def resume(self, node: str, identity: Identity) -> None:
        """SIGCONT that very process."""
        self._signal(node, identity, signal.SIGCONT)

    async def network(self) -> tuple[LinkRule, ...]:
        """Return the rules in force."""
        return rules.read_rules(self.folder)[1]

    async def set_network(self, rules: Sequence[LinkRule]) -> None:
        """Put exactly these rules in force; starts the network process if it has died."""
        await control.apply(self.folder, self.layout, rules)

    async def limits(self, node: str) -> Mapping[str, float | None]:
        """Return the limits in force on the node's process."""
        return self._limits(node).in_force(self._processes.running(node))

    async def set_limit(self, node: str, identity: Identity, name: str, value: float | None) -> None:
        """Set the largest file that the process may write, or its share of the cores, while it runs."""
        self._processes.require(node, identity)
        self._limits(node).set(identity, name, value)

    async def logs(self, node: str, since: float | None = None, limit: int = 500) -> list[LogLine]:
        """Return the last lines of the node's log file."""
        log = _tail(self._processes.home(node) / "log")
        return await asyncio.to_thread(logtime.lines, node, log, since, limit)

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        """Yield the kernel's notifications."""
        async with contextlib.aclosing(watch(self.layout, self._processes)) as happened:
            async for event in happened:
                yield event

    async def aclose(self) -> None:
        """Nothing is held open between calls."""

    def _limits(self, node: str) -> ProcessLimits:
        return ProcessLimits(self.folder, node, self._processes.home(node))

    async def _start_or_adopt(self, node: str) -> None:
        with contextlib.suppress(StaleTarget):
            await self.start(node)

    def _signal(self, node: str, target: Identity, number: signal.Signals) -> None:
        self._processes.require(node, target)
        identity.send_signal(target, number)

    async def _end(self, known: Identity) -> None:
        with contextlib.suppress(StaleTarget):
            identity.send_signal(known, signal.SIGKILL)
        await identity.wait_exit(known, _KILL_TIMEOUT_S)


def _delete(folder: Path) -> None:
    """Delete the folder; supervisors may still write down how their programs ended, so it is tried again."""
    deadline = time.monotonic() + _KILL_TIMEOUT_S
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)


def _tail(path: Path) -> Iterator[str]:
    """Yield the last lines, one by one: a log may be of any size."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as handle:
        size = handle.seek(0, 2)
        handle.seek(max(0, size - _TAIL_BYTES))
        for line in handle:
            yield line.decode(errors="replace").rstrip("\r\n")


def _last_line(path: Path) -> str:
    last = "its log is empty"
    for line in _tail(path):
        last = line.strip()[:300] or last
    return last


def _proof(
    runtime: ProcessRuntime,
) -> tuple[Nodes, Control, Deployment, Lifecycle, Kill, Pause, Network, Limits]:
    return (runtime,) * 8
