"""Which process each node of an embedded cluster is: written down in its folder, found again by others.

A process that nobody wrote down, since whoever started it was killed first or is not operator at all, is
found by its exact command line.
"""

import asyncio
import time
from pathlib import Path

from subjects.base import Identity
from subjects.errors import StaleTarget
from subjects.runtimes import identity, layout
from subjects.runtimes.filelock import hold
from subjects.runtimes.supervisor import exit_status

_SEEK_S = 0.2
"""How seldom the whole process table is read for one node."""
_SUPERVISOR_S = 0.2
"""A supervisor writes down an end within some milliseconds, or never: it was killed as well."""


class NodeProcesses:
    """The processes of one cluster's nodes. All that is known of them is in the cluster's folder."""

    def __init__(self, folder: Path, cluster: layout.Layout) -> None:
        self._folder = folder
        self._layout = cluster
        self._unkept: set[Identity] = set()
        """Ended processes of which no supervisor told how."""
        self._sought: dict[str, float] = {}
        """When it was last looked for a process of the node that nobody wrote down."""

    def home(self, node: str) -> Path:
        """Return the node's folder: its data, its log and what is written down of its process."""
        return self._folder / "nodes" / self._layout.spec(node).name

    def _file(self, node: str) -> Path:
        return self.home(node) / "process.json"

    def recorded(self, node: str) -> Identity | None:
        """Return the process that was written down last, running or not."""
        return identity.read(self._file(node))

    def running(self, node: str) -> Identity | None:
        """Return the process that was written down if it still runs."""
        return identity.running(self._file(node))

    def record(self, node: str, known: Identity) -> None:
        """Write down which process the node is from now on."""
        identity.write(self._file(node), known)

    def require(self, node: str, target: Identity) -> None:
        """Raise StaleTarget unless the node's process is `target`."""
        recorded = self.recorded(node)
        if recorded != target:
            found = "nothing" if recorded is None else f"process {recorded.id}"
            raise StaleTarget(f"{node} is no longer process {target.id}: {found} stands in its place.")

    async def unrecorded(self, node: str) -> Identity | None:
        """Find a process of the node that nobody wrote down."""
        return await asyncio.to_thread(self._by_command_line, node)

    async def adopted(self, node: str) -> Identity | None:
        """Find out whether somebody else has started the node meanwhile, by hand say; looked for seldom."""
        now = time.monotonic()
        if now - self._sought.get(node, -_SEEK_S) < _SEEK_S:
            return None
        self._sought[node] = now
        held = hold(self.home(node) / "lock")
        if held is None:
            return None  # another operator is about to start it, and writes that down
        with held:
            found = self.running(node) or await self.unrecorded(node)
            if found is not None:
                self.record(node, found)
        return found

    def exit_code(self, node: str, ended: Identity) -> int | None:
        """Return how that process ended, if its supervisor has written it down yet."""
        return exit_status(self.home(node), int(ended.id))

    async def wait_exit_code(self, node: str, ended: Identity) -> int | None:
        """Return how that process ended; its supervisor, which learns of it too, is given a moment once."""
        deadline = time.monotonic() + (0 if ended in self._unkept else _SUPERVISOR_S)
        while (code := self.exit_code(node, ended)) is None:
            if time.monotonic() >= deadline:
                self._unkept.add(ended)
                break
            await asyncio.sleep(0.002)
        return code

    def _by_command_line(self, node: str) -> Identity | None:
        if not (self.home(node) / "log").exists():
            return None  # it was never started, so no process can be it
        import psutil

        argv = list(self._layout.spec(node).argv)
        for process in psutil.process_iter(["cmdline"]):
            if process.info["cmdline"] == argv:
                return identity.identify(process.pid)
        return None
