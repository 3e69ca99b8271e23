"""What the kernel knows of a container that the engine calls running: whether it lives, what it waits for.

An engine learns of an end a moment later, on a busy machine seconds later, and says `running` until then.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from subjects.base import ProcessState, ProcessView
from subjects.runtimes import cgroup
from subjects.runtimes.identity import cpu_time, descendants


class KernelSight:
    """This machine's processes, where they are the engine's: not in a virtual machine, nor over a network."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc
        self._sees = False
        """Whether a container's process was ever found here."""
        self._attached: set[str] = set()
        """Containers that the engine once had in a network."""

    def check(self, container: Mapping[str, Any], said: ProcessView) -> ProcessView:
        """Return what the engine said, as word that is late where the kernel has no such process any more."""
        if said.state is not ProcessState.RUNNING:
            return said
        said = self._with_network(said, str(container["Id"]))
        pid = container["State"].get("Pid")
        if self._has(str(container["Id"]), pid):
            self._sees = True
            return self._with_cpu_time(said, int(pid))
        if not self._sees:
            return said  # the engine's processes are elsewhere: nothing is known but what it says
        raw = f"{said.raw}, says the engine; its process is not there any more"
        return replace(said, delayed=True, raw=raw)

    def _with_network(self, said: ProcessView, container: str) -> ProcessView:
        """Take no network for a word only of who was in one: some engines (rootless ones) never name any."""
        if said.networked:
            self._attached.add(container)
        return said if container in self._attached else replace(said, networked=None)

    def _with_cpu_time(self, said: ProcessView, pid: int) -> ProcessView:
        """Add what all of its processes together ran and waited: the first may be no more than a shell."""
        everybody = (pid, *descendants(pid, self._proc))
        times = [each for process in everybody if (each := cpu_time(process, self._proc))]
        if not times:
            return said
        ran, waited = (sum(each) for each in zip(*times, strict=True))
        return replace(said, ran_s=ran, waited_s=waited, throttled_s=cgroup.throttled_s(pid, self._proc))

    def _has(self, container: str, pid: object) -> bool:
        try:
            groups = (self._proc / str(pid) / "cgroup").read_text(encoding="utf-8")
        except OSError:
            return False
        return container in groups
