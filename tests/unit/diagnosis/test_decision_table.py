"""The rules: which disagreement of views means what, what outweighs what, and how sure they are of it."""

from dataclasses import replace
from itertools import combinations

import pytest

from subjects.base import ClusterSnapshot, ClusterState, Quorum
from tests.unit.diagnosis.conftest import Scene
from tools.diagnosis.advice import actions
from tools.diagnosis.check import check
from tools.diagnosis.rules import conclude
from tools.diagnosis.schema import Confidence, Findings, Kind
from tools.diagnosis.table import BY_NAME, TABLE, Row
from tools.observe.kinds import KINDS
from tools.observe.signal import Again, Detection

NODES = ("a", "b", "c")
RUNS = ("running", "healthy", "answers", "connected")
OUTSIDE = ("answers", "healthy", "connected")


SURE_OF_A_CUT = [
    row
    for row in TABLE
    if row.kind in {Kind.PARTITION, Kind.PAUSE}
    and row.surest is Confidence.HIGH
    and "stopped" not in row.when[0]  # the kernel's own word
]


def _late(group: tuple[str, ...]) -> str:
    """Return what is seen of a group of words where who runs the process learns late of its end."""
    return "reported_running" if group[0] == "running" else group[0]


def concluded(scene: Scene, *, database: str = "etcd", detected: Detection | None = None) -> Findings:
    return conclude(scene.gathered, NODES, scene.ledger, database=database, detected=detected)


def with_quorum(scene: Scene, voters: int, up: int) -> Findings:
    snapshot = ClusterSnapshot(0.0, 0.0, (), "a", 2, Quorum(voters, up), ClusterState.DEGRADED)
    nodes = NODES[:voters]
    return conclude(replace(scene.gathered, snapshot=snapshot), nodes, scene.ledger, database="etcd")


@pytest.mark.parametrize(
    ("kinds", "kind"),
    [
        (("exit:137", "refused", "peer_lost"), Kind.CRASH),
        (("oom", "refused"), Kind.CRASH),
        (("exit:1", "refused"), Kind.CRASH),
        (("exit:1", "log_no_space"), Kind.DISK_FULL),
        (("exit:1", "log_no_reason"), Kind.DISK_FULL),
        (("running", "log_no_space"), Kind.DISK_FULL),
        (("running", "no_network", "refused", "late_alone"), Kind.PARTITION),
        (("running", "peer_lost", "late_port", "slow_health", "late_alone"), Kind.OVERLOAD),
        (("running", "low_space"), Kind.DISK_FULL),
        (("exit", "refused"), Kind.CRASH),
        (("evicted", "refused", "log_shutdown"), Kind.CRASH),
        (("blocked", "refused", "log_shutdown"), Kind.CRASH),
        (("exit:0", "log_shutdown"), Kind.PLANNED_RESTART),
        (("exit:0", "log_shutdown", "probe_failed"), Kind.RESTART),
        (("exit:137", "refused", "probe_failed"), Kind.RESTART),
        (("running", "log_shutdown", "restarted"), Kind.PLANNED_RESTART),
        (("running", "restarted", "log_no_shutdown"), Kind.CRASH),
        (("exit:137", "log_shutdown"), Kind.CRASH),
        (("stopped", "silent", "silent@health"), Kind.PAUSE),
        (("running", "stopped", "healthy", "silent@health"), Kind.PAUSE),
        ((*RUNS, "peer_lost", "unhealthy"), Kind.PARTITION),
        ((*RUNS, "silent"), Kind.PARTITION),
        ((*RUNS, "lossy"), Kind.PARTITION),
        ((*RUNS, "slow_port", "lossy", "host_late", "slow_health"), Kind.OVERLOAD),
        ((*RUNS, "leaderless", "unhealthy"), Kind.PARTITION),
        ((*RUNS, "slow_port", "host_quick"), Kind.NETWORK_DELAY),
        ((*RUNS, "slow_health", "host_quick"), Kind.NETWORK_DELAY),
        ((*RUNS, "slow_health", "host_late"), Kind.OVERLOAD),
        ((*RUNS, "late_port", "cpu_enough", "late_alone"), Kind.NETWORK_DELAY),
        ((*RUNS, "slow_port", "cpu_enough"), Kind.NETWORK_DELAY),
        ((*RUNS, "slow_port", "cpu_enough", "host_late"), Kind.OVERLOAD),
        ((*RUNS, "late_port", "late_alone"), Kind.OVERLOAD),
        ((*RUNS, "slow_disk"), Kind.SLOW_DISK),
        ((*RUNS, "slow_disk", "starved"), Kind.OVERLOAD),
        ((*RUNS, "starved", "silent@health", "silent"), Kind.OVERLOAD),
        ((*RUNS, "no_space"), Kind.SPACE_QUOTA),
        ((*RUNS, "corrupt"), Kind.CORRUPTION),
        ((*RUNS, "silent@health", "defragmenting"), Kind.DEFRAGMENTATION),
    ],
)
def test_one_nodes_views_mean(scene: Scene, kinds: tuple[str, ...], kind: Kind) -> None:
    found = concluded(scene.well("a", "c").on("b", *kinds))

    assert (found.kind, found.nodes) == (kind, ("b",))


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("slow_disk", "late_port"), Kind.SLOW_DISK),
        (("log_slow_disk", "late_port"), Kind.SLOW_DISK),
        (("silent", "healthy"), Kind.PARTITION),
    ],
)
@pytest.mark.parametrize("measured", [True, False])
def test_what_a_starved_node_shows_too_is_sure_only_of_one_that_had_a_processor(
    scene: Scene, words: tuple[str, ...], kind: Kind, *, measured: bool
) -> None:
    """A store held to 0.02 cores logged `sync log took too long`, and its port was silent now and then."""
    scene.well("a", "c").on("b", *RUNS, *words, *(("cpu_enough",) if measured else ()))
    found = concluded(scene)

    assert (found.kind, found.nodes) == (kind, ("b",))
    assert found.confidence is (Confidence.HIGH if measured else Confidence.MEDIUM)


