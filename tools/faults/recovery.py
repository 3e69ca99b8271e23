"""Restored means restored: the same members, healthy by every view, clients served as before."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from subjects.base import Cluster, ClusterSnapshot, ClusterState
from tools.observe.figures import LoadFigures

HOLD_S = 3.0
"""How long all must be healthy without a break."""
TIMEOUT_S = 40.0
THROUGHPUT_SHARE = 0.8
"""Throughput must be back within 20 % of what it was before the fault."""
CATCHING_UP = 1.2
"""A load that does so many times what it asks for makes up for what it could not do before."""
_LOOK_S = 0.25


class Figures(Protocol):
    """What measures clients; `tools.load.run.LoadRun` is one."""

    def figures(self, since: float, until: float) -> LoadFigures:
        """Return what was measured between two monotonic times."""
        ...


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be as before."""

    name: str
    ok: bool | None
    """None: it was not measured."""
    text: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was found after a heal."""

    ok: bool
    healthy_at: float | None
    """Monotonic time from which all was well; None if it never was for HOLD_S."""
    checks: tuple[Check, ...]
    leader: str | None = None
    """Who leads at its end."""
    quorum_held: bool = True
    """Whether a majority is up at its end: without one nothing can be read back."""


async def confirm(
    cluster: Cluster,
    members: Mapping[str, str | None],
    load: Figures | None,
    baseline: LoadFigures | None,
    timeout_s: float = TIMEOUT_S,
    asked: float | None = None,
) -> Recovery:
    """Watch until all was well for HOLD_S, or `timeout_s` are over, and say what was and what was not.

    `asked` is what the load asks for, in operations per second: beyond it, it catches up with what it could
    not do under the fault, and nothing can be compared yet.
    """
    deadline = time.monotonic() + timeout_s
    since: float | None = None
    leader: str | None = None
    worst: tuple[Check, ...] = ()
    while True:
        began = time.monotonic()
        snapshot = await cluster.subject.observe()
        checks = _checks(snapshot, members, leader, _measured(load, since), baseline, asked)
        healthy = all(check.ok is not False for check in checks)
        now = time.monotonic()
        if not healthy:
            since, leader, worst = None, snapshot.leader, checks
        elif since is None:
            since, leader = began, snapshot.leader
        elif now - since >= HOLD_S + (1.0 if load else 0.0):
            return Recovery(True, since, checks, snapshot.leader, snapshot.quorum.held)
        if now > deadline:
            # What is healthy now was not for long enough: what broke it last is what there is to tell.
            return Recovery(False, None, worst or checks, snapshot.leader, snapshot.quorum.held)
        await asyncio.sleep(_LOOK_S)


def _measured(load: Figures | None, since: float | None) -> LoadFigures | None:
    """What clients measured in whole windows since all was well; None until there is one."""
    now = time.monotonic()
    if load is None or since is None or now - since < 2.0:
        return None
    return load.figures(since + 1.0, now)


def _checks(
    snapshot: ClusterSnapshot,
    members: Mapping[str, str | None],
    leader: str | None,
    now: LoadFigures | None,
    baseline: LoadFigures | None,
    asked: float | None,
) -> tuple[Check, ...]:
    return (
        _same_members(snapshot, members),
        Check(
            "healthy",
            snapshot.state is ClusterState.HEALTHY,
            "; ".join(snapshot.problems) or "by their own view and by their peers'",
        ),
        Check("leader stable", leader is None or snapshot.leader == leader, f"{snapshot.leader} leads"),
        _throughput(now, baseline, asked),
        _errors(now),
    )


def _same_members(snapshot: ClusterSnapshot, members: Mapping[str, str | None]) -> Check:
    if not any(members.values()):
        return Check("same members", ok=None, text="who they were before is not known")
    present = {node.name: node.member_id for node in snapshot.nodes}
    wrong = [name for name, member in members.items() if member and present.get(name) != member]
    if wrong:
        return Check("same members", ok=False, text=f"{', '.join(wrong)}: not the member it was before")
    return Check("same members", ok=True, text=f"{len(members)} members with the ids they had")


def _throughput(now: LoadFigures | None, baseline: LoadFigures | None, asked: float | None) -> Check:
    if now is None or baseline is None or now.ops_per_s is None or not baseline.ops_per_s:
        return Check("throughput", ok=None, text="not measured")
    share = now.ops_per_s / baseline.ops_per_s
    text = f"{now.ops_per_s:.0f} operations/s, {share:.0%} of before"
    if asked is not None and now.ops_per_s > CATCHING_UP * asked:
        return Check("throughput", ok=False, text=f"{text}: the load is still catching up")
    return Check("throughput", ok=share >= THROUGHPUT_SHARE, text=text)


def _errors(now: LoadFigures | None) -> Check:
    if now is None or now.errors is None:
        return Check("client errors", ok=None, text="not measured")
    return Check("client errors", ok=now.errors == 0, text=f"{now.errors} errors")
