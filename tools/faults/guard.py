"""The guard: what a fault is predicted to do, before it is done, and what is refused."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from subjects.base import ClusterSnapshot, Connection, Health, NodeView, ProcessState, Quorum, Role
from tools.errors import Refused
from tools.faults.catalogue import Fault

PERMISSION = "A person can allow it with --allow-quorum-loss. Otherwise choose a single node, or heal first."
Writes = Literal["go on", "stall", "stop"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is expected of a fault."""

    voters: int
    votes_left: int
    votes_needed: int
    quorum_held: bool
    leader_lost: bool
    writes: Writes
    text: str
    votes_lost: bool
    """Whether nodes under this fault count for the majority no longer."""
    stall_s: float
    """How long reads and writes may stall where they do."""
    leader: str | None = None
    """Who led before it."""
    leader_may_move: bool = False
    """Whether it slows the leader without taking its vote: then another one may be elected, or not."""
    felt_until_healed: bool = False
    """Whether clients have nowhere else to go: what a slow store of TiKV leads is served by it alone."""
    leader_votes: bool = True
    """Whether the leader is one of these voters: PD's is not where stores are lost."""


def predict(
    stall_s: float,
    snapshot: ClusterSnapshot,
    fault: Fault,
    nodes: Sequence[str],
    *,
    votes_lost: bool,
    absent: Collection[str],
) -> Prediction:
    """Say what the fault will do to a cluster that looks like `snapshot`.

    `stall_s` is what the database takes to replace a leader (`Subject.stall_s`); `absent` are nodes that
    can't vote though that is not to be seen yet: an open fault holds them down.
    """
    group, quorum = _group(snapshot, nodes)
    voting = {node.name for node in group if has_vote(node) and node.name not in absent}
    lost = voting.intersection(nodes) if votes_lost else set()
    left, needed = len(voting) - len(lost), quorum.needed
    held = left >= needed
    leader_lost = snapshot.leader in lost
    may_move = not votes_lost and snapshot.leader in nodes
    # Every store of TiKV leads some regions; its PDs are not on the way of reads and writes.
    stores = any(node.role is Role.STORE for node in group)
    stalls = bool(lost) if stores else leader_lost and not _has_stores(snapshot)
    stalls = stalls or (may_move and not stores)
    writes: Writes = "stop" if not held else "stall" if stalls else "go on"
    votes = f"{left} of {quorum.voters} voters stay, {needed} are needed" if votes_lost else ""
    return Prediction(
        voters=quorum.voters,
        votes_left=left,
        votes_needed=needed,
        quorum_held=held,
        leader_lost=leader_lost,
        writes=writes,
        text=_words(stall_s, snapshot, fault, nodes, votes, writes),
        votes_lost=votes_lost,
        stall_s=stall_s,
        leader=snapshot.leader,
        leader_may_move=may_move,
        felt_until_healed=stores and bool(nodes) and not votes_lost,
        leader_votes=not stores,
    )


def _has_stores(snapshot: ClusterSnapshot) -> bool:
    return any(node.role is Role.STORE for node in snapshot.nodes)


def _group(snapshot: ClusterSnapshot, nodes: Sequence[str]) -> tuple[tuple[NodeView, ...], Quorum]:
    """Return those who vote together with `nodes`, and their majority: TiKV's PDs do so apart from stores."""
    if not _has_stores(snapshot):
        return snapshot.nodes, snapshot.quorum
    stores = tuple(node for node in snapshot.nodes if node.role is Role.STORE)
    if not nodes or {node.name for node in stores} & set(nodes):
        return stores, snapshot.quorum
    pds = tuple(node for node in snapshot.nodes if node.role is not Role.STORE)
    return pds, Quorum(len(pds), sum(map(has_vote, pds)))


def has_vote(node: NodeView) -> bool:
    """Whether the node counts for the majority now: it runs, answers, and says that it is healthy."""
    running = node.process.state in (ProcessState.RUNNING, ProcessState.UNKNOWN)
    silent = node.itself.connection in (Connection.SILENT, Connection.REFUSED)
    return running and not silent and node.itself.health is not Health.UNHEALTHY


def votes_may_come(snapshot: ClusterSnapshot) -> bool:
    """Whether a node has no vote though its process runs: a busy machine may keep it from answering."""
    return any(node.process.state is ProcessState.RUNNING and not has_vote(node) for node in snapshot.nodes)


def check_quorum(prediction: Prediction, *, allowed: bool) -> None:
    """Refuse what would break the majority unless a person allowed it."""
    if prediction.quorum_held or allowed:
        return
    raise Refused(
        f"Refused: {prediction.votes_left} of {prediction.voters} voters would be left, "
        f"{prediction.votes_needed} are needed; nothing could be written any more.",
        PERMISSION,
    )


def check_replicas(
    prediction: Prediction, snapshot: ClusterSnapshot, nodes: Sequence[str], *, allowed: bool
) -> None:
    """Refuse to take a store's vote while data lacks replicas, or while that is unknown."""
    replication = snapshot.replication
    if replication is None or replication.complete or not prediction.votes_lost or allowed:
        return
    if not any(snapshot.node(name).role is Role.STORE for name in nodes):
        return
    missing = [problem for problem in snapshot.problems if "replica" in problem]
    why = "; ".join(missing) or "whether all regions have all their replicas cannot be found out now"
    raise Refused(
        f"Refused: {why}. The loss of one store could be the loss of a region's majority.",
        "Wait until cluster_status shows the cluster healthy. " + PERMISSION,
    )


def _words(
    stall_s: float, snapshot: ClusterSnapshot, fault: Fault, nodes: Sequence[str], votes: str, writes: Writes
) -> str:
    if not nodes:
        return "Nothing is done, so nothing should change."
    roles = ", ".join(f"{name} ({snapshot.node(name).role})" for name in nodes)
    if votes:
        until = "writes stall until a new leader is elected"
        if _has_stores(snapshot):
            until = "reads and writes of what it leads stall until another store leads that"
        felt = {
            "go on": "reads and writes go on; clients that were talking to it move to the other nodes",
            "stall": f"{until} (up to {stall_s:g} s), then go on",
            "stop": "no majority is left: writes stop until it is healed",
        }[writes]
        return f"{roles}: {fault.meaning}. {votes}; {felt}."
    felt = "clients that talk to it wait longer or try another"
    if any(snapshot.node(name).role is Role.STORE for name in nodes):
        felt = "operations on the regions that it leads wait, or fail, until it is healed"
    if writes == "stall":
        felt += f"; too slow a leader may be replaced: then writes stall for up to {stall_s:g} s"
    return f"{roles}: {fault.meaning}. It stays a member and keeps its vote; {felt}."
