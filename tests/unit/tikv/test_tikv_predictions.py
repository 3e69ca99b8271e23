"""What a fault is predicted to do to TiKV: stores and PDs vote apart from each other."""

from subjects.base import ClusterSnapshot, ProcessState, ProcessView
from subjects.tikv.subject import TikvSubject
from tests.unit.tikv.world import World
from tools.faults import catalogue, guard


def predicted(snapshot: ClusterSnapshot, *nodes: str, absent: tuple[str, ...] = ()) -> guard.Prediction:
    kill = catalogue.find("kill")
    return guard.predict(TikvSubject.stall_s, snapshot, kill, nodes, votes_lost=True, absent=absent)


async def test_a_killed_store_takes_one_of_three_votes_and_stalls_what_it_leads(world: World) -> None:
    found = predicted(await world.look(), "tikv2")

    assert (found.voters, found.votes_left, found.quorum_held) == (3, 2, True)
    assert (found.writes, found.leader_lost) == ("stall", False)
    assert "2 of 3 voters stay" in found.text
    assert "up to 20 s" in found.text


async def test_a_slow_store_is_felt_until_it_is_healed_for_nobody_else_serves_what_it_leads(
    world: World,
) -> None:
    snapshot, delay = await world.look(), catalogue.find("network_delay")
    store, pd = (
        guard.predict(TikvSubject.stall_s, snapshot, delay, [node], votes_lost=False, absent=())
        for node in ("tikv2", "pd0")
    )

    assert (store.felt_until_healed, pd.felt_until_healed) == (True, False)
    assert "the regions that it leads wait, or fail, until it is healed" in store.text


async def test_two_of_three_stores_are_refused_though_all_pds_are_well(world: World) -> None:
    found = predicted(await world.look(), "tikv2", absent=("tikv1",))

    assert (found.votes_left, found.quorum_held, found.writes) == (1, False, "stop")


async def test_a_killed_pd_leader_holds_nobody_up(world: World) -> None:
    found = predicted(await world.look(), "pd0")

    assert (found.voters, found.votes_left, found.quorum_held) == (3, 2, True)
    assert (found.writes, found.leader_lost) == ("go on", True)


async def test_a_second_pd_is_refused_though_all_stores_are_well(world: World) -> None:
    world.engine.views["pd1"] = ProcessView(ProcessState.EXITED, exit_code=137, raw="137")

    assert not predicted(await world.look(), "pd0").quorum_held
