"""No alarm for what is planned or usual; one incident for what flaps; an end when all is well."""

import ast
import asyncio
from pathlib import Path

import tools.detection
from subjects.base import Connection, Probe, ProcessState
from tests.standins.many_nodes import Manner
from tests.unit.detection.conftest import Watched
from tests.unit.detection.test_monitor_detects import window
from tools.events import Notice
from tools.observe.incident import State


def restart(watched: Watched, node: str) -> None:
    """What a node's end and new start look like from outside."""
    watched.runtime.happens(node, "exit", 0)
    watched.subject.servers[node].die()


class TestPlanned:
    """Maintenance windows cover what they are for, and no more."""

    async def test_a_planned_restart_is_no_alarm(self, watched: Watched) -> None:
        with watched.monitor.maintenance(["n2"], "restart asked for"):
            restart(watched, "n2")
            watched.subject.change("n2", peers={"n1": False, "n3": False})
            await watched.looks()
            await watched.subject.servers["n2"].start()
            watched.runtime.happens("n2", "start")
            watched.subject.change("n2", peers={"n1": True, "n3": True}, started_at=1_000_099.0)
        await watched.calm(1.0)

        assert watched.kinds("n2") == []

    async def test_a_node_that_was_stopped_on_request_stays_quiet_until_it_is_back(
        self, watched: Watched
    ) -> None:
        with watched.monitor.maintenance(["n2"], "stop asked for"):
            restart(watched, "n2")
            await watched.looks()
        await watched.calm(1.0)

        await watched.subject.servers["n2"].start()
        watched.runtime.happens("n2", "start")
        watched.subject.change("n2", started_at=1_000_099.0)
        await watched.calm(0.6)
        at = watched.runtime.happens("n2", "exit", 137)
        assert (await watched.detection(at)).nodes == ("n2",)

    async def test_a_port_that_opens_before_the_restarted_node_answers_is_no_alarm(
        self, watched: Watched
    ) -> None:
        """As a published port or a proxy does: it takes connections and drops them."""
        server = watched.subject.servers["n2"]
        with watched.monitor.maintenance(["n2"], "restart asked for"):
            server.manner = Manner.DROPPING
            watched.runtime.happens("n2", "exit", 0)
            server.hang_up()
            watched.runtime.happens("n2", "start")
            watched.subject.change("n2", started_at=1_000_099.0)
            (probe,) = (each for (node, _), each in watched.monitor._wheel._probes.items() if node == "n2")
            while not probe.missed:  # lost, and nothing is known of the new connection yet
                await asyncio.sleep(0)
        await watched.calm(0.5)

        server.manner = Manner.HEALTHY
        await watched.calm(0.5)
        at = watched.runtime.happens("n2", "exit", 137)
        assert (await watched.detection(at)).nodes == ("n2",)

    async def test_another_node_that_dies_meanwhile_is_detected(self, watched: Watched) -> None:
        with watched.monitor.maintenance(["n2"], "restart asked for"):
            watched.runtime.happens("n3", "exit", 137)
            assert (await watched.detection()).nodes == ("n3",)

    async def test_a_death_right_after_the_window_is_detected(self, watched: Watched) -> None:
        with watched.monitor.maintenance(["n2"], "restart asked for"):
            await watched.looks(1)
        watched.subject.servers["n2"].die()
        assert (await watched.detection()).nodes == ("n2",)

    async def test_clients_errors_in_a_planned_election_are_covered(self, watched: Watched) -> None:
        with watched.monitor.maintenance(["n1"], "restart asked for"):
            watched.subject.leader = "n2"
            await watched.looks(1)
        for n in range(3):
            watched.monitor.client_window(window(n, operations=10, errors=90))
        await watched.calm()


