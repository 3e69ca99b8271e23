"""Nodes as local processes: a folder each, the kernel's word on each, one network process for all."""

import asyncio
import contextlib
import json
import resource
import shutil
import signal
import time
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from subjects.base import (
    Capability,
    Identity,
    LinkRule,
    LogLine,
    Primitive,
    ProcessState,
    ProcessView,
    Runtime,
    RuntimeEvent,
)
from subjects.errors import NotReady, StaleTarget, Unsupported
from subjects.runtimes import cgroup, identity, layout, logtime
from subjects.runtimes.filelock import locked
from subjects.runtimes.keeper import exit_status, spawn
from subjects.runtimes.network import control, rules
from subjects.runtimes.process_events import watch

_KILL_TIMEOUT_S = 5.0
_LOCK_TIMEOUT_S = 5.0
_SEEK_S = 0.2
_KEEPER_S = 0.2
"""A keeper writes down an end within some milliseconds, or never: it was killed as well."""
_TAIL_BYTES = 4 << 20
"""How far back a log is read."""


class ProcessRuntime:
    """The nodes of one embedded cluster. All it knows is in its folder, so a later run finds it again."""

    name = "process"
    owned = True

    def __init__(self, folder: Path, cluster: layout.Layout) -> None:
        self.folder = folder
        self.layout = cluster
        self._unkept: set[Identity] = set()
        """Ended processes of which no keeper told how."""
        self._sought: dict[str, float] = {}
        """When it was last looked for a process of the node that nobody wrote down."""

    def capabilities(self) -> Mapping[Primitive, Capability]:
        """Say what can be done here."""
        proxied = Capability(available=True, reason="in the network process that all connections pass")
        return {
            Primitive.KILL: Capability(available=True, reason="SIGKILL, through a pidfd on Linux"),
            Primitive.PAUSE: Capability(available=True, reason="SIGSTOP and SIGCONT"),
            Primitive.NETWORK_CUT: proxied,
            Primitive.NETWORK_ONE_WAY: proxied,
            Primitive.NETWORK_SHAPE: proxied,
            Primitive.DISK_LIMIT: _disk_capability(),
            Primitive.CPU_LIMIT: _cpu_capability(),
            Primitive.RESTART: Capability(available=True, reason="SIGTERM, then start"),
            Primitive.CLOCK: Capability(
                available=False,
                reason="processes of a machine share its clock; preloaded libraries don't reach Go programs",
            ),
        }

    async def up(self) -> None:
        """Start the network, then every node that does not run, those first that others wait for."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        layout.save(self.layout, self.folder)
        await control.ensure(self.folder, self.layout)
        started: set[str] = set()
        waiting = list(self.layout.nodes)
        while waiting:
            ready = [node for node in waiting if started.issuperset(node.after)]
            if not ready:
                raise NotReady(f"{', '.join(node.name for node in waiting)} wait for each other.")
            await asyncio.gather(*(self._start_or_adopt(node.name) for node in ready))
            started.update(node.name for node in ready)
            waiting = [node for node in waiting if node.name not in started]

    async def down(self) -> None:
        """Kill every node and the network, and delete the folder: the data is throwaway."""
        for spec in self.layout.nodes:
            for known in (self._identity(spec.name), await asyncio.to_thread(self._orphan, spec)):
                if known is not None:
                    await self._end(known)
            self._lift_cpu(spec.name)
        await control.stop(self.folder)
        await asyncio.to_thread(_delete, self.folder)

    async def inspect(self, node: str) -> ProcessView:
        """Ask the kernel."""
        recorded = self._recorded(node)
        if recorded is None:
            return ProcessView(ProcessState.EXITED, raw="it was never started")
        now = identity.state(recorded)
        if now is ProcessState.EXITED and (stranger := await self._adopted(node)) is not None:
            recorded, now = stranger, identity.state(stranger)
        if now is not ProcessState.EXITED:
            return ProcessView(now, recorded, raw=f"process {recorded.id} is {now}")
        code = await self._exit_status(node, recorded)
        how = "how it ended is not known" if code is None else describe_exit(code)
        return ProcessView(now, None, exit_code=code, raw=f"process {recorded.id} has ended: {how}")

    async def start(self, node: str) -> None:
        """Start the node on its own data unless it runs. StaleTarget if somebody else has started it."""
        spec = self.layout.spec(node)
        home = self._home(node)
        home.mkdir(parents=True, exist_ok=True)
        async with locked(home / "lock", _LOCK_TIMEOUT_S):
            if self._identity(node) is not None:
                return
            stranger = await asyncio.to_thread(self._orphan, spec)
            if stranger is not None:
                self._record(node, stranger)
                raise StaleTarget(f"{node} runs already, as process {stranger.id}: somebody else started it.")
            self._lift_cpu(node)  # what an earlier process of it was limited to
            started = identity.identify(await spawn(spec.argv, home, env=spec.env))
            if started is None:
                raise NotReady(f"{node} ended as soon as it was started: {_last_line(home / 'log')}")
            self._record(node, started)

    async def stop(self, node: str, timeout_s: float = 10.0) -> None:
        """SIGTERM, and SIGKILL after `timeout_s`."""
        known = self._identity(node)
        if known is None:
            return
        with contextlib.suppress(StaleTarget):
            identity.send_signal(known, signal.SIGTERM)
            identity.send_signal(known, signal.SIGCONT)
        if not await identity.wait_exit(known, timeout_s):
            await self._end(known)

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
        known = self._identity(node)
        disk: float | None = None
        if known is not None and _disk_capability().available:
            soft = resource.prlimit(int(known.id), resource.RLIMIT_FSIZE)[0]
            disk = None if soft == resource.RLIM_INFINITY else float(soft)
        return {"disk_bytes": disk, "cpu_share": cgroup.share(self._group(node))}

    async def set_limit(self, node: str, identity: Identity, name: str, value: float | None) -> None:
        """Set the largest file that the process may write, or its share of the cores, while it runs."""
        self._require(node, identity)
        pid = int(identity.id)
        if name == "cpu_share":
            self._set_cpu(node, pid, value)
        elif name == "disk_bytes":
            soft = resource.RLIM_INFINITY if value is None else int(value)
            # Only the soft limit is lowered: an unprivileged process can't raise a hard one again.
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
        else:
            raise Unsupported(f"There is no limit {name!r}: disk_bytes and cpu_share are those there are.")

    async def logs(self, node: str, since: float | None = None, limit: int = 500) -> list[LogLine]:
        """Return the last lines of the node's log file."""
        text = await asyncio.to_thread(_tail, self._home(node) / "log")
        return logtime.lines(node, text, since, limit)

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        """Yield the kernel's notifications."""
        async with contextlib.aclosing(watch(self)) as happened:
            async for event in happened:
                yield event

    async def aclose(self) -> None:
        """Nothing is held open between calls."""

    def identity_of(self, node: str) -> Identity | None:
        """Return the node's process if it runs, without asking more than the kernel."""
        return self._identity(node)

    def exit_code_of(self, node: str, ended: Identity) -> int | None:
        """Return how that process ended, if its keeper has written it down yet."""
        return exit_status(self._home(node), int(ended.id))

    def _home(self, node: str) -> Path:
        return self.folder / "nodes" / self.layout.spec(node).name

    def _group(self, node: str) -> str:
        return f"operator-{zlib.crc32(str(self.folder).encode()):08x}-{node}"

    def _recorded(self, node: str) -> Identity | None:
        try:
            raw = json.loads((self._home(node) / "process.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return Identity("process", str(raw["pid"]), raw["started"])

    def _identity(self, node: str) -> Identity | None:
        known = self._recorded(node)
        return None if known is None or identity.state(known) is ProcessState.EXITED else known

    def _set_cpu(self, node: str, pid: int, cores: float | None) -> None:
        """Move the process to a group of its own, or back to where it was: that is written down before."""
        if cores is None:
            cgroup.lift(self._group(node), self._cpu_home(node))
            return
        origin = cgroup.group_of(pid)
        if origin.name != self._group(node):
            layout.write_json(self._home(node) / "cgroup.json", {"home": str(origin)})
        cgroup.set_share(self._group(node), pid, cores)

    def _cpu_home(self, node: str) -> Path | None:
        try:
            return Path(json.loads((self._home(node) / "cgroup.json").read_text())["home"])
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def _lift_cpu(self, node: str) -> None:
        with contextlib.suppress(Unsupported, OSError):
            cgroup.lift(self._group(node), self._cpu_home(node))

    async def _start_or_adopt(self, node: str) -> None:
        with contextlib.suppress(StaleTarget):
            await self.start(node)

    async def _adopted(self, node: str) -> Identity | None:
        """Find out whether somebody else has started the node meanwhile, by hand say; looked for seldom."""
        now = time.monotonic()
        if now - self._sought.get(node, -_SEEK_S) < _SEEK_S:
            return None
        self._sought[node] = now
        spec = self.layout.spec(node)
        async with locked(self._home(node) / "lock", _LOCK_TIMEOUT_S):
            found = self._identity(node) or await asyncio.to_thread(self._orphan, spec)
            if found is not None:
                self._record(node, found)
        return found

    def _record(self, node: str, known: Identity) -> None:
        layout.write_json(self._home(node) / "process.json", {"pid": int(known.id), "started": known.started})

    async def _exit_status(self, node: str, ended: Identity) -> int | None:
        """Read how the process ended; its keeper, which learns of it as we do, is given a moment once."""
        deadline = time.monotonic() + (0 if ended in self._unkept else _KEEPER_S)
        while (code := exit_status(self._home(node), int(ended.id))) is None:
            if time.monotonic() >= deadline:
                self._unkept.add(ended)
                break
            await asyncio.sleep(0.002)
        return code

    def _orphan(self, spec: layout.NodeSpec) -> Identity | None:
        """Find the node's process where nobody wrote down which it is: by its exact command line.

        Whoever started it was killed before it could, or is not operator at all.
        """
        if not (self._home(spec.name) / "log").exists():
            return None
        import psutil

        for process in psutil.process_iter(["cmdline"]):
            if process.info["cmdline"] == list(spec.argv):
                return identity.identify(process.pid)
        return None

    def _require(self, node: str, target: Identity) -> None:
        recorded = self._recorded(node)
        if recorded != target:
            found = "nothing" if recorded is None else f"process {recorded.id}"
            raise StaleTarget(f"{node} is no longer process {target.id}: {found} stands in its place.")

    def _signal(self, node: str, target: Identity, number: signal.Signals) -> None:
        self._require(node, target)
        identity.send_signal(target, number)

    async def _end(self, known: Identity) -> None:
        with contextlib.suppress(StaleTarget):
            identity.send_signal(known, signal.SIGKILL)
        await identity.wait_exit(known, _KILL_TIMEOUT_S)


def describe_exit(code: int) -> str:
    """Return an exit status in words: `exit status 1`, `killed by SIGKILL`."""
    if code <= 128:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(code - 128).name}"
    except ValueError:
        return f"exit status {code}"


def _disk_capability() -> Capability:
    if hasattr(resource, "prlimit"):
        return Capability(available=True, reason="the largest file that the process may write (prlimit)")
    return Capability(available=False, reason="a running process's limits can't be changed on this system")


def _cpu_capability() -> Capability:
    try:
        controller = cgroup.find_controller()
    except Unsupported as reason:
        return Capability(available=False, reason=str(reason))
    return Capability(available=True, reason=f"cpu control group, version {controller.version}")


def _delete(folder: Path) -> None:
    """Delete the folder; keepers may still write down how their programs ended, so it is tried again."""
    deadline = time.monotonic() + _KILL_TIMEOUT_S
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            size = handle.seek(0, 2)
            handle.seek(max(0, size - _TAIL_BYTES))
            return handle.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def _last_line(path: Path) -> str:
    written = _tail(path).strip().splitlines()
    return written[-1][:300] if written else "its log is empty"


def _proof(runtime: ProcessRuntime) -> Runtime:
    return runtime