class TestFromOutside:
    """Where nobody sees a process, what cannot be told apart is not told apart, and never with confidence."""

    @pytest.mark.parametrize(
        ("kinds", "kind", "words"),
        [
            (("refused", "peer_lost"), Kind.CRASH, "crashed or was stopped"),
            (("answers", "refused", "restarted"), Kind.RESTART, "cannot be told apart without its log"),
            (("reset", "peer_lost"), Kind.CRASH, "a container's published port"),
            (
                ("reset", "answers", "healthy", "leaderless"),
                Kind.PARTITION,
                "the network between them is cut",
            ),
            (("silent", "deaf"), Kind.PAUSE, "cut off looks the same"),
            (("silent", "no_connection"), Kind.PARTITION, "frozen or down"),
            (("answers", "silent"), Kind.PAUSE, "look alike from outside"),
            (("answers", "unhealthy", "leaderless"), Kind.PARTITION, "the network between them is cut"),
        ],
    )
    def test_it_is_said_how_far_the_evidence_goes(
        self, scene: Scene, kinds: tuple[str, ...], kind: Kind, words: str
    ) -> None:
        for node in ("a", "c"):
            scene.on(node, *OUTSIDE)
        found = concluded(scene.on("b", *kinds))

        assert (found.kind, found.nodes) == (kind, ("b",))
        assert found.confidence is not Confidence.HIGH
        assert words in found.root_cause

    @pytest.mark.parametrize(
        ("kinds", "kind", "words"),
        [
            (("refused", "peer_lost"), Kind.CRASH, "its status does not show it yet"),
            (("reset", "peer_lost"), Kind.CRASH, "its status does not show it yet"),
            (("reset", "silent", "deaf", "peer_lost"), Kind.PAUSE, "cut off looks the same"),
            (("silent", "no_connection", "peer_lost"), Kind.PARTITION, "frozen or down"),
            (("silent", "host_silent"), Kind.PAUSE, "look alike from outside"),
            (("leaderless", "unhealthy", "peer_lost"), Kind.PARTITION, "the network between them is cut"),
        ],
    )
    def test_a_status_that_comes_late_does_not_say_that_a_process_runs(
        self, scene: Scene, kinds: tuple[str, ...], kind: Kind, words: str
    ) -> None:
        found = concluded(scene.well("a", "c").on("b", "reported_running", *kinds))

        assert (found.kind, found.nodes) == (kind, ("b",))
        assert found.confidence is not Confidence.HIGH
        assert words in found.root_cause

    @pytest.mark.parametrize(
        ("kinds", "kind", "words"),
        [
            (("refused", "restarted", "log_no_shutdown"), Kind.CRASH, "Of what it died is not known"),
            (("reset", "restarted"), Kind.RESTART, "cannot be told apart without its log"),
            (("refused", "peer_lost"), Kind.RESTART, "Which is not known"),
            (("reset", "leaderless"), Kind.RESTART, "Which is not known"),
        ],
    )
    def test_one_that_is_back_before_its_status_tells_is_neither_cut_off_nor_sure_to_have_crashed(
        self, scene: Scene, kinds: tuple[str, ...], kind: Kind, words: str
    ) -> None:
        scene.well("a", "c").earlier("b", *kinds).on("b", *RUNS, "reported_running")
        found = concluded(scene)

        assert (found.kind, found.nodes) == (kind, ("b",))
        assert found.confidence is not Confidence.HIGH
        assert words in found.root_cause

    @pytest.mark.parametrize(
        "kinds", [("silent", "refused"), ("peer_lost", "reset"), ("leaderless", "reset")]
    )
    def test_one_that_answers_for_itself_as_the_process_of_before_is_cut_off_for_sure(
        self, scene: Scene, kinds: tuple[str, ...]
    ) -> None:
        scene.well("a", "c").on("b", "running", "reported_running", "healthy", "same_start", *kinds)
        found = concluded(scene)

        assert (found.kind, found.nodes) == (Kind.PARTITION, ("b",))
        assert found.confidence is Confidence.HIGH

    def test_no_row_that_is_sure_of_a_cut_or_a_pause_fits_what_a_late_status_says(self) -> None:
        """Whatever else is seen, as long as the node says nothing of itself."""
        words = ("refused", "reset", "silent", "peer_lost", "edge_lost", "leaderless", "unhealthy", "deaf")
        for size in range(1, 4):
            for kinds in combinations(words, size):
                alone = Scene().well("a", "c").on("b", "reported_running", *kinds)
                found = concluded(alone)
                wrong = found.kind in {Kind.PARTITION, Kind.PAUSE} and found.confidence is Confidence.HIGH
                assert not wrong, (kinds, found)

    @pytest.mark.parametrize("row", SURE_OF_A_CUT, ids=lambda row: row.name)
    def test_who_says_late_that_it_runs_makes_no_row_of_a_cut_or_a_pause_sure(self, row: Row) -> None:
        """A pod's status, and a container engine whose events are late."""
        kinds = [_late(group) for group in row.when]
        found = concluded(Scene().well("a", "c").on("b", "reported_running", *kinds), database="tikv")

        assert found.confidence is not Confidence.HIGH, found

    @pytest.mark.parametrize(
        ("ends", "kind", "words"),
        [
            (("oom",), Kind.CRASH, "OOM-killed"),
            (("exit:137",), Kind.CRASH, "SIGKILL"),
            (("exit:1",), Kind.CRASH, "exited by its own decision"),
            (("evicted",), Kind.CRASH, "evicted"),
            (("blocked",), Kind.CRASH, "cannot be started"),
            (("exit:0",), Kind.PLANNED_RESTART, "asked it to stop"),
            (("exit:143", "log_shutdown"), Kind.PLANNED_RESTART, "was asked to stop"),
            (("exit:137", "log_shutdown"), Kind.CRASH, "SIGKILL"),
        ],
    )
    @pytest.mark.parametrize("row", SURE_OF_A_CUT, ids=lambda row: row.name)
    def test_how_it_ended_comes_before_every_row_of_a_cut_or_a_pause(
        self, row: Row, ends: tuple[str, ...], kind: Kind, words: str
    ) -> None:
        """Also where it is back, and answers for itself."""
        kinds = [group[0] for group in row.when if group[0] != "running"]
        scene = Scene().well("a", "c").earlier("b", *kinds, *ends)
        found = concluded(scene.on("b", *RUNS, "reported_running"), database="tikv")

        assert (found.kind, found.nodes) == (kind, ("b",))
        assert words in found.root_cause

    def test_who_is_back_before_it_tells_is_not_told_to_be_down(self, scene: Scene) -> None:
        scene.well("a", "c").on("b", "refused", "answers", "healthy", "reported_running")
        found = concluded(scene)

        assert (found.kind, found.confidence) == (Kind.CRASH, Confidence.LOW)
        assert "answers again" in found.root_cause
        assert "its status does not show it yet" in found.root_cause

    @pytest.mark.parametrize("ends", ["oom", "exit:137", "evicted"])
    def test_once_it_tells_that_is_the_cause(self, scene: Scene, ends: str) -> None:
        scene.well("a", "c").on("b", "refused", "reported_running").earlier("b", ends)
        found = concluded(scene)

        assert (found.kind, found.confidence) == (Kind.CRASH, Confidence.HIGH)
        assert {"oom": "OOM-killed", "exit:137": "SIGKILL", "evicted": "evicted"}[ends] in found.root_cause

    def test_another_version_makes_a_restart_an_upgrade(self, scene: Scene) -> None:
        for node in ("a", "c"):
            scene.on(node, *OUTSIDE)
        found = concluded(scene.on("b", *OUTSIDE, "refused", "restarted", "version_changed"))

        assert (found.kind, found.nodes) == (Kind.PLANNED_RESTART, ("b",))

    def test_who_was_restarted_and_stays_without_peers_is_cut_off(self, scene: Scene) -> None:
        scene.earlier("b", "refused", "restarted", "peer_lost")
        assert concluded(scene).kind is Kind.RESTART

        for node in ("a", "c"):
            scene.on(node, *OUTSIDE)
        found = concluded(scene.on("b", "answers", "healthy", "peer_lost"))  # five seconds on and more
        assert (found.kind, found.nodes) == (Kind.PARTITION, ("b",))

    def test_who_is_not_reached_behind_a_shared_address_may_be_dead(self, scene: Scene) -> None:
        for node in ("a", "c"):
            scene.on(node, *OUTSIDE)
        found = concluded(scene.on("b", "unreached"))

        assert (found.kind, found.nodes, found.confidence) == (Kind.CRASH, ("b",), Confidence.LOW)
        assert "nobody can tell apart" in found.root_cause

    def test_one_that_is_slower_to_clients_than_it_was_is_behind_a_slow_network(self, scene: Scene) -> None:
        found = concluded(scene.well("a", "c").on("b", *RUNS).earlier("b", "late_port").earlier(None, "slow"))

        assert (found.kind, found.nodes) == (Kind.NETWORK_DELAY, ("b",))

    @pytest.mark.parametrize("answer", ["host_quick", "host_late"])
    def test_one_that_answers_on_its_own_host_alone_is_cut_off(self, scene: Scene, answer: str) -> None:
        """As in a pod in the first second: it still follows its leader, and no peer has missed it yet.

        Late is an answer, too: one that is too busy to take connections would take none on its own host.
        """
        scene.well("a", "c").on("b", "running", answer, "silent", "no_connection", "lagging")
        found = concluded(scene)

        assert (found.kind, found.nodes, found.confidence) == (Kind.PARTITION, ("b",), Confidence.MEDIUM)

    def test_clients_that_fail_at_one_healthy_node_alone_name_it(self, scene: Scene) -> None:
        for node in ("a", "c"):
            scene.on(node, *RUNS)
        scene.on("b", *RUNS).earlier("b", "failed_here").earlier(None, "slow")
        found = concluded(scene)

        assert (found.kind, found.nodes, found.confidence) == (Kind.OVERLOAD, ("b",), Confidence.LOW)
        assert "one node that failed" not in {each.cause for each in found.alternatives}

    def test_clients_that_fail_at_several_healthy_nodes_name_none(self, scene: Scene) -> None:
        for node in ("a", "b", "c"):
            scene.on(node, *RUNS)
        scene.earlier("a", "failed_here").earlier("b", "failed_here").earlier(None, "slow")

        assert concluded(scene).nodes == ()

    def test_regions_without_a_leader_have_a_remedy_of_their_own(self, scene: Scene) -> None:
        found = concluded(scene.well("a", "b", "c").on(None, "regions_leaderless"), database="tikv")

        assert found.kind is Kind.LEADER_LOSS
        assert any("unsafe remove-failed-stores" in each for each in found.suggested_actions)

    def test_another_id_under_the_same_name_is_another_member(self, scene: Scene) -> None:
        for node in ("a", "c"):
            scene.on(node, *OUTSIDE)
        found = concluded(scene.on("b", *OUTSIDE, "restarted", "member_replaced"))

        assert (found.kind, found.nodes) == (Kind.MEMBERSHIP, ("b",))

    def test_a_member_that_was_removed_is_no_crash(self, scene: Scene) -> None:
        for node in ("a", "c"):
            scene.on(node, *OUTSIDE)

        assert concluded(scene.earlier("b", "refused", "member_removed")).kind is Kind.MEMBERSHIP


