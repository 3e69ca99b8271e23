"""A wall clock that is set changes dates, and nothing that is counted."""

import time
from collections.abc import Callable, Iterator

import pytest

from subjects import clock
from tools.observe.ledger import Ledger

Step = Callable[[float], None]


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Iterator[Step]:
    """Sets the system's wall clock by so many seconds."""
    real = time.time
    clock.follow()
    yield lambda seconds: monkeypatch.setattr(time, "time", lambda: real() + seconds)
    monkeypatch.undo()
    clock.follow()


@pytest.mark.parametrize("seconds", [7200.0, -7200.0])
def test_a_step_leaves_durations_and_what_is_found_alone(step: Step, *, seconds: float) -> None:
    ledger, before = Ledger(), clock.wall()
    first = ledger.add("look", "before")
    step(seconds)
    second = ledger.add("look", "after")

    assert abs((second.wall - first.wall) - (second.at - first.at)) < 60
    assert [item.text for item in ledger.since(before)] == ["before", "after"]


def test_logs_of_a_clock_that_was_set_back_are_still_found(step: Step) -> None:
    then = clock.wall() - 60
    assert clock.earliest(then) == pytest.approx(then, abs=1)
    step(-3600)

    assert clock.earliest(then) <= time.time() - 60 + 1


def test_a_start_that_only_the_clock_moved_is_none_after_the_incident(step: Step) -> None:
    opened, started = clock.wall(), clock.wall() - 100
    step(3600)

    assert started + 3600 < clock.latest(opened) + 1


def test_the_system_s_date_is_taken_over_when_asked_for(step: Step) -> None:
    step(3600)
    clock.follow()

    assert clock.wall() == pytest.approx(time.time(), abs=0.1)
