"""What nodes wait for: told by counters, and only of a node that stands out beside the others."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from subjects.state import StateFolder
from tests.standins import slow_disk
from tests.standins.embedded import bring_up, take_down
from tests.standins.scripted_cluster import scripted_cluster
from tests.unit.diagnosis.conftest import Bench
from tools.observe.kinds import abnormal
from tools.observe.waits import Waited, between, signals_of_waits

# As measured on etcd, two cores, a load average of ten: each for about 2 s.
WELL = Waited(2.0, ran_s=0.06, waited_s=0.30, syncs=6, synced_s=0.005)
STARVED = Waited(2.0, ran_s=0.045, waited_s=5.2, syncs=1, synced_s=1.8)
SLOW_DISK = Waited(2.0, ran_s=0.06, waited_s=0.28, syncs=1, synced_s=1.6)


def told(**waits: Waited) -> list[tuple[str, str | None]]:
    return [(seen.kind, seen.node) for seen in signals_of_waits(waits) if abnormal(seen.kind)]


class TestWhoStandsOut:
    def test_nobody_where_all_are_well(self) -> None:
        assert told(a=WELL, b=WELL, c=WELL) == []

    def test_one_that_is_kept_from_the_processor_whose_writes_are_late_for_that(self) -> None:
        assert told(a=WELL, b=STARVED, c=WELL) == [("starved", "b")]

    def test_one_whose_writes_are_late_though_it_has_its_processor(self) -> None:
        assert told(a=WELL, b=SLOW_DISK, c=WELL) == [("slow_disk", "b")]

    def test_nobody_on_a_machine_where_everybody_waits(self) -> None:
        assert told(a=STARVED, b=STARVED, c=STARVED) == []

    def test_no_store_on_a_machine_where_all_stores_wait_and_pds_have_nothing_to_wait_for(self) -> None:
        """As measured of pods on a busy machine, one store held to a low bandwidth, then one cut off."""
        pd = Waited(3.8, ran_s=0.05, waited_s=0.6)
        slow = Waited(3.8, ran_s=0.39, waited_s=6.37, is_store=True)
        busy = [replace(slow, waited_s=waited_s) for waited_s in (5.23, 5.0)]
        assert told(a=pd, b=pd, c=pd, d=slow, e=busy[0], f=busy[1]) == []

        left, cut = replace(slow, ran_s=0.32, waited_s=3.34), replace(slow, waited_s=0.07)
        assert told(a=pd, b=pd, c=pd, d=cut, e=left, f=replace(slow, waited_s=2.71)) == []

    def test_one_store_that_alone_is_kept_from_the_processor(self) -> None:
        pd, well, starved = (replace(each, is_store=each is not WELL) for each in (WELL, SLOW_DISK, STARVED))
        well = replace(well, syncs=0, synced_s=0.0)

        assert told(a=pd, b=well, c=starved, d=well) == [("starved", "c")]

    @pytest.mark.parametrize(
        ("waited_s", "throttled_s", "of_others", "found"),
        [
            # As measured on Docker, two cores, six nodes, one store held to 0.02 cores.
            (1.81, 2.88, (0.0, 0.0), True),
            (1.45, 1.81, (0.0, 0.0), True),
            (5.16, 2.99, (0.0, 0.0), True),
            (0.60, 2.60, (0.0, 0.0), True),  # what it waited is booked later
            (1.81, 0.0, (0.0, 0.0), False),  # a busy machine: all of them wait, and none has a limit
            (1.81, 0.60, (0.0, 0.0), False),
            (1.81, 2.88, (0.0, 2.0), False),  # held back alike
        ],
    )
    def test_one_that_its_limit_holds_back(
        self, waited_s: float, throttled_s: float, of_others: tuple[float, ...], *, found: bool
    ) -> None:
        mine = Waited(3.4, ran_s=0.01, waited_s=waited_s, throttled_s=throttled_s)
        b, c = (Waited(3.4, ran_s=0.4, waited_s=2.2, throttled_s=each) for each in of_others)

        assert told(a=mine, b=b, c=c) == ([("starved", "a")] if found else [])
        if not found:
            return
        (starved,) = (
            each for each in signals_of_waits({"a": mine, "b": b, "c": c}) if each.kind == "starved"
        )
        assert f"held back by its CPU limit for {throttled_s:.2f} s" in starved.raw

    def test_that_a_node_had_its_processor_is_told_only_where_it_was_measured(self) -> None:
        seen = signals_of_waits({"a": WELL, "b": STARVED, "c": Waited(2.0)})

        assert [each.node for each in seen if each.kind == "cpu_enough"] == ["a"]

    def test_nobody_whose_counters_are_not_known(self) -> None:
        unknown = Waited(2.0)

        assert told(a=unknown, b=unknown, c=unknown) == []

    def test_a_slow_disk_beside_neighbours_that_wrote_nothing(self) -> None:
        idle = replace(WELL, syncs=0, synced_s=0.0)

        assert told(a=idle, b=SLOW_DISK, c=idle) == [("slow_disk", "b")]


async def test_a_node_that_was_restarted_between_the_readings_is_left_out() -> None:
    cluster, subject, _ = await scripted_cluster()
    first = await subject.observe()
    nodes = tuple(
        replace(node, process=replace(node.process, ran_s=5.0, waited_s=1.0)) for node in first.nodes
    )
    first = replace(first, nodes=nodes)
    grown = replace(nodes[0], process=replace(nodes[0].process, ran_s=6.0, waited_s=3.0))
    again = replace(nodes[1], process=replace(nodes[1].process, ran_s=0.1, waited_s=0.0))
    last = replace(first, at=first.at + 2.0, nodes=(grown, again, nodes[2]))
    found = between(first, last, {}, {})
    await cluster.aclose()

    assert (found["n1"].ran_s, found["n1"].waited_s) == (1.0, 2.0)
    assert found["n2"].ran_s is None
    assert (found["n3"].ran_s, found["n3"].waited_s) == (0.0, 0.0)


@pytest.fixture(scope="module")
def state() -> Iterator[StateFolder]:
    """A cluster whose data is on a disk, wherever other tests keep theirs: only a disk can be slow."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        made = bring_up(Path(folder))
        yield made
        take_down(made)


@pytest.mark.slow
@pytest.mark.control_groups
async def test_a_member_held_to_a_fiftieth_of_a_core_is_overloaded(on_etcd: Bench) -> None:
    await on_etcd.do("load_start", rate=100)
    await on_etcd.do("fault_inject", kind="cpu_starvation", target="follower")
    detected = await on_etcd.do("wait_for_detection", timeout_s=60)
    found = (await on_etcd.do("diagnose")).data["diagnosis"]

    assert detected.data["detected"]
    assert (found["kind"], found["node"]) == (
        "overload",
        on_etcd.workbench.faults.injections[-1].record.nodes[0],
    )


@pytest.mark.slow
@pytest.mark.blkio
async def test_a_member_whose_disk_is_slow_is_told_from_one_without_a_processor(on_etcd: Bench) -> None:
    workbench = on_etcd.workbench
    await on_etcd.do("load_start", rate=100)
    cluster = workbench.require_cluster()
    snapshot = await cluster.subject.observe()
    node = next(each for each in snapshot.nodes if each.name != snapshot.leader)
    assert node.process.identity is not None
    with slow_disk.slow_disk(int(node.process.identity.id), workbench.state.root, 4):
        await on_etcd.do("wait_for_detection", timeout_s=60)
        found = (await on_etcd.do("diagnose")).data["diagnosis"]

    assert (found["kind"], found["nodes"]) == ("slow_disk", [node.name])
