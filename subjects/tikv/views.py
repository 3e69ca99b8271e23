"""One PD or store as everyone sees it, put together from what was asked."""

from collections.abc import Mapping
from dataclasses import replace

from subjects.base import (
    Connection,
    ControlState,
    Membership,
    NodeView,
    Probe,
    ProcessView,
    Role,
    Scalar,
    Unseen,
    UnseenReason,
)
from subjects.tikv.members import Member
from subjects.tikv.pd import Group, Store


def pd_view(
    member: Member, group: Group | None, process: ProcessView, said: Probe, started: float | None, at: float
) -> NodeView:
    """Return the view of a PD. Its client port and its management port are one."""
    known = next((each for each in group.members if each.name == member.name), None) if group else None
    return NodeView(
        name=member.name,
        role=Role.LEADER if group and group.leader == member.name else Role.CONTROL,
        address=member.url,
        process=process,
        client=said,
        itself=said,
        unseen=_unseen(member, said, said),
        seen_at=at if said.connection is Connection.ACCEPTED else None,
        member_id=known.id if known else None,
        started_at=started,
        version=known.version if known else None,
        details={"kind": "pd"},
    )


def store_view(
    member: Member,
    store: Store | None,
    process: ProcessView,
    said: Probe,
    client: Probe,
    peers: Mapping[str, bool],
    at: float,
    missing: int | None = None,
) -> NodeView:
    """Return the view of a store at wall time `at`; `store` is None when PD did not say or knows it not.

    `missing` is the number of regions of which its replica is missing, behind or gone.
    """
    view = NodeView(
        name=member.name,
        role=Role.STORE,
        address=member.address,
        process=process,
        client=client,
        itself=said,
        unseen=_unseen(member, said, client),
        seen_at=at if said.connection is Connection.ACCEPTED else None,
        details={"kind": "store"},
    )
    if store is None:
        return view
    heartbeat = store.last_heartbeat
    return replace(
        view,
        peers=dict(peers),
        control=store.state,
        # PD's clock and ours may differ a little; an age below zero is that difference.
        heartbeat_age_s=max(0.0, round(at - heartbeat, 3)) if heartbeat else None,
        member_id=store.id,
        membership=Membership.LEARNER if store.learner else Membership.UNKNOWN,
        started_at=store.started,
        version=store.version,
        lag=store.pending_peers,
        disk_free_bytes=store.available_bytes,
        details=_details(store, missing),
    )


def _unseen(member: Member, said: Probe, client: Probe) -> Unseen | None:
    """Say why a node could not be looked at, where that is on our side: an address that is of no use here."""
    if member.unseen is not None:
        return member.unseen if member.unseen.ours else None
    if {said.connection, client.connection} != {Connection.UNKNOWN}:
        return None
    text = f"its name does not resolve here ({said.raw})"
    return Unseen(UnseenReason.BAD_ADDRESS, text, "watch it from a machine on which its name resolves")


def _details(store: Store, missing: int | None) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {
        "kind": "store",
        "pd_state": store.state_name,
        "leaders": store.leaders,
        "regions": store.regions,
        "missing_replicas": missing,
        "store_address": store.address,
    }
    if store.state is ControlState.UNKNOWN:
        found["pd_state"] = store.state_name or "unknown"
    if store.slow_score is not None:
        found["slow_score"] = store.slow_score
    if store.network_slow_score is not None:
        found["network_slow_score"] = store.network_slow_score
    if store.busy:
        found["busy"] = True
    return found
