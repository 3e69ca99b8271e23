"""Drills: the plan comes from the seed alone, and the score is fair."""

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from agent.drill.plan import DEFAULT_FAULTS, DrillSettings, Trial, plan
from agent.drill.score import Scored, judge, summary
from tools.diagnosis.schema import Confidence, Diagnosis, Kind
from tools.errors import ToolError

STORES = ("a", "b", "c")
TRIAL = Trial(1, "kill", "kill", "b", 0.5, ("crash",))


def diagnosis(kind: Kind, *nodes: str) -> Diagnosis:
    other = {"cause": "x", "ruled_out_by": "y"}
    return Diagnosis.model_validate(
        {
            "observation": "o",
            "root_cause": "r",
            "kind": kind,
            "nodes": nodes,
            "confidence": Confidence.HIGH,
            "evidence": (),
            "alternatives": (other, other),
            "would_change": "w",
            "by": "rules",
        }
    )


def scored(**fields: object) -> Scored:
    made = Scored(
        n=1, fault="kill", kind="kill", nodes=("b",), control=False, detected=True,
        detect_s=0.1, diagnose_s=1.0, heal_s=0.5, restored=True, diagnosed_kind="crash",
        diagnosed_nodes=("b",), confidence="high", verified=True, by="rules",
        node_right=True, kind_right=True,
    )  # fmt: skip
    return replace(made, **fields)  # type: ignore[arg-type]


class TestThePlan:
    def test_the_same_seed_gives_the_same_faults(self) -> None:
        settings = DrillSettings(trials=40, seed=1)

        assert plan(settings, STORES) == plan(settings, STORES)

    def test_another_seed_gives_another_order(self) -> None:
        one, other = (plan(DrillSettings(trials=40, seed=seed), STORES) for seed in (1, 2))

        assert [t.name for t in one] != [t.name for t in other]

    def test_every_fault_comes_equally_often(self) -> None:
        counts = Counter(trial.name for trial in plan(DrillSettings(trials=40), STORES))

        assert set(counts) == set(DEFAULT_FAULTS)
        assert set(counts.values()) == {4}

    def test_targets_vary_and_the_time_of_injection_cannot_be_guessed(self) -> None:
        trials = plan(DrillSettings(trials=60, faults=("kill",)), STORES)

        assert {trial.target for trial in trials} == set(STORES)
        assert len({trial.jitter_s for trial in trials}) > 50
        assert any(x.target == y.target for x, y in pairwise(trials)), "not simply in turn"

    def test_controls_are_controls(self) -> None:
        trials = plan(DrillSettings(trials=10), STORES)

        assert {t.name for t in trials if t.control} == {"none", "restart", "noisy"}

    def test_an_unknown_fault_is_answered_with_those_there_are(self) -> None:
        with pytest.raises(ToolError, match="meteor") as refused:
            plan(DrillSettings(faults=("kill", "meteor")), STORES)

        assert "partition" in refused.value.next


class TestTheJudgement:
    @pytest.mark.parametrize(
        ("found", "right"),
        [
            (diagnosis(Kind.CRASH, "b"), (True, True)),
            (diagnosis(Kind.CRASH, "a"), (False, True)),
            (diagnosis(Kind.CRASH, "a", "b"), (False, True)),
            (diagnosis(Kind.PAUSE, "b"), (True, False)),
            (diagnosis(Kind.NONE), (False, False)),
            (None, (False, False)),
        ],
    )
    def test_of_a_fault(self, found: Diagnosis | None, right: tuple[bool, bool]) -> None:
        assert judge(TRIAL, ("b",), found) == right

    def test_a_planned_restart_may_be_called_so_or_none(self) -> None:
        restart = replace(TRIAL, name="restart", kind="restart", accepted=("planned_restart", "none"))

        assert judge(restart, ("b",), diagnosis(Kind.PLANNED_RESTART, "b")) == (True, True)
        assert judge(restart, ("b",), diagnosis(Kind.NONE)) == (True, True)
        assert judge(restart, ("b",), diagnosis(Kind.CRASH, "b")) == (True, False)

    def test_blaming_somebody_for_nothing_is_wrong(self) -> None:
        nothing = replace(TRIAL, name="none", kind="none", accepted=("none",))

        assert judge(nothing, (), diagnosis(Kind.NONE)) == (True, True)
        assert judge(nothing, (), diagnosis(Kind.CRASH, "b")) == (False, False)


class TestTheSum:
    def total(self, *trials: Scored) -> dict[str, object]:
        return summary(trials, DrillSettings(trials=len(trials)), "rules")

    def test_shares_percentiles_and_confidence(self) -> None:
        total = self.total(scored(detect_s=0.1), scored(detect_s=0.3, kind_right=False), scored(detect_s=0.2))

        assert (total["node_right"], total["kind_right"]) == (1.0, 0.6667)
        assert (total["detection_p50_s"], total["detection_p99_s"]) == (0.2, 0.3)
        assert total["confidence"] == {"high": {"right": 2, "wrong": 1}}
        assert total["ok"] is True

    def test_a_detection_on_a_control_is_a_false_alarm_and_no_time(self) -> None:
        total = self.total(scored(control=True, fault="none", detect_s=0.1))

        assert (total["false_alarms"], total["detection_p50_s"]) == (1, None)

    def test_what_was_not_measured_is_null(self) -> None:
        total = self.total(scored(detected=False, detect_s=None))

        assert (total["detection_p50_s"], total["tokens"], total["cost_usd"]) == (None, None, None)
        assert total["missed"] == 1

    def test_a_trial_without_a_diagnosis_proves_nothing_and_fails_the_drill(self) -> None:
        total = self.total(scored(), scored(diagnosed_kind=None, node_right=False, kind_right=False))

        assert (total["node_right"], total["invalid"], total["ok"]) == (1.0, 1, False)

    def test_one_cluster_left_broken_fails_the_drill(self) -> None:
        assert self.total(scored(), scored(restored=False))["ok"] is False

    def test_the_result_is_json(self) -> None:
        assert json.loads(json.dumps(self.total(scored())))["trials"][0]["fault"] == "kill"
