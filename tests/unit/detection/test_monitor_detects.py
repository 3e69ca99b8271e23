"""Each side's word counts for what it is worth, and one cause makes one detection."""

import asyncio
import time

import pytest

from subjects.base import Alarm, ControlState, EventKind, Health, Probe, ProcessState
from tests.standins.many_nodes import Manner
from tests.unit.detection.conftest import Watched
from tools.observe.figures import OperationFigures, Window
from tools.observe.signal import Source
from tools.observe.waits import CPU_SPAN_S


def window(
    n: int, *, operations: int = 300, errors: int = 0, p99_ms: float = 5.0, seconds: float = 1.0
) -> Window:
    whole = OperationFigures(operations, errors, 0, 1.0, 3.0, p99_ms, p99_ms)
    return Window(
        n, time.time(), time.monotonic(), seconds, operations, errors, 0, {"all": whole}, "timed out"
    )


class TestCpu:
    """A node is starved of CPU where it waits for a processor again and again, and its peers do not."""

    WELL, STARVED = (0.03, 0.15), (0.02, 1.9)

    async def test_one_that_waits_is_detected_at_the_second_reading_and_recovers(
        self, watched: Watched
    ) -> None:
        watched.subject.apart_s = CPU_SPAN_S
        watched.subject.cpu = {"n1": self.WELL, "n2": self.STARVED, "n3": self.WELL}
        detection = await watched.detection()
        await watched.looks()

        assert (detection.nodes, detection.text) == (("n2",), "n2 is starved of CPU; its peers are not")
        assert detection.invariants == ("client_latency",)
        assert watched.kinds("n2") == ["starved"]

        watched.subject.cpu["n2"] = self.WELL
        assert await watched.monitor.until_quiet(60)

    async def test_what_one_reading_shows_is_noted(self, watched: Watched) -> None:
        watched.subject.apart_s = CPU_SPAN_S
        watched.subject.cpu = {"n1": self.WELL, "n2": self.STARVED, "n3": self.WELL}
        await watched.until(lambda: "starved" in watched.kinds("n2"))
        watched.subject.cpu["n2"] = self.WELL
        await watched.calm()

    async def test_nobody_where_all_wait(self, watched: Watched) -> None:
        watched.subject.apart_s = CPU_SPAN_S
        watched.subject.cpu = dict.fromkeys(watched.subject.nodes, self.STARVED)
        await watched.looks(6)
        await watched.calm()

    async def test_a_doubt_about_cpu_does_not_rename_an_incident(self, watched: Watched) -> None:
        watched.subject.servers["n2"].die()
        detection = await watched.detection()
        watched.subject.apart_s = CPU_SPAN_S
        watched.subject.cpu = {"n1": self.WELL, "n2": self.STARVED, "n3": self.WELL}
        await watched.until(lambda: "starved" in watched.kinds("n2"))

        assert watched.monitor.name(detection.incident) == detection.text


class TestTheKernelsWord:
    """What the kernel or the engine says counts at once."""

    async def test_an_exit_is_a_detection_by_itself(self, watched: Watched) -> None:
        watched.runtime.happens("n2", "exit", 137)
        detection = await watched.detection()

        assert detection.nodes == ("n2",)
        assert [(seen.kind, seen.exit_code) for seen in detection.signals] == [("exit", 137)]
        assert detection.invariants == ("store_up",)

    @pytest.mark.parametrize("kind", ["stopped", "oom"])
    async def test_a_stop_and_an_oom_kill_count_at_once(self, watched: Watched, kind: EventKind) -> None:
        watched.runtime.happens("n3", kind)
        detection = await watched.detection()

        assert (detection.nodes, [seen.kind for seen in detection.signals]) == (("n3",), [kind])

    async def test_a_broken_connection_and_a_refused_new_one_count_at_once(self, watched: Watched) -> None:
        watched.subject.servers["n1"].die()
        detection = await watched.detection()

        assert (detection.nodes, detection.signals[0].kind) == (("n1",), "refused")

    async def test_a_port_that_accepts_and_drops_is_a_dead_node_behind_a_published_port(
        self, watched: Watched
    ) -> None:
        server = watched.subject.servers["n1"]
        server.manner = Manner.DROPPING
        server.hang_up()
        detection = await watched.detection()

        assert (detection.nodes, detection.signals[0].kind) == (("n1",), "reset")

    async def test_a_process_that_a_look_finds_gone_is_detected_without_an_event(
        self, watched: Watched
    ) -> None:
        watched.runtime.states["n2"] = ProcessState.EXITED
        assert (await watched.detection()).nodes == ("n2",)

    async def test_a_restart_between_two_looks_is_a_restart(self, watched: Watched) -> None:
        watched.subject.change("n2", started_at=1_000_050.0)
        detection = await watched.detection()

        assert (detection.nodes, detection.text) == (("n2",), "n2 was restarted")