class TestUpkeep:
    """A node that is silent and says itself why is no incident; one that is silent everywhere is."""

    async def test_a_member_that_is_being_defragmented_is_told_and_not_alarmed_of(
        self, watched: Watched
    ) -> None:
        watched.subject.under["n2"] = "is being defragmented"
        watched.subject.servers["n2"].manner = Manner.SILENT
        await watched.until(lambda: "defragmenting" in watched.kinds("n2"))
        await watched.calm(1.0)

        watched.subject.servers["n2"].manner = Manner.HEALTHY
        watched.subject.servers["n2"].hang_up()
        await watched.looks()
        watched.subject.under.clear()
        await watched.calm(0.6)
        notices = [event.text for event in watched.told if isinstance(event, Notice)]
        assert notices[0] == "n2 is being defragmented: it serves nobody until that is over."

    async def test_the_death_of_such_a_member_is_detected(self, watched: Watched) -> None:
        watched.subject.under["n2"] = "is being defragmented"
        watched.subject.servers["n2"].manner = Manner.SILENT
        await watched.until(lambda: "defragmenting" in watched.kinds("n2"))
        watched.subject.servers["n2"].die()
        assert (await watched.detection()).nodes == ("n2",)

    async def test_the_silence_of_another_one_meanwhile_is_detected(self, watched: Watched) -> None:
        watched.subject.under["n2"] = "is being defragmented"
        watched.subject.servers["n2"].manner = Manner.SILENT
        await watched.until(lambda: "defragmenting" in watched.kinds("n2"))
        watched.subject.servers["n3"].manner = Manner.SILENT
        assert (await watched.detection()).nodes == ("n3",)


class TestUsual:
    """What happens to healthy clusters is told, not alarmed of."""

    async def test_a_leader_that_moves(self, watched: Watched) -> None:
        watched.subject.leader, watched.subject.term = "n2", 3
        await watched.until(lambda: "leader_changed" in watched.kinds("n1"))
        await watched.calm()

    async def test_but_a_leader_that_changes_again_and_again(self, watched: Watched) -> None:
        for leader in ("n2", "n3", "n1", "n2"):
            watched.subject.leader = leader
            await watched.looks(2)
        assert (await watched.detection()).invariants == ("leader_stable",)

    async def test_a_server_that_closes_its_connections(self, watched: Watched) -> None:
        for server in watched.subject.servers.values():
            server.manner = Manner.CLOSING
        await watched.calm()
        for server in watched.subject.servers.values():
            server.manner = Manner.HEALTHY
            server.hang_up()
        await watched.calm()

        assert watched.kinds("n1") == []

    async def test_what_holds_is_filed_once_however_often_it_is_seen(self, watched: Watched) -> None:
        watched.runtime.happens("n2", "exit", 137)
        watched.subject.change("n2", peers={"n1": False, "n3": False})
        await watched.until(lambda: "peer_lost" in watched.kinds("n2"))
        filed = len(watched.monitor.signals)
        await watched.looks(5)

        assert len(watched.monitor.signals) == filed

    async def test_a_load_that_starts_and_stops(self, watched: Watched) -> None:
        watched.monitor.client_window(window(0, operations=0))
        watched.monitor.client_window(window(1))
        watched.monitor.client_window(window(2, operations=0, seconds=0.1))
        await watched.calm()

        assert watched.kinds() == []

    async def test_members_that_come_and_go(self, watched: Watched) -> None:
        await watched.subject.join("n4")
        await watched.until(lambda: "member_added" in watched.kinds("n4"))
        await watched.until(lambda: watched.subject.servers["n4"].asked > 1)
        watched.subject.leave("n3")
        await watched.until(lambda: "member_removed" in watched.kinds("n3"))
        await watched.looks(2)
        joined = [made.nodes for made in watched.monitor.detections if made.nodes != ("n3",)]

        assert joined == []
        assert watched.monitor.open_incidents == () or watched.monitor.detections[-1].nodes == ("n3",)
        watched.subject.servers["n4"].die()
        await watched.until(lambda: any(made.nodes == ("n4",) for made in watched.monitor.detections))


