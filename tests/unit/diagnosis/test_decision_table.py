"""The rules: which disagreement of views means what, and what outweighs what."""

import pytest

from tests.unit.diagnosis.conftest import Seen
from tools.diagnosis.check import check
from tools.diagnosis.rules import conclude
from tools.diagnosis.schema import Confidence, Findings, Kind
from tools.diagnosis.table import TABLE

NODES = ("a", "b", "c")
RUNS = {"process": "running", "itself": "healthy", "connection": "accepted", "peers": "connected"}


def concluded(seen: Seen) -> Findings:
    return conclude(seen.facts, NODES, seen.ledger)


@pytest.mark.parametrize(
    ("views", "kind"),
    [
        ({"process": "killed", "connection": "refused", "peers": "lost_by_all"}, Kind.CRASH),
        ({"process": "oom", "connection": "refused"}, Kind.CRASH),
        ({"process": "failed", "connection": "refused"}, Kind.CRASH),
        ({"process": "failed", "disk": "full"}, Kind.DISK_FULL),
        ({"process": "failed", "disk": "mute"}, Kind.DISK_FULL),
        ({"process": "running", "disk": "full"}, Kind.DISK_FULL),
        ({"process": "exited", "connection": "refused"}, Kind.CRASH),
        ({"process": "ended exited", "restart": "graceful"}, Kind.PLANNED_RESTART),
        ({"process": "running", "restart": "graceful restarted"}, Kind.PLANNED_RESTART),
        ({"process": "running", "restart": "restarted"}, Kind.CRASH),
        ({"process": "killed", "restart": "graceful"}, Kind.CRASH),
        ({"process": "paused", "connection": "silent", "itself": "silent"}, Kind.PAUSE),
        ({"process": "running paused", "itself": "healthy silent"}, Kind.PAUSE),
        (
            {**RUNS, "process": "running withdrawn", "connection": "refused", "peers": "lost_by_all"},
            Kind.PAUSE,
        ),
        ({**RUNS, "peers": "lost_by_all", "itself": "unhealthy"}, Kind.PARTITION),
        ({**RUNS, "connection": "silent"}, Kind.PARTITION),
        ({**RUNS, "connection": "accepted lossy"}, Kind.PARTITION),
        ({**RUNS, "connection": "slow lossy", "host": "late", "itself": "slow"}, Kind.OVERLOAD),
        ({**RUNS, "control": "alone", "itself": "unhealthy"}, Kind.PARTITION),
        ({**RUNS, "connection": "slow", "host": "quick"}, Kind.NETWORK_DELAY),
        ({**RUNS, "itself": "slow", "host": "quick"}, Kind.NETWORK_DELAY),
        ({**RUNS, "itself": "slow", "host": "late"}, Kind.OVERLOAD),
        ({**RUNS, "disk": "slow"}, Kind.SLOW_DISK),
        ({**RUNS, "disk": "slow", "cpu": "starved"}, Kind.OVERLOAD),
        ({**RUNS, "cpu": "starved", "itself": "silent", "connection": "silent"}, Kind.OVERLOAD),
        ({"process": "unknown", "connection": "refused"}, Kind.CRASH),
        ({"process": "unknown", "connection": "silent"}, Kind.UNKNOWN),
    ],
)
def test_one_nodes_views_mean(seen: Seen, views: dict[str, str], kind: Kind) -> None:
    found = concluded(seen.well("a", "c").on("b", **views))

    assert (found.kind, found.nodes) == (kind, ("b",))