class TestSilence:
    """Silence needs two misses, or one and a second witness."""

    async def test_two_misses_are_a_detection(self, watched: Watched) -> None:
        at = time.monotonic()
        watched.subject.servers["n2"].manner = Manner.SILENT
        detection = await watched.detection()

        assert (detection.nodes, detection.signals[0].kind) == (("n2",), "silent")
        assert detection.at - at >= 0.2

    async def test_one_miss_beside_a_stopped_process_is_one(self, watched: Watched) -> None:
        watched.runtime.states["n2"] = ProcessState.PAUSED  # not notified: only whoever asks will know
        watched.subject.servers["n2"].manner = Manner.SILENT
        detection = await watched.detection()

        assert detection.nodes == ("n2",)
        assert "stopped" in {signal.kind for signal in detection.signals}

    async def test_one_slow_answer_is_none(self, watched: Watched) -> None:
        server = watched.subject.servers["n2"]
        server.manner = Manner.SILENT
        await watched.until(lambda: "silent" in watched.kinds("n2"))
        server.manner = Manner.HEALTHY
        server.hang_up()
        await watched.calm()

    async def test_when_all_wait_for_a_silent_leader_the_leader_is_named(self, watched: Watched) -> None:
        for server in watched.subject.servers.values():
            server.manner = Manner.SILENT
        detection = await watched.detection()

        assert detection.nodes == ("n1",)
        await watched.calm()
        assert len(watched.monitor.open_incidents) == 1

    async def test_a_follower_that_complains_of_its_silent_leader_is_not_named_for_it(
        self, watched: Watched
    ) -> None:
        for server in watched.subject.servers.values():
            server.manner = Manner.SILENT
        await watched.until(lambda: all("silent" in watched.kinds(n) for n in ("n1", "n2", "n3")))
        for name in ("n2", "n3"):
            watched.subject.servers[name].manner = Manner.UNHEALTHY
            watched.subject.servers[name].hang_up()
        detection = await watched.detection()

        assert detection.nodes == ("n1",)

    async def test_nor_is_the_new_leader_before_the_old_one(self, watched: Watched) -> None:
        for server in watched.subject.servers.values():
            server.manner = Manner.SILENT
        await watched.until(lambda: all("silent" in watched.kinds(n) for n in ("n1", "n2", "n3")))
        watched.subject.leader = "n2"
        await watched.until(lambda: "leader_changed" in watched.kinds("n1"))
        watched.subject.servers["n2"].manner = Manner.UNHEALTHY
        watched.subject.servers["n2"].hang_up()
        detection = await watched.detection()

        assert detection.nodes == ("n1",)


class TestTheOtherViews:
    """The node's own word, its peers', the control plane's and the clients'."""

    async def test_a_node_that_says_twice_that_it_is_unhealthy(self, watched: Watched) -> None:
        watched.subject.servers["n3"].manner = Manner.UNHEALTHY
        detection = await watched.detection()

        assert (detection.nodes, detection.signals[0].source) == (("n3",), Source.SELF)

    async def test_a_node_that_most_of_its_peers_have_lost(self, watched: Watched) -> None:
        watched.subject.change("n3", peers={"n1": False, "n2": False})
        watched.subject.change("n1", peers={"n2": True, "n3": False})
        detection = await watched.detection()

        assert (detection.nodes, detection.invariants) == (("n3",), ("peers_connected",))

    async def test_one_peers_word_alone_names_nobody_at_once(self, watched: Watched) -> None:
        watched.subject.change("n2", peers={"n1": False})
        await watched.until(lambda: "edge_lost" in watched.kinds("n2"))
        await watched.looks()

        assert "peer_lost" not in watched.kinds("n2")

    async def test_a_node_far_behind_its_leader(self, watched: Watched) -> None:
        watched.subject.change("n3", lag=100_000)
        assert (await watched.detection()).invariants == ("replication_caught_up",)

    async def test_quorum_and_leader_are_of_the_whole_cluster(self, watched: Watched) -> None:
        watched.subject.held, watched.subject.leader = False, None
        detection = await watched.detection()

        assert detection.nodes == ()
        assert set(watched.monitor.broken) >= {"quorum"}

    async def test_an_alarm_of_the_database_counts_at_once(self, watched: Watched) -> None:
        watched.subject.alarms = (Alarm("NOSPACE", "n1"),)
        assert (await watched.detection()).invariants == ("disk_space",)

    async def test_an_alarm_lasts_while_nobody_who_knows_of_alarms_answers(self, watched: Watched) -> None:
        watched.subject.alarms = (Alarm("NOSPACE", "n1"),)
        await watched.detection()
        watched.subject.alarms, watched.subject.alarms_known = (), False
        await watched.looks()
        await watched.looks()

        assert "disk_space" in watched.monitor.broken

    async def test_a_member_that_comes_close_to_its_quota(self, watched: Watched) -> None:
        watched.subject.change("n3", db_bytes=96, details={"quota_bytes": 100})
        detection = await watched.detection()

        assert (detection.text, detection.nodes) == ("n3 is close to its space quota", ("n3",))

    async def test_clients_that_see_errors_for_three_windows(self, watched: Watched) -> None:
        for n in range(3):
            watched.monitor.client_window(window(n, operations=100, errors=50))
        assert (await watched.detection()).invariants == ("client_errors",)

    async def test_clients_that_get_nothing_done(self, watched: Watched) -> None:
        watched.monitor.client_window(window(0))
        for n in range(1, 4):
            watched.monitor.client_window(window(n, operations=0))
        assert (await watched.detection()).text == "client operations stalled"