class TestWhatOutweighsWhat:
    def test_neighbours_that_miss_a_dead_peer_are_no_cause(self, scene: Scene) -> None:
        scene.on("a", *RUNS, "edge_lost", "unhealthy")
        scene.on("b", "exit:137", "peer_lost").well("c")

        assert concluded(scene).nodes == ("b",)

    def test_one_answer_missed_in_passing_is_nothing_beside_a_cut_that_lasts(self, scene: Scene) -> None:
        scene.well("a", "c").earlier("c", "silent")
        scene.on("b", *RUNS, "leaderless", "unhealthy")

        assert (concluded(scene).kind, concluded(scene).nodes) == (Kind.PARTITION, ("b",))

    def test_an_oom_kill_is_the_reason_of_a_kill_that_it_led_to(self, scene: Scene) -> None:
        scene.well("a", "c").on("b", "exit:137", "oom", "refused")

        assert "OOM-killed" in concluded(scene).root_cause

    def test_what_was_recorded_counts_when_it_is_over(self, scene: Scene) -> None:
        scene.well("a", "b", "c").earlier("b", "stopped")

        assert (concluded(scene).kind, concluded(scene).nodes) == (Kind.PAUSE, ("b",))

    def test_a_leader_is_blamed_for_what_spreads_from_it(self, scene: Scene) -> None:
        for node in NODES:
            scene.on(node, *RUNS, "slow_health", "host_quick")
        scene.on("c", "leads")

        assert (concluded(scene).kind, concluded(scene).nodes) == (Kind.NETWORK_DELAY, ("c",))

    def test_a_node_that_is_slow_by_itself_is_blamed_before_the_leader(self, scene: Scene) -> None:
        for node in NODES:
            scene.on(node, *RUNS, "slow_health", "host_quick")
        scene.on("c", "leads").on("a", "slow_port")

        assert concluded(scene).nodes == ("a",)

    def test_what_only_the_followers_show_is_blamed_on_nobody_for_sure(self, scene: Scene) -> None:
        for node in ("a", "b"):
            scene.on(node, *RUNS, "silent@health", "host_quick")
        scene.on("c", *RUNS, "leads", "silent@client")

        assert concluded(scene).confidence is Confidence.LOW

    def test_two_gone_of_three_are_a_lost_quorum_that_names_both(self, scene: Scene) -> None:
        scene.on("a", "exit:137").on("c", "exit:137").on("b", *RUNS, "unhealthy")
        scene.on(None, "quorum_lost")

        assert (concluded(scene).kind, concluded(scene).nodes) == (Kind.QUORUM_LOSS, ("a", "c"))

    def test_of_two_that_ended_in_two_ways_each_is_told_by_itself(self, scene: Scene) -> None:
        scene.on("a", "exit:137", "oom", "refused").on("b", "exit:137", "refused").well("c")

        found = concluded(scene)

        first, second = found.root_cause.split("; ")
        assert (found.kind, found.nodes) == (Kind.CRASH, ("a", "b"))
        assert first.startswith("a was OOM-killed")
        assert second.startswith("b was killed with SIGKILL")

    @pytest.mark.parametrize(
        ("a", "b", "kind", "node", "steps"),
        [
            ("exit:143", "exit:137", Kind.CRASH, "b", ("Start b again", "if a was meant to be restarted")),
            ("exit:137", "stopped", Kind.CRASH, "a", ("Start a again", "Resume b")),
            ("exit:143", "stopped", Kind.PAUSE, "b", ("Resume b", "if a was meant to be restarted")),
        ],
    )
    def test_a_kind_is_told_only_of_the_nodes_that_it_is_true_of_and_the_others_have_their_own_advice(
        self, scene: Scene, a: str, b: str, kind: Kind, node: str, steps: tuple[str, ...]
    ) -> None:
        found = concluded(scene.on("a", a, "refused").on("b", b, "refused").well("c"))

        assert (found.kind, found.nodes) == (kind, (node,))
        assert sorted(part[:2] for part in found.root_cause.split("; ")[:2]) == ["a ", "b "]
        assert all(any(step in said for said in found.suggested_actions) for step in steps)
        assert not any("a and b" in said for said in (*found.suggested_actions, found.would_change))
        assert {cited.claim[0] for cited in found.evidence} == {"a", "b"}

    def test_a_lost_quorum_tells_apart_how_its_nodes_were_lost(self, scene: Scene) -> None:
        scene.on("a", "exit:137").on("c", "stopped").on("b", *RUNS, "unhealthy").on(None, "quorum_lost")
        found = concluded(scene)

        assert (found.kind, found.nodes) == (Kind.QUORUM_LOSS, ("a", "c"))
        assert "are lost (a: crash; c: pause)" in found.root_cause

    def test_a_store_that_died_did_not_take_a_majority_of_pds_that_is_back_without_it(
        self, scene: Scene
    ) -> None:
        scene.on("b", "exit:137", "refused").well("a", "c").earlier(None, "quorum_lost")

        assert with_quorum(scene, 3, 3).kind is Kind.CRASH

    def test_one_gone_of_two_is_a_lost_quorum_too(self, scene: Scene) -> None:
        found = with_quorum(scene.well("a").on("b", "exit:137").on(None, "quorum_lost"), 2, 1)

        assert (found.kind, found.nodes) == (Kind.QUORUM_LOSS, ("b",))
        assert "the 1 of 2 voters left is no majority" in found.root_cause

    def test_slow_answers_of_all_are_no_lost_quorum(self, scene: Scene) -> None:
        for node in NODES:
            scene.on(node, *RUNS, "silent@health", "host_quick")
        scene.on(None, "quorum_lost")

        assert concluded(scene).kind is Kind.NETWORK_DELAY