class TestWhatOutweighsWhat:
    def test_neighbours_that_miss_a_dead_peer_are_no_cause(self, seen: Seen) -> None:
        seen.on("a", **{**RUNS, "peers": "lost_by_some", "itself": "unhealthy"})
        seen.on("b", process="killed", peers="lost_by_all").well("c")

        assert concluded(seen).nodes == ("b",)

    def test_one_answer_missed_in_passing_is_nothing_beside_a_cut_that_lasts(self, seen: Seen) -> None:
        seen.well("a", "c").earlier("c", connection="silent")
        seen.on("b", **{**RUNS, "control": "alone", "itself": "unhealthy"})

        assert (concluded(seen).kind, concluded(seen).nodes) == (Kind.PARTITION, ("b",))

    def test_want_of_memory_is_the_reason_of_a_kill_that_it_led_to(self, seen: Seen) -> None:
        seen.well("a", "c").on("b", process="killed oom", connection="refused")

        assert "memory ran out" in concluded(seen).root_cause

    def test_what_was_recorded_counts_when_it_is_over(self, seen: Seen) -> None:
        seen.well("a", "b", "c").earlier("b", process="paused")

        assert (concluded(seen).kind, concluded(seen).nodes) == (Kind.PAUSE, ("b",))

    def test_a_leader_is_blamed_for_what_spreads_from_it(self, seen: Seen) -> None:
        for node in NODES:
            seen.on(node, **{**RUNS, "itself": "slow", "host": "quick"})
        seen.on("c", control="leads")

        assert (concluded(seen).kind, concluded(seen).nodes) == (Kind.NETWORK_DELAY, ("c",))

    def test_a_node_that_is_slow_by_itself_is_blamed_before_the_leader(self, seen: Seen) -> None:
        for node in NODES:
            seen.on(node, **{**RUNS, "itself": "slow", "host": "quick"})
        seen.on("c", control="leads").on("a", connection="slow")

        assert concluded(seen).nodes == ("a",)

    def test_two_gone_of_three_are_a_lost_quorum_that_names_both(self, seen: Seen) -> None:
        seen.on("a", process="killed").on("c", process="killed").on("b", **{**RUNS, "itself": "unhealthy"})
        seen.on(None, control="quorum_lost")

        assert (concluded(seen).kind, concluded(seen).nodes) == (Kind.QUORUM_LOSS, ("a", "c"))

    def test_slow_answers_of_all_are_no_lost_quorum(self, seen: Seen) -> None:
        for node in NODES:
            seen.on(node, **{**RUNS, "itself": "silent", "host": "quick"})
        seen.on(None, control="quorum_lost")

        assert concluded(seen).kind is Kind.NETWORK_DELAY


class TestWhereNoNodeStandsOut:
    def test_all_well_is_none_with_evidence(self, seen: Seen) -> None:
        found = concluded(seen.well(*NODES))

        assert (found.kind, found.nodes) == (Kind.NONE, ())
        assert found.evidence

    def test_a_leader_that_moved_by_itself(self, seen: Seen) -> None:
        found = concluded(seen.well(*NODES).earlier(None, control="leader_changed"))

        assert found.kind is Kind.LEADER_LOSS

    def test_clients_that_wait_while_all_is_well(self, seen: Seen) -> None:
        assert concluded(seen.well(*NODES).on(None, client="slow")).kind is Kind.OVERLOAD

    def test_what_no_row_explains_is_said_to_be_unknown(self, seen: Seen) -> None:
        found = concluded(seen.well(*NODES).earlier("b", control="lagging"))

        assert (found.kind, found.confidence) == (Kind.UNKNOWN, Confidence.LOW)


class TestWhatTheRulesSay:
    def test_every_conclusion_passes_the_check_that_a_model_has_to_pass(self, seen: Seen) -> None:
        seen.well("a", "c").on("b", process="killed", connection="refused", peers="lost_by_all")

        assert check(concluded(seen), seen.ledger, nodes=NODES, opened_wall=0.0) == ()

    def test_one_witness_is_medium_two_are_high(self, seen: Seen) -> None:
        seen.well("a", "c").on("b", process="killed")
        assert concluded(seen).confidence is Confidence.MEDIUM

        seen.on("b", connection="refused")
        assert concluded(seen).confidence is Confidence.HIGH

    def test_at_least_two_other_kinds_are_ruled_out_by_what_was_seen(self, seen: Seen) -> None:
        found = concluded(seen.well("a", "c").on("b", process="paused", itself="silent"))

        assert len(found.alternatives) >= 2
        assert all("pause" not in other.cause for other in found.alternatives)
        assert all(other.ruled_out_by for other in found.alternatives)

    def test_every_row_has_a_reason_and_a_name_of_its_own(self) -> None:
        assert len({row.name for row in TABLE}) == len(TABLE)
        assert all(row.reason and row.when for row in TABLE)
