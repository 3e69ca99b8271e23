"""TiKV: what PD says of stores and regions, and what becomes of clients when PD says nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.field.case import Field, Say, case
from tests.field.tikv import PDS, STORES, Tikv
from tests.field.watching import Watch

NEVER_QUORUM = "quorum (is )?lost"


@contextmanager
def watched(field: Field, tikv: Tikv, settle_s: float = 15.0) -> Iterator[Watch]:
    """Watch a TiKV cluster by its PDs."""
    with field.watching(tikv.endpoints, options=("--subject", "tikv"), settle_s=settle_s) as watch:
        yield watch


@case(
    Say(kinds=("crash",), within_s=5.0, advice="start|restart|bring", never=NEVER_QUORUM),
    quick=True,
)
def tikv_store_killed(field: Field) -> None:
    """One of three stores is killed: every region keeps two replicas, PD holds the store for Disconnected."""
    with Tikv(field.folder) as tikv, watched(field, tikv):
        name = tikv.seen_as("tikv1")
        field.happens(name, at=tikv.kill("tikv1"))
        tikv.wait(lambda: tikv.store("tikv1")["store"]["state_name"] == "Disconnected", "PD has noticed")
        field.truth(
            "all regions have three replicas", holds=tikv.ask("/regions/check/miss-peer")["count"] == 0
        )


@case(Say(kinds=("slow_disk",), within_s=12.0, never=NEVER_QUORUM))
def tikv_store_slow(field: Field) -> None:
    """A store's disk is slow: its slow score reaches 90 of 100, it serves on."""
    with Tikv(field.folder) as tikv, watched(field, tikv):
        field.happens(tikv.seen_as("tikv2"))
        tikv.suffer("tikv2", "/standin/slow", {"score": 90})
        tikv.wait(lambda: tikv.store("tikv2")["status"].get("slow_score") == 90, "PD knows the score")


@case(Say(kinds=("disk_full",), within_s=12.0, never=NEVER_QUORUM))
def tikv_store_full(field: Field) -> None:
    """A store has 100 MiB left of 8 GiB: it refuses writes, and serves reads."""
    with Tikv(field.folder) as tikv, watched(field, tikv):
        field.happens(tikv.seen_as("tikv0"))
        tikv.suffer("tikv0", "/standin/full", {"full": True})
        tikv.wait(lambda: tikv.store("tikv0")["status"]["available"] == "100MiB", "PD knows the space")


@case(Say(states=("degraded",), says="is being taken out|serves until", never=f"crash|{NEVER_QUORUM}"))
def tikv_store_being_removed(field: Field) -> None:
    """Somebody takes a store out of the cluster: PD holds it for Offline, it serves until it is empty."""
    with Tikv(field.folder) as tikv, watched(field, tikv):
        number = tikv.store("tikv1")["store"]["id"]
        field.happens()
        tikv.ask(f"/store/{number}", method="DELETE")
        field.truth("it is Offline", holds=tikv.store("tikv1")["store"]["state_name"] == "Offline")


@case(Say(states=("healthy",), never="Tombstone.*(down|crash)"))
def tikv_store_long_gone(field: Field) -> None:
    """A store was removed for good long ago: PD still lists it as Tombstone, nothing is wrong."""
    with Tikv(field.folder) as tikv:
        body = {"id": 0, "address": "127.0.0.1:1", "status_address": "127.0.0.1:1", "started": 1.0}
        number = tikv.ask("/standin/register", body)["id"]
        tikv.ask("/standin/bury", {"id": number})
        with watched(field, tikv, settle_s=8.0):
            field.happens()
            stores = tikv.ask("/stores?state=2")["stores"]
            found = [item["store"]["state_name"] for item in stores if item["store"]["id"] == number]
            field.truth("PD lists it as Tombstone", holds=found == ["Tombstone"])


@case(Say(kinds=("quorum_loss",), within_s=5.0, states=("degraded",), node=False))
def pds_without_a_majority(field: Field) -> None:
    """Two of three PDs are killed: nothing is scheduled, all stores serve on."""
    with Tikv(field.folder) as tikv, watched(field, tikv):
        field.happens(at=min(tikv.kill(name) for name in PDS[:2]))
        tikv.wait(lambda: _leaderless(tikv), "the PD that is left has no leader")
        for name in STORES:
            tikv.suffer(name, "/standin/slow", {"score": 1})  # each answers


@case(
    Say(
        kinds=("leader_loss",),
        within_s=15.0,
        confidence=("medium", "low"),
        advice="replicas.*unsafe remove-failed-stores",
        says="regions have no leader",
        never="crash|PD has no leader",
    )
)
def tikv_region_without_a_leader(field: Field) -> None:
    """A region has no leader: its keys can't be read or written, all stores are up."""
    with Tikv(field.folder) as tikv, watched(field, tikv):
        field.happens()
        region = tikv.ask("/regions")["regions"][0]["id"]
        tikv.ask("/standin/orphan", {"region": region})
        led = sum(item["status"].get("leader_count", 0) for item in tikv.ask("/stores")["stores"])
        field.truth("PD knows of no leader", holds=led == 0)


def _leaderless(tikv: Tikv) -> bool:
    try:
        tikv.ask("/stores", of=PDS[2])
    except OSError as error:
        return "finds no leader" in str(error)
    return False