class TestOverload:
    """High only with figures of its CPU: lateness alone is also what a slow network looks like."""

    @pytest.mark.parametrize(
        ("kinds", "confidence"),
        [
            (("slow_port", "host_late", "starved"), Confidence.HIGH),
            (("slow_port", "host_late", "slow_health"), Confidence.MEDIUM),
            (("slow_port", "late_alone", "slow_health"), Confidence.LOW),
        ],
    )
    def test_it_is_as_sure_as_what_was_measured(
        self, scene: Scene, kinds: tuple[str, ...], confidence: Confidence
    ) -> None:
        found = concluded(scene.well("a", "c").on("b", *RUNS, *kinds))

        assert (found.kind, found.confidence) == (Kind.OVERLOAD, confidence)

    def test_a_neighbour_late_on_a_busy_machine_is_not_blamed_for_a_slow_way_to_another(
        self, scene: Scene
    ) -> None:
        scene.well("a").on("c", *RUNS, "host_late").on("b", *RUNS, "cpu_enough").earlier("b", "late_port")

        assert (concluded(scene).kind, concluded(scene).nodes) == (Kind.NETWORK_DELAY, ("b",))


class TestWhereNoNodeStandsOut:
    def test_all_well_is_none_with_evidence(self, scene: Scene) -> None:
        found = concluded(scene.well(*NODES))

        assert (found.kind, found.nodes) == (Kind.NONE, ())
        assert found.evidence

    def test_all_well_but_for_clients_that_waited_is_not_sure(self, scene: Scene) -> None:
        gathered = replace(scene.well(*NODES).gathered, clients_waited=True)

        found = conclude(gathered, NODES, scene.ledger, database="etcd")

        assert (found.kind, found.confidence) == (Kind.NONE, Confidence.MEDIUM)
        assert "clients waited far too long" in found.root_cause
        assert "nothing was recorded" not in found.root_cause

    def test_a_leader_that_moved_by_itself_is_the_former_one(self, scene: Scene) -> None:
        found = concluded(scene.well(*NODES).earlier("a", "leader_changed"))

        assert (found.kind, found.nodes) == (Kind.LEADER_LOSS, ("a",))
        assert found.confidence is Confidence.MEDIUM

    def test_a_leader_that_moves_often_is_no_partition_of_those_who_had_none_for_a_moment(
        self, scene: Scene
    ) -> None:
        for node in NODES:
            scene.on(node, *OUTSIDE)
        scene.earlier("b", "leaderless", "unhealthy", "leader_changed").earlier(None, "unstable")
        found = concluded(scene)

        assert (found.kind, found.nodes) == (Kind.LEADER_LOSS, ("b",))

    def test_clients_that_wait_while_all_is_well(self, scene: Scene) -> None:
        found = concluded(scene.well(*NODES).on(None, "slow"))

        assert (found.kind, found.confidence) == (Kind.OVERLOAD, Confidence.LOW)

    def test_what_no_row_explains_is_said_to_be_unknown(self, scene: Scene) -> None:
        found = concluded(scene.well(*NODES).earlier("b", "lagging"))

        assert (found.kind, found.confidence) == (Kind.UNKNOWN, Confidence.LOW)

    def test_an_alarm_of_nobody_in_particular_is_no_lost_majority(self, scene: Scene) -> None:
        found = concluded(scene.well(*NODES).on(None, "no_space"))

        assert (found.kind, found.nodes) == (Kind.SPACE_QUOTA, ())
        assert any("disarm" in step for step in found.suggested_actions)

    def test_corrupt_data_names_its_member_alone_and_the_quota_comes_beside_it(self, scene: Scene) -> None:
        for node in NODES:
            scene.on(node, *OUTSIDE, "no_space")
        found = concluded(scene.on("b", "corrupt"))

        assert (found.kind, found.nodes) == (Kind.CORRUPTION, ("b",))
        assert "Beside that, a, b and c, each: is over the quota" in found.root_cause
        steps = " ".join(found.suggested_actions)
        assert all(word in steps for word in ("hashkv", "compaction", "defrag"))

    def test_a_member_that_died_is_told_beside_an_alarm(self, scene: Scene) -> None:
        scene.on("a", *OUTSIDE, "no_space").on("b", "refused", "peer_lost").on("c", *OUTSIDE)
        found = concluded(scene)

        assert (found.kind, found.nodes) == (Kind.SPACE_QUOTA, ("a",))
        assert "Beside that, b is down" in found.root_cause
        assert any(step.startswith("Start b") for step in found.suggested_actions)

    def test_a_lost_majority_is_worse_than_an_alarm(self, scene: Scene) -> None:
        for node in NODES:
            scene.earlier(node, "no_space")
        scene.on("a", "refused").on("b", "refused").on("c", "answers", "unhealthy").on(None, "quorum_lost")
        found = with_quorum(scene, 3, 1)

        assert (found.kind, found.nodes) == (Kind.QUORUM_LOSS, ("a", "b"))
        assert "Beside that, a, b and c, each: is over the quota" in found.root_cause

    def test_where_nobody_is_reached_behind_one_address_no_member_is_said_to_be_dead(
        self, scene: Scene
    ) -> None:
        for node in NODES:
            scene.on(node, "unreached")
        found = with_quorum(scene, 3, 0)

        assert (found.kind, found.nodes, found.confidence) == (Kind.PARTITION, NODES, Confidence.LOW)
        assert "load balancer" in found.root_cause
        assert "while others answer" not in found.root_cause
        assert not any(step.startswith("Start") for step in found.suggested_actions)

    @pytest.mark.parametrize("kind", ["silent", "no_connection"])
    def test_silence_of_all_at_once_is_rather_our_own_way_to_them(self, scene: Scene, kind: str) -> None:
        for node in NODES:
            scene.on(node, kind)
        found = with_quorum(scene, 3, 0)

        assert (found.kind, found.confidence) == (Kind.PARTITION, Confidence.LOW)
        assert "all members fell silent at once" in found.root_cause
        assert "this machine" in found.suggested_actions[0]

    def test_several_nodes_are_spoken_of_in_the_plural(self, scene: Scene) -> None:
        for node in NODES:
            scene.on(node, "refused")
        steps = concluded(scene).suggested_actions

        assert steps[0].startswith("Start a, b and c again on their own data")

    def test_alarms_of_all_members_are_no_lost_majority(self, scene: Scene) -> None:
        for node in NODES:
            scene.on(node, *OUTSIDE, "no_space")
        found = with_quorum(scene.earlier(None, "quorum_lost"), 3, 3)

        assert found.kind is Kind.SPACE_QUOTA

    def test_a_majority_that_was_given_up_is_not_asked_of_those_who_are_members_now(
        self, scene: Scene
    ) -> None:
        """Two of three die for good, and the third is started again with --force-new-cluster."""
        scene.on("a", *OUTSIDE, "restarted").earlier("b", "refused", "member_removed")
        scene.earlier("c", "refused", "member_removed").earlier(None, "quorum_lost")
        snapshot = ClusterSnapshot(0.0, 0.0, (), "a", 2, Quorum(1, 1), ClusterState.HEALTHY)
        gathered = replace(scene.gathered, snapshot=snapshot)
        found = conclude(gathered, NODES, scene.ledger, database="etcd")

        assert found.kind is Kind.MEMBERSHIP
        assert "b and c, each: is no longer a member" in found.root_cause
        assert "voters left" not in found.root_cause

    def test_a_voter_that_never_joined_is_named_for_the_majority_that_it_takes(self, scene: Scene) -> None:
        """A second member is added to a cluster of one, and not started yet."""
        scene.on("a", "answers", "unhealthy").on("b", "never_started").on(None, "quorum_lost")
        found = with_quorum(scene, 2, 1)

        assert (found.kind, found.nodes) == (Kind.QUORUM_LOSS, ("b",))
        assert found.root_cause.startswith("b was added and never joined")
        assert "1 of 2 voters up, 2 needed" in found.root_cause
        assert found.suggested_actions[0].startswith("Start b")

    def test_one_that_died_where_another_one_never_joined_is_told_with_it(self, scene: Scene) -> None:
        scene.on("a", "answers", "unhealthy").on("b", "never_started").on("c", "refused")
        found = with_quorum(scene.on(None, "quorum_lost"), 3, 1)

        assert (found.kind, found.nodes) == (Kind.QUORUM_LOSS, ("c",))
        assert found.root_cause.endswith("as b was added and never joined.")


