"""From a snapshot to facts: one look, filed as evidence side by side, and what it says in words."""

from collections.abc import Callable

from subjects.base import (
    SLOW_SCORE,
    ClusterSnapshot,
    ClusterState,
    Connection,
    ControlState,
    Health,
    NodeView,
    ProcessState,
    ProcessView,
    Role,
)
from tools.diagnosis.facts import Fact, Side
from tools.diagnosis.steady import Looked, late
from tools.observe.ledger import Ledger

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


def facts_of(looked: Looked, ledger: Ledger) -> list[Fact]:
    """File one look in the ledger, one piece of evidence for each side, and return what it says."""
    facts: list[Fact] = []
    snapshot = looked.snapshot
    sides: tuple[tuple[Side, Callable[[NodeView], tuple[str, str]]], ...] = (
        ("process", lambda node: _process(node.process)),
        ("connection", lambda node: _connection(node, looked.slow_ms)),
        ("self", lambda node: _itself(node, looked.slow_ms)),
        ("peers", _peers),
        ("control", lambda node: _control(node, snapshot)),
        ("disk", lambda node: _disk(node, snapshot)),
    )
    for side, say in sides:
        said = [(node.name, *say(node)) for node in snapshot.nodes]
        lines = [f"{name}: {word} ({detail})" for name, word, detail in said]
        item = ledger.add(f"view:{side}", "\n".join(lines))
        facts += [
            Fact(side, word, name, item.id, f"{name}: {word} ({detail})"[:200], item.wall, now=True)
            for name, word, detail in said
        ]
    return facts + _hosts(looked, ledger) + _new_connections(looked, ledger) + _whole(snapshot, ledger)


def _hosts(looked: Looked, ledger: Ledger) -> list[Fact]:
    """Return how nodes that were late elsewhere answer on their own host for what they know alone."""
    said = []
    for name, took_ms in looked.host_ms.items():
        if took_ms is None:
            said.append((name, "none", f"{name}: no answer even on its own host"))
            continue
        word = "late" if took_ms > looked.slow_ms else "quick"
        said.append((name, word, f"{name}: {word}, its own metrics on its own host took {took_ms:.1f} ms"))
    if not said:
        return []
    item = ledger.add("view:host", "\n".join(text for _, _, text in said))
    return [Fact("host", word, name, item.id, text, item.wall, now=True) for name, word, text in said]


def _new_connections(looked: Looked, ledger: Ledger) -> list[Fact]:
    """Return which nodes did not let everybody in, though they answer who is connected to them."""
    facts = []
    for name, how in looked.lost.items():
        text = f"{name}: {how}, while connections that are held were answered"
        item = ledger.add("view:connection", text, node=name)
        facts.append(Fact("connection", "lossy", name, item.id, text, item.wall, now=True))
    return facts


def _process(view: ProcessView) -> tuple[str, str]:
    word = process_word(view.state, view.exit_code, view.oom_killed)
    code = "" if view.exit_code is None else f", exit code {view.exit_code}"
    return word, f"{view.raw or view.state.value}{code}"


def _connection(node: NodeView, slow_ms: float) -> tuple[str, str]:
    probe = node.client
    took = "not measured" if probe.latency_ms is None else f"{probe.latency_ms:.1f} ms"
    slow = probe.connection is Connection.ACCEPTED and late(probe, slow_ms)
    return "slow" if slow else probe.connection.value, f"client port, {took}; {probe.raw}"


def _itself(node: NodeView, slow_ms: float) -> tuple[str, str]:
    probe = node.itself
    took = "not measured" if probe.latency_ms is None else f"{probe.latency_ms:.1f} ms"
    if probe.health is Health.UNKNOWN and probe.connection is Connection.SILENT:
        return "silent", f"{took}; {probe.raw}"
    if probe.health is Health.HEALTHY and late(probe, slow_ms):
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


def _control(node: NodeView, snapshot: ClusterSnapshot) -> tuple[str, str]:
    detail = f"role {node.role.value}, term {node.term}, raft index {node.raft_index}, lag {node.lag}"
    if snapshot.leader is not None and node.details.get("leader_it_sees", snapshot.leader) is None:
        return "alone", f"{detail}; it knows no leader, the others follow {snapshot.leader}"
    if (node.lag or 0) > LAG_ENTRIES:
        return "lagging", detail
    if node.role is Role.LEADER:
        return "leads", detail
    return ("down" if node.control is ControlState.OFFLINE else node.control.value), detail


def _disk(node: NodeView, snapshot: ClusterSnapshot) -> tuple[str, str]:
    alarmed = [alarm for alarm in snapshot.alarms if alarm.kind == "NOSPACE" and alarm.node == node.name]
    if alarmed:
        return "full", f"alarm {alarmed[0]}"
    if node.disk_free_bytes is None:
        return "unknown", "not reported"
    if node.disk_free_bytes < LOW_DISK_BYTES:
        return "full", f"{node.disk_free_bytes} bytes free"
    score = node.details.get("slow_score")
    if isinstance(score, int) and score >= SLOW_SCORE:
        return "slow", f"slow score {score} of 100 by its own measure of its disk"
    return "fine", f"{node.disk_free_bytes} bytes free"


def _whole(snapshot: ClusterSnapshot, ledger: Ledger) -> list[Fact]:
    """Return what the look says of the cluster as a whole."""
    quorum, alarms = snapshot.quorum, "; ".join(map(str, snapshot.alarms))
    text = (
        f"cluster {snapshot.state.value}: leader {snapshot.leader}, term {snapshot.term}, "
        f"{quorum.up} of {quorum.voters} voters up, {quorum.needed} needed; "
        f"problems: {'; '.join(snapshot.problems) or 'none'}; alarms: {alarms or 'none'}"
    )
    item = ledger.add("view:control", text)
    quote = text.split(";")[0]
    if quorum.lost:
        return [Fact("control", "quorum_lost", None, item.id, quote, item.wall, now=True)]
    if snapshot.leader is None:
        return [Fact("control", "no_leader", None, item.id, quote, item.wall, now=True)]
    word = "up" if snapshot.state is ClusterState.HEALTHY else "unknown"
    return [Fact("control", word, None, item.id, quote, item.wall, now=True)]
