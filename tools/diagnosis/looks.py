"""From a picture to facts: one look, filed as evidence side by side, and what it says in words."""

from collections.abc import Callable
from dataclasses import replace

from subjects.base import (
    ClusterState,
    Connection,
    ControlState,
    Health,
    NodeView,
    Picture,
    Probe,
    ProcessState,
    ProcessView,
    Role,
    Subject,
)
from tools.diagnosis.facts import Fact, Side
from tools.evidence.ledger import Ledger

SLOW_MS = 100.0
"""A probe in one network takes single milliseconds, and 62 ms at most was measured on a machine with three
times as many busy processes as cores; etcd's heartbeat interval, 100 ms, is the first time that matters."""

LOOKS = 3
"""How often a slow answer is asked for again before it is called slow."""

LOW_DISK_BYTES = 64 * 1024 * 1024
"""etcd writes its log in segments of 64 MiB (`wal.SegmentSizeBytes`): with less left the next one fails."""

LAG_ENTRIES = 1000
"""Raft entries behind the leader that are no longer a matter of the moment of looking."""


def process_word(state: ProcessState, exit_code: int | None, oom_killed: bool | None) -> str:
    """Return the word for what the kernel or the engine says of a process."""
    if state is not ProcessState.EXITED:
        return state.value
    if oom_killed:
        return "oom"
    return ended_word(exit_code)


def ended_word(exit_code: int | None) -> str:
    """Return the word for how a process ended; exit codes as shells write them, 128 + signal."""
    match exit_code:
        case None:
            return "exited"
        case 137:
            return "killed"
        case 0 | 130 | 143:
            return "ended"
        case _:
            return "failed"


async def steady_look(subject: Subject) -> Picture:
    """Look once; where an answer was slow, look again and take each node's fastest answers.

    On a busy machine one answer in a thousand is late; what is late every time is slow.
    """
    picture = await subject.observe()
    for _ in range(LOOKS - 1):
        if not any(_late(probe) for node in picture.nodes for probe in (node.client, node.itself)):
            return picture
        again = await subject.observe()
        before = {node.name: node for node in picture.nodes}
        picture = replace(
            again, nodes=tuple(_faster(node, before.get(node.name, node)) for node in again.nodes)
        )
    return picture


def _late(probe: Probe) -> bool:
    return (probe.latency_ms or 0.0) > SLOW_MS


def _faster(now: NodeView, before: NodeView) -> NodeView:
    def quicker(one: Probe, other: Probe) -> Probe:
        times = [probe.latency_ms for probe in (one, other) if probe.latency_ms is not None]
        return replace(one, latency_ms=min(times)) if one.latency_ms is not None and times else one

    return replace(now, client=quicker(now.client, before.client), itself=quicker(now.itself, before.itself))


def facts_of(picture: Picture, ledger: Ledger) -> list[Fact]:
    """File one look in the ledger, one piece of evidence for each side, and return what it says."""
    facts: list[Fact] = []
    sides: tuple[tuple[Side, Callable[[NodeView], tuple[str, str]]], ...] = (
        ("process", lambda node: _process(node.process)),
        ("connection", _connection),
        ("self", _itself),
        ("peers", _peers),
        ("control", lambda node: _control(node, picture)),
        ("disk", lambda node: _disk(node, picture)),
    )
    for side, say in sides:
        said = [(node.name, *say(node)) for node in picture.nodes]
        lines = [f"{name}: {word} ({detail})" for name, word, detail in said]
        item = ledger.add(f"view:{side}", "\n".join(lines))
        facts += [
            Fact(side, word, name, item.id, f"{name}: {word} ({detail})"[:200], item.wall)
            for name, word, detail in said
        ]
    return facts + _whole(picture, ledger)


def _process(view: ProcessView) -> tuple[str, str]:
    word = process_word(view.state, view.exit_code, view.oom_killed)
    code = "" if view.exit_code is None else f", exit code {view.exit_code}"
    return word, f"{view.raw or view.state.value}{code}"


def _connection(node: NodeView) -> tuple[str, str]:
    probe = node.client
    took = "not measured" if probe.latency_ms is None else f"{probe.latency_ms:.1f} ms"
    slow = probe.connection is Connection.ACCEPTED and _late(probe)
    return "slow" if slow else probe.connection.value, f"client port, {took}; {probe.raw}"


def _itself(node: NodeView) -> tuple[str, str]:
    probe = node.itself
    took = "not measured" if probe.latency_ms is None else f"{probe.latency_ms:.1f} ms"
    if probe.health is Health.UNKNOWN and probe.connection is Connection.SILENT:
        return "silent", f"{took}; {probe.raw}"
    if probe.health is Health.HEALTHY and _late(probe):
        return "slow", f"{took}; {probe.raw}"
    return probe.health.value, f"{took}; {probe.raw}"


def _peers(node: NodeView) -> tuple[str, str]:
    if not node.peers:
        return "unknown", "no peer could be asked"
    lost = [peer for peer, held in node.peers.items() if not held]
    told = ", ".join(f"{peer} {'holds' if held else 'lost'} it" for peer, held in node.peers.items())
    if not lost:
        return "connected", told
    return ("lost_by_all" if len(lost) == len(node.peers) else "lost_by_some"), told


def _control(node: NodeView, picture: Picture) -> tuple[str, str]:
    detail = f"role {node.role.value}, term {node.term}, raft index {node.raft_index}, lag {node.lag}"
    if picture.leader is not None and node.details.get("leader_it_sees", picture.leader) is None:
        return "alone", f"{detail}; it knows no leader, the others follow {picture.leader}"
    if (node.lag or 0) > LAG_ENTRIES:
        return "lagging", detail
    if node.role is Role.LEADER:
        return "leads", detail
    return ("down" if node.control is ControlState.OFFLINE else node.control.value), detail


def _disk(node: NodeView, picture: Picture) -> tuple[str, str]:
    alarmed = [
        a
        for a in picture.alarms
        if "NOSPACE" in a.upper() and (node.name in a or (node.member_id or node.name) in a)
    ]
    if alarmed:
        return "full", f"alarm {alarmed[0]}"
    if node.disk_free_bytes is None:
        return "unknown", "not reported"
    word = "full" if node.disk_free_bytes < LOW_DISK_BYTES else "fine"
    return word, f"{node.disk_free_bytes} bytes free"


def _whole(picture: Picture, ledger: Ledger) -> list[Fact]:
    """Return what the look says of the cluster as a whole."""
    quorum = picture.quorum
    text = (
        f"cluster {picture.state.value}: leader {picture.leader}, term {picture.term}, "
        f"{quorum.up} of {quorum.voters} voters up, {quorum.needed} needed; "
        f"problems: {'; '.join(picture.problems) or 'none'}; alarms: {'; '.join(picture.alarms) or 'none'}"
    )
    item = ledger.add("view:control", text)
    quote = text.split(";")[0]
    if not quorum.held:
        return [Fact("control", "quorum_lost", None, item.id, quote, item.wall)]
    if picture.leader is None:
        return [Fact("control", "no_leader", None, item.id, quote, item.wall)]
    word = "up" if picture.state is ClusterState.HEALTHY else "unknown"
    return [Fact("control", word, None, item.id, quote, item.wall)]
