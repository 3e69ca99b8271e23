"""Comparing drills: the tests are the textbook's, and chance is called chance."""

import random
from math import comb
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.commands.drill import read_result
from agent.drill.compare import compare, fisher, mcnemar, permutation
from agent.drill.page import compared, difference_rows
from subjects.errors import BadSetup


def test_fisher_gives_the_textbooks_value_for_the_lady_tasting_tea() -> None:
    # Fisher 1935: three of four cups told right, and as many of the others; two-sided 0.486.
    assert fisher(3, 4, 1, 4) == pytest.approx(0.4857, abs=1e-4)
    assert fisher(4, 4, 0, 4) == pytest.approx(2 / comb(8, 4))


def test_mcnemar_gives_the_binomials_value() -> None:
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(1, 9) == pytest.approx(2 * 11 / 1024)
    assert mcnemar(0, 0) == mcnemar(4, 4) == 1.0


@given(st.integers(1, 30), st.integers(1, 30), st.data())
def test_fisher_is_a_probability_and_does_not_depend_on_who_is_first(
    n: int, m: int, data: st.DataObject
) -> None:
    a, b = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))

    assert 0 < fisher(a, n, b, m) <= 1 + 1e-9
    assert fisher(a, n, b, m) == pytest.approx(fisher(b, m, a, n))


def test_permutation_tells_a_shift_from_noise() -> None:
    chance = random.Random(1)
    one, same, slower = ([chance.gauss(mean, 0.1) for _ in range(20)] for mean in (1.0, 1.0, 1.5))

    assert permutation(one, slower) < 0.001
    assert permutation(one, same) > 0.05


def test_permutation_never_says_that_chance_is_impossible() -> None:
    assert permutation([0.0] * 20, [9.0] * 20) > 0


def drill(rights: list[bool], fault: str = "kill") -> dict[str, Any]:
    trials = [
        {
            "n": n, "fault": fault, "kind": fault, "control": False, "node_right": right, "kind_right": right,
            "detect_s": 0.1, "diagnose_s": 1.0, "heal_s": None,
        }
        for n, right in enumerate(rights, 1)
    ]  # fmt: skip
    return {"trials": trials, "diagnostician": "rules", "seed": 1}


class TestCompare:
    def test_the_same_trials_are_compared_pair_by_pair(self) -> None:
        found = compare(drill([True] * 10), drill([False] * 8 + [True] * 2))

        assert found["paired"]
        assert found["differences"][0]["test"] == "McNemar, exact"
        assert found["differences"][0]["verdict"] == "more than chance"

    def test_other_trials_are_compared_as_groups(self) -> None:
        found = compare(drill([True] * 10), drill([True] * 9 + [False], fault="pause"))

        assert not found["paired"]
        assert found["differences"][0]["test"] == "Fisher, exact"
        assert found["differences"][0]["verdict"] == "may be chance"

    def test_each_of_the_two_is_named(self) -> None:
        one, other = drill([True]), {**drill([True] * 2), "seed": 7}
        found = compare(one, other)

        assert compared(found, "b") == "B: seed 7, 2 trials, diagnosed by rules"

    def test_a_run_beside_itself_differs_in_nothing(self) -> None:
        run = drill([True, False, True])

        assert {d["verdict"] for d in compare(run, run)["differences"]} == {
            "may be chance",
            "too little to compare",
        }

    def test_what_was_not_measured_is_not_compared(self) -> None:
        heal = compare(drill([True] * 3), drill([True] * 3))["differences"][-1]

        assert (heal["measure"], heal["p"], heal["verdict"]) == ("heal_s", None, "too little to compare")


def test_differences_are_told_with_their_units_and_equal_ones_as_equal() -> None:
    differences = [
        {"measure": "node_right", "a": 1.0, "b": 1.0, "p": 1.0, "verdict": "may be chance", "test": "Fisher"},
        {"measure": "kind_right", "a": None, "b": 0.5, "p": None, "verdict": "too little", "test": "none"},
        {
            "measure": "detect_s",
            "a": 1.142,
            "b": 0.328,
            "p": 0.2,
            "verdict": "may be chance",
            "test": "ranks",
        },
    ]

    assert difference_rows({"differences": differences}) == [
        ("node right", "100 %", "100 %", "1.000", "the same", "Fisher"),
        ("kind right", "–", "50 %", "–", "too little", "–"),
        ("detected after (mean)", "1.1 s", "0.328 s", "0.200", "may be chance", "ranks"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff\xfe", b'{"trials": NaN', b"[" * 5000, b"[1]", b'{"trials":1}\n{"other":1}',
        b'{"trials": 5}', b'{"trials": [1]}', b'{"trials": [{}], "by_fault": {}}',
        b'{"trials": [], "by_fault": {}}',
    ],
)  # fmt: skip
def test_a_file_that_is_no_result_of_a_drill_is_told_in_a_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content)

    with pytest.raises(BadSetup, match="no result of a drill"):
        read_result(file)