class TestWhatTheRulesSay:
    def test_every_conclusion_passes_the_check_that_a_model_has_to_pass(self, scene: Scene) -> None:
        scene.well("a", "c").on("b", "exit:137", "refused", "peer_lost")

        assert check(concluded(scene), scene.ledger, nodes=NODES, opened_wall=0.0) == ()

    def test_one_witness_is_medium_two_are_high(self, scene: Scene) -> None:
        scene.well("a", "c").on("b", "exit:137")
        assert concluded(scene).confidence is Confidence.MEDIUM

        scene.on("b", "refused")
        assert concluded(scene).confidence is Confidence.HIGH

    def test_what_looks_most_like_it_is_ruled_out_by_what_was_seen(self, scene: Scene) -> None:
        found = concluded(scene.well("a", "c").on("b", "stopped", "silent@health"))

        assert len(found.alternatives) >= 2
        assert all("pause" not in other.cause for other in found.alternatives)
        assert all(other.ruled_out_by for other in found.alternatives)

    def test_what_rules_a_cause_out_is_what_speaks_against_it(self, scene: Scene) -> None:
        found = concluded(scene.well("a", "c").on("b", *RUNS, "slow_health", "host_quick"))

        (said,) = [each.ruled_out_by for each in found.alternatives if each.cause.startswith("overloaded")]
        assert said.endswith("observed: “answers local requests at once”.")

    @pytest.mark.parametrize(("known", "said"), [((), "Not known"), (("not_oom",), "That would require")])
    def test_after_sigkill_the_oom_killer_is_asked_for_either_way(
        self, scene: Scene, known: tuple[str, ...], said: str
    ) -> None:
        found = concluded(scene.well("a", "c").on("b", "exit:137", "refused", *known))

        assert found.alternatives[0].cause == "OOM-killed"
        assert found.alternatives[0].ruled_out_by.startswith(said)

    def test_nothing_of_another_database_is_ruled_out(self, scene: Scene) -> None:
        scene.well("a", "c").on("b", *RUNS, "log_server_paused", "refused")

        assert concluded(scene, database="tikv").kind is Kind.PAUSE
        assert concluded(scene, database="etcd").kind is not Kind.PAUSE
        of_one = {row.name for row in TABLE if row.database}
        assert not [row.name for row in TABLE if not row.database and of_one & set(row.rivals)]

    def test_a_loop_is_called_one_with_its_count_and_its_last_words(self, scene: Scene) -> None:
        scene.well("a", "c").on("b", "exit:1", "refused", "log_failed")
        found = concluded(scene, detected=Detection("b is down", ("b",), "i", again=Again(3, 40.0)))

        assert "a crash loop: 3rd time in 40 s" in found.root_cause
        assert "Last words in its log" in found.root_cause

    def test_a_loop_of_one_node_is_not_told_of_another(self, scene: Scene) -> None:
        scene.well("c").on("a", "exit:137", "refused").on("b", "exit:1", "refused")
        of_b, of_c = (Detection("", (node,), "i", again=Again(3, 40.0)) for node in ("b", "c"))

        assert "a crash loop of b: 3rd time in 40 s" in concluded(scene, detected=of_b).root_cause
        assert "3rd time" not in concluded(scene, detected=of_c).root_cause

    def test_nobody_is_warned_of_a_majority_that_is_not_at_stake(self, scene: Scene) -> None:
        scene.well("a", "c").on("b", "exit:137", "refused")
        warned = "one more loss means no quorum"

        assert any(warned in step for step in with_quorum(scene, 3, 2).suggested_actions)
        assert not any(warned in step for step in with_quorum(scene, 5, 4).suggested_actions)

    def test_every_row_has_a_name_of_its_own_rivals_that_are_rows_and_kinds_that_exist(self) -> None:
        words = {"killed", "failed", "ended", "health_silent", *KINDS}

        assert len(BY_NAME) == len(TABLE)
        assert all(row.reason and row.when and len(row.rivals) >= 2 for row in TABLE)
        assert [name for row in TABLE for name in row.rivals if name not in BY_NAME] == []
        assert [
            w for row in TABLE for group in (*row.when, row.unless) for w in group if w not in words
        ] == []


ONLY_ETCD_HAS = {Kind.SPACE_QUOTA, Kind.CORRUPTION, Kind.CERTIFICATE}


@pytest.mark.parametrize("kind", sorted(set(Kind) - ONLY_ETCD_HAS))
def test_no_advice_for_tikv_names_the_tools_of_etcd(kind: Kind) -> None:
    assert not [step for step in actions(kind, "tikv1", database="tikv") if "etcd" in step]
