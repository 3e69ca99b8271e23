"""The field cases that take seconds, and what holds for all of them."""

import re

import pytest

import tests.field.catalogue as catalogue
from tests.field.case import CASES, run

catalogue.load()

QUICK = [each for each in CASES.values() if each.quick]


@pytest.mark.parametrize("name", [each.name for each in QUICK])
def test_operator_is_right_about(name: str) -> None:
    verdict = run(CASES[name])
    if verdict.outcome == "not_here":
        pytest.skip(verdict.missed[0])

    assert (verdict.outcome, list(verdict.missed)) == ("right", []), verdict.said


def test_the_catalogue_is_wide_and_says_what_happens() -> None:
    assert len(CASES) >= 30
    assert all(len(each.doc) > 20 for each in CASES.values())


def test_each_report_has_its_repository_and_number() -> None:
    origins = [origin for each in CASES.values() for origin in each.origins]

    assert len(set(origins)) >= 25
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", origin) for origin in origins)
