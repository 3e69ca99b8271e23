"""Whatever is injected, healed, killed or restarted by others, in whatever order: healed, or told of.

Random sequences from fixed seeds, on real etcd. Operators are child processes that are killed at any
moment, also in the middle of an injection.
"""

import asyncio
import os
import random
import re
import signal
import sys
from pathlib import Path

import pytest

from subjects.base import Cluster, Lifecycle
from subjects.clusters import open_cluster
from subjects.state import StateFolder
from tests.standins.embedded import ETCD, ask, client_port, letter, pid_of, process_runtime, runs
from tests.waiting import healthy, until
from tools.faults import healer
from tools.faults.journal import Record
from tools.faults.service import FaultService
from tools.faults.steps import State

KINDS = (
    "kill",
    "pause",
    "partition",
    "network_delay",
    "disk_full",
    "cpu_starvation",
    "quorum_loss",
    "restart",
)
STEPS = 7


class World:
    """One sequence."""

    def __init__(self, seed: int, cluster: Cluster, service: FaultService, state: StateFolder) -> None:
        self.choose = random.Random(seed)
        self.cluster = cluster
        self.service = service
        self.state = state
        self.operators: list[asyncio.subprocess.Process] = []
        self.told: list[str] = []

    async def inject(self) -> None:
        """A new operator breaks something, perhaps for a short time only, perhaps while others are at it."""
        kind, ttl_s = self.choose.choice(KINDS), self.choose.choice((0.5, 300.0))
        several = self.choose.choice(("", "1"))
        self.told.append(f"inject {kind} for {ttl_s} s")
        self.operators.append(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.standins.fault_driver", str(self.state.root), kind),
                env={**os.environ, "FAULT_TTL_S": str(ttl_s), "FAULT_SEVERAL": several},
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
        )
        await asyncio.sleep(self.choose.uniform(0.3, 1.5))

    async def crash_operator(self) -> None:
        self.told.append("crash operator")
        for operator in self.operators:
            if operator.returncode is None:
                operator.kill()
            await operator.wait()
        self.operators.clear()
        await asyncio.sleep(self.choose.uniform(0, 0.5))

    async def crash_healer(self) -> None:
        self.told.append("crash healer")
        known = healer.running(self.state)
        if known is not None:
            os.kill(int(known.id), signal.SIGKILL)
            await until(lambda: not runs(known))

    async def heal(self) -> None:
        """Another operator restores."""
        self.told.append("restore")
        await self.service.restore()

    async def restart_from_outside(self) -> None:
        """Somebody else restarts a member, as its own command line says."""
        node = self.choose.choice(self.cluster.subject.nodes)
        self.told.append(f"restart {node} from outside")
        pid = pid_of(self.cluster, node)
        other = await open_cluster(self.state, ETCD)
        if letter(pid) not in ("", "Z"):
            os.kill(pid, signal.SIGKILL)
            await until(lambda: letter(pid) in ("", "Z"))
        await other.require(Lifecycle).start(node)
        await other.aclose()

    async def settle(self) -> list[Record]:
        """The last operator dies, and the next one starts: what every sequence ends with."""
        await self.crash_operator()
        await self.service.restore()
        await until(lambda: not self.service.journal.open_faults(), 60, f"still open after {self.told}")
        last = self.service.journal.latest()
        found = [self.service.journal.get(number) for number in range(1, last.id + 1 if last else 1)]
        return [fault for fault in found if fault is not None]

    async def broken(self) -> dict[str, str]:
        """What is wrong with each node by the kernel and by plain sockets."""
        return {node: why for node in self.cluster.subject.nodes if (why := await self._wrong(node))}

    async def _wrong(self, node: str) -> str:
        pid = pid_of(self.cluster, node)
        if letter(pid) not in ("S", "R", "D"):
            return f"process {pid} is {letter(pid) or 'gone'}"
        if re.search(r"Max file size +unlimited", Path(f"/proc/{pid}/limits").read_text()) is None:
            return "it may not write files"
        if "operator-" in Path(f"/proc/{pid}/cgroup").read_text():
            return "it is starved"
        answer = await ask(client_port(self.cluster, node), "/version", 2.0)
        if b"etcdserver" not in answer.body or answer.seconds > 0.5:
            return f"clients wait {answer.seconds:.1f} s for {answer.body[-30:]!r}"
        return ""


@pytest.mark.parametrize("seed", range(3))
async def test_it_ends_healed_or_ambiguous_and_never_silently_broken(
    seed: int, cluster: Cluster, service: FaultService, state: StateFolder
) -> None:
    world = World(seed, cluster, service, state)
    already = service.journal.latest()
    acts = [world.inject, world.inject, world.crash_operator, world.crash_healer, world.heal]
    for _ in range(STEPS):
        await world.choose.choice([*acts, world.restart_from_outside])()
    faults = [fault for fault in await world.settle() if already is None or fault.id > already.id]

    assert all(fault.state in (State.HEALED, State.AMBIGUOUS) for fault in faults), (world.told, faults)
    told_of = {node for fault in faults if fault.state is State.AMBIGUOUS for node in fault.nodes}
    assert set(await world.broken()) <= told_of, (world.told, await world.broken(), faults)
    assert process_runtime(cluster).folder.exists()
    if not told_of:
        await healthy(cluster)