class TestTheEnd:
    """An incident closes when all views are well, and flapping opens no second one."""

    async def test_a_recovery_closes_it(self, watched: Watched) -> None:
        watched.runtime.happens("n2", "exit")
        detection = await watched.detection()
        watched.runtime.happens("n2", "start")
        await watched.until(lambda: not watched.monitor.open_incidents)
        await watched.monitor.recorded()
        incident = watched.store.get(detection.incident)

        assert incident.state is State.RECOVERED
        assert incident.recovered is not None
        assert "recovered" in watched.kinds("n2")

    async def test_one_view_that_still_disagrees_keeps_it_open(self, watched: Watched) -> None:
        watched.runtime.happens("n2", "exit")
        watched.subject.change("n2", peers={"n1": False, "n3": False})
        await watched.until(lambda: "peer_lost" in watched.kinds("n2"))
        watched.runtime.happens("n2", "start")
        await watched.calm(1.5)

        assert len(watched.monitor.open_incidents) == 1

    async def test_flapping_is_one_incident_that_is_counted(self, watched: Watched) -> None:
        for _ in range(2):
            watched.runtime.happens("n2", "exit")
            await watched.until(lambda: len(watched.monitor.open_incidents) == 1)
            watched.runtime.happens("n2", "start")
            await watched.until(lambda: not watched.monitor.open_incidents)
        await watched.monitor.recorded()

        assert [incident.reopened for incident in watched.store.list()] == [1]

    async def test_after_a_heal_the_same_trouble_is_a_new_incident(self, watched: Watched) -> None:
        watched.runtime.happens("n2", "exit")
        detection = await watched.detection()
        await watched.monitor.recorded()
        watched.store.heal(detection.incident, "n2 was started")
        watched.runtime.happens("n2", "start")
        await watched.until(lambda: not watched.monitor.open_incidents)
        await watched.monitor.recorded()
        at = watched.runtime.happens("n2", "exit")
        await watched.detection(at)
        await watched.monitor.recorded()

        assert len(watched.store.list()) == 2

    async def test_after_all_was_put_in_order_it_is_one_too_and_ends_as_soon(self, watched: Watched) -> None:
        for _ in range(3):
            watched.runtime.happens("n2", "exit")
            await watched.until(lambda: len(watched.monitor.open_incidents) == 1)
            watched.runtime.happens("n2", "start")
            await watched.until(lambda: not watched.monitor.open_incidents)
            watched.monitor.settle()
        await watched.monitor.recorded()

        assert [incident.reopened for incident in watched.store.list()] == [0, 0, 0]

    async def test_the_end_of_the_watching_is_noted_not_taken_for_a_recovery(self, watched: Watched) -> None:
        watched.runtime.happens("n2", "exit")
        detection = await watched.detection()
        await watched.monitor.stop()

        assert watched.store.get(detection.incident).state is State.UNWATCHED


class TestWords:
    """What nodes say cannot move a cursor or forge a line."""

    async def test_escape_sequences_and_line_breaks_of_a_node_are_gone_from_signals(
        self, watched: Watched
    ) -> None:
        watched.subject.servers["n3"].manner = Manner.HOSTILE
        detection = await watched.detection()
        raw = " ".join(signal.raw for signal in detection.signals)

        assert "unhealthy" in raw
        assert not {"\x1b", "\x07", "\r", "\n"} & set(raw)
        assert all(watched.ledger.get(signal.evidence or "") for signal in detection.signals)


def test_the_detector_imports_nothing_of_the_fault_journal() -> None:
    folder = Path(tools.detection.__file__).parent
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.startswith("tools.faults")], path.name


async def test_a_paused_node_that_goes_on_is_well_again(watched: Watched) -> None:
    watched.subject.servers["n2"].manner = Manner.SILENT
    watched.runtime.states["n2"] = ProcessState.PAUSED
    await watched.detection()
    watched.subject.servers["n2"].manner = Manner.HEALTHY
    watched.subject.servers["n2"].hang_up()
    watched.runtime.states["n2"] = ProcessState.RUNNING
    await watched.until(lambda: not watched.monitor.open_incidents)


async def test_a_leader_that_only_answers_late_is_missed_by_nobody(
    watched: Watched,
) -> None:
    """On a machine whose cores all burn its status took over a second, twice: nobody was without a leader."""
    watched.subject.leader = None
    for node in ("n2", "n3"):
        watched.subject.change(node, details={"leader_it_sees": "n1"})
    await watched.calm(1.0)

    assert watched.monitor.signals == ()


async def test_when_nobody_answers_nobody_says_that_there_is_no_leader(watched: Watched) -> None:
    watched.subject.leader, watched.subject.held = None, False
    for node in watched.subject.nodes:
        watched.subject.change(node, term=None, itself=Probe(Connection.SILENT, raw="no answer in time"))
    detection = await watched.detection()

    assert detection.text == "cluster state unavailable"
    assert {"no_leader", "quorum_lost"}.isdisjoint(watched.kinds())