class TestControlPlane:
    """PD's word counts, except right after it changed its leader."""

    async def test_disconnected_is_believed_of_an_old_leader(self, watched: Watched) -> None:
        watched.subject.change("n2", control=ControlState.DISCONNECTED, heartbeat_age_s=21.0)
        assert (await watched.detection()).nodes == ("n2",)

    async def test_a_new_leader_that_holds_a_healthy_store_for_disconnected_needs_a_witness(
        self, watched: Watched
    ) -> None:
        watched.subject.leader = "n2"  # both are seen by one and the same look
        watched.subject.change("n3", control=ControlState.DISCONNECTED, heartbeat_age_s=240.0)
        await watched.until(lambda: "disconnected_unsure" in watched.kinds("n3"))
        await watched.calm()
        assert watched.monitor.detections == ()

        watched.subject.change(
            "n3", itself=Probe(watched.subject.views["n3"].itself.connection, Health.UNHEALTHY)
        )
        assert (await watched.detection()).nodes == ("n3",)


class TestOneCause:
    """What follows from a failure belongs to it."""

    async def test_all_signals_of_a_death_join_one_incident(self, watched: Watched) -> None:
        watched.runtime.happens("n2", "exit", 137)
        watched.subject.servers["n2"].die()
        watched.subject.change("n2", peers={"n1": False, "n3": False})
        detection = await watched.detection()
        await watched.until(lambda: {"exit", "refused", "peer_lost"} <= set(watched.kinds("n2")))
        await watched.calm()
        await watched.monitor.recorded()

        incident = watched.store.get(detection.incident)
        assert len(watched.detected) == 1
        assert {entry.kind for entry in incident.signals} >= {"exit", "refused", "peer_lost"}

    async def test_unrest_of_the_survivors_belongs_to_the_death(self, watched: Watched) -> None:
        watched.runtime.happens("n1", "exit", 137)
        await watched.detection()
        watched.subject.leader = None
        watched.subject.servers["n2"].manner = Manner.SILENT
        watched.subject.servers["n3"].manner = Manner.UNHEALTHY
        await watched.until(lambda: {"silent"} <= set(watched.kinds("n2")))
        await watched.calm()

        assert [event.nodes for event in watched.detected] == [("n1",)]

    async def test_it_is_called_by_the_kernels_word_where_a_connections_came_first(
        self, watched: Watched
    ) -> None:
        watched.subject.servers["n2"].die()
        detection = await watched.detection()
        watched.runtime.happens("n2", "exit", 137)
        await watched.until(lambda: "exit" in watched.kinds("n2"))
        assert await watched.monitor.recorded()

        assert detection.text == "n2 refuses connections"
        assert watched.monitor.name(detection.incident) == "n2 is down: its process exited"
        assert watched.store.get(detection.incident).text == "n2 is down: its process exited"
        assert len(watched.detected) == 1

    async def test_two_nodes_that_die_together_are_two_detections_in_one_incident(
        self, watched: Watched
    ) -> None:
        watched.runtime.happens("n1", "exit")
        watched.runtime.happens("n2", "exit")
        await watched.until(lambda: len(watched.detected) == 2)
        await watched.monitor.recorded()

        assert len({event.incident for event in watched.detected}) == 1
        assert watched.store.list()[0].nodes == ("n1", "n2")

    async def test_the_table_says_who_knew_when_and_what_the_usual_rule_would_have_taken(
        self, watched: Watched
    ) -> None:
        watched.runtime.happens("n2", "exit", 137)
        watched.subject.servers["n2"].die()
        watched.subject.change("n2", peers={"n1": False, "n3": False})
        detection = await watched.detection()
        await watched.until(lambda: {"exit", "refused", "peer_lost"} <= set(watched.kinds("n2")))
        await watched.monitor.recorded()
        knew = {knower.who: knower for knower in watched.store.get(detection.incident).knew}

        assert {"kernel", "connection", "peers"} <= set(knew)
        assert knew["kernel"].seconds == 0.0
        assert (knew["UsualAlert"].seconds, knew["UsualAlert"].measured) == (1200.0, False)


async def test_a_detection_that_was_made_before_the_wait_is_returned_without_a_wait(watched: Watched) -> None:
    after = time.monotonic()
    watched.runtime.happens("n2", "exit")
    await watched.until(lambda: bool(watched.monitor.detections))

    assert await watched.monitor.wait(after, 0.0) is not None


async def test_a_wait_for_nothing_ends(watched: Watched) -> None:
    assert await watched.monitor.wait(time.monotonic(), 0.2) is None


async def test_every_waiter_is_told(watched: Watched) -> None:
    waiters = [asyncio.create_task(watched.monitor.wait(0.0, 60.0)) for _ in range(3)]
    await asyncio.sleep(0)
    watched.runtime.happens("n2", "exit")

    assert all(await asyncio.gather(*waiters))
