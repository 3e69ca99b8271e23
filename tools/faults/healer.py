"""The healer: `python -m tools.faults.healer STATE_FOLDER`, a process that outlives a killed operator.

It watches the operator processes that answer for open faults, by the kernel's notification, and each
fault's time to live; when either ends it heals. With nothing left to heal it ends by itself.
"""

import asyncio
import contextlib
import signal
import sqlite3
import sys
import time
from functools import partial
from pathlib import Path

from subjects.base import Identity
from subjects.clusters import opened
from subjects.errors import NotReady, SubjectError
from subjects.runtimes import identity
from subjects.runtimes.filelock import locked
from subjects.runtimes.identity import ExitWatch
from subjects.state import StateFolder
from tools.faults.healing import heal_all
from tools.faults.journal import Journal, Record

FILE = "healer.json"
"""Which process the healer of a state folder is."""

LOOK_S = 0.05
"""How often the journal is looked at for new and expired faults; the look costs 30 µs."""
LINGER_S = 1.0
"""How long it stays with nothing to heal: a drill's next fault need not start another healer."""
RETRY_S = 5.0
"""How long it waits before it tries a failed heal again."""
LOCK_S = 2.0
"""How long a new healer waits for one that is just ending."""


def main() -> None:
    """Run until nothing is left to heal."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_alone(StateFolder(Path(sys.argv[1]))))


async def _alone(state: StateFolder) -> None:
    """Run as the only healer of this state folder; if another one stays at work, leave it to that one."""
    with contextlib.suppress(NotReady):
        async with locked(state.root / "healer.lock", LOCK_S):
            healer = Healer(state)
            try:
                await healer.run()
            finally:
                await healer.aclose()


class Healer:
    """Watches and heals the faults of one state folder."""

    def __init__(self, state: StateFolder) -> None:
        self._state = state
        self._journal = Journal(state.database)
        self._me = identity.own()
        self._watches: dict[Identity, ExitWatch] = {}
        self._dead: set[Identity] = set()
        self._wake = asyncio.Event()
        self._tried: dict[int, float] = {}
        self._warm_ups: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Watch until there is nothing to heal for LINGER_S."""
        identity.write(self._state.root / FILE, self._me)
        idle_since = time.monotonic()
        faults: list[Record] = []
        while self._state.database.exists():  # without its folder there is nothing left to heal
            with contextlib.suppress(sqlite3.Error):  # busy for long: those known are watched on
                faults = self._journal.open_faults()
            if faults:
                idle_since = time.monotonic()
                self._watch(faults)
                self._be_ready(faults)
                await self._heal([fault for fault in faults if self._is_due(fault)])
            elif time.monotonic() - idle_since > LINGER_S:
                return
            await self._sleep()

    async def aclose(self) -> None:
        """Close what is held open."""
        for watch in self._watches.values():
            watch.close()
        for look in self._warm_ups.values():
            look.cancel()
        await asyncio.gather(*self._warm_ups.values(), return_exceptions=True)
        self._journal.close()

    def _watch(self, faults: list[Record]) -> None:
        """Watch every owner, and say in the journal that each fault is watched over."""
        for fault in faults:
            if fault.owner not in self._watches:
                self._watches[fault.owner] = ExitWatch(fault.owner, partial(self._owner_ended, fault.owner))
            if fault.watched_by != self._name:
                with contextlib.suppress(sqlite3.Error):  # it says so once it can; nothing is injected before
                    self._journal.watched(fault.id, self._name)

    @property
    def _name(self) -> str:
        return f"healer {self._me.id}"

    def _owner_ended(self, owner: Identity) -> None:
        self._dead.add(owner)
        self._wake.set()

    def _is_due(self, fault: Record) -> bool:
        """Whether its owner is dead or its time is over, and nobody is healing it now."""
        if time.monotonic() - self._tried.get(fault.id, -RETRY_S) < RETRY_S:
            return False
        ended = fault.owner in self._dead or fault.expired
        return ended and not fault.being_healed

    async def _heal(self, due: list[Record]) -> None:
        if not due:
            return
        for fault in due:
            self._tried[fault.id] = time.monotonic()
        await heal_all(self._journal, due, partial(opened, self._state), self._me)

    def _be_ready(self, faults: list[Record]) -> None:
        """Look at each cluster once beforehand: a first look loads modules, which takes half a second."""
        for cluster_id in {fault.cluster for fault in faults} - self._warm_ups.keys():
            self._warm_ups[cluster_id] = asyncio.create_task(self._look(cluster_id))

    async def _look(self, cluster_id: str) -> None:
        with contextlib.suppress(SubjectError, OSError):
            async with opened(self._state, cluster_id) as cluster:
                if cluster is not None:
                    await cluster.subject.observe()

    async def _sleep(self) -> None:
        self._wake.clear()
        try:
            await asyncio.wait_for(self._wake.wait(), LOOK_S)
        except TimeoutError:
            return


def running(state: StateFolder) -> Identity | None:
    """Return the healer of this state folder if it runs."""
    return identity.running(state.root / FILE)


if __name__ == "__main__":
    main()
