"""A store whose service port answers several times slower is told; a busy machine blames nobody."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from subjects.tikv.judge import INVARIANTS
from tools.detection.client import USUAL_WINDOWS, ClientView
from tools.detection.service_ports import KNOWN, ServicePorts
from tools.observe.figures import OperationFigures, Window
from tools.observe.limits import limits_of
from tools.observe.signal import Signal

STORES = ("tikv0", "tikv1", "tikv2")


@pytest.fixture
def ports() -> ServicePorts:
    """Watches three stores that usually answer within a few milliseconds."""
    made = ServicePorts(cast("Any", None), lambda: None, lambda _: None, lambda _: 0.0)
    for at in range(KNOWN):
        assert told(made.judge(dict.fromkeys(STORES, 4.0), at)) == []
    return made


def told(signals: Iterator[Signal]) -> list[tuple[str, str | None]]:
    return [(each.kind, each.node) for each in signals]


def test_one_store_that_answers_late_is_told_until_it_does_not(ports: ServicePorts) -> None:
    late = {"tikv0": 4.0, "tikv1": 610.0, "tikv2": 5.0}

    assert told(ports.judge(late, 10)) == [("late_port", "tikv1")]
    assert told(ports.judge(late, 11)) == [("late_port", "tikv1")]
    assert told(ports.judge(dict.fromkeys(STORES, 4.0), 12)) == [("prompt_port", "tikv1")]
    assert told(ports.judge(dict.fromkeys(STORES, 4.0), 13)) == []


def test_one_store_that_does_not_answer_is_told_until_it_does(ports: ServicePorts) -> None:
    silent = {"tikv0": 4.0, "tikv1": None, "tikv2": 5.0}

    assert told(ports.judge(silent, 10)) == [("silent", "tikv1")]
    assert told(ports.judge(silent, 11)) == [("silent", "tikv1")]
    assert told(ports.judge(dict.fromkeys(STORES, 4.0), 12)) == [("answers", "tikv1")]
    assert told(ports.judge(dict.fromkeys(STORES, 4.0), 13)) == []


def test_a_machine_that_answers_for_none_of_them_blames_nobody(ports: ServicePorts) -> None:
    assert told(ports.judge(dict.fromkeys(STORES, None), 10)) == []


def test_a_machine_that_is_late_with_all_of_them_blames_nobody(ports: ServicePorts) -> None:
    assert told(ports.judge(dict.fromkeys(STORES, 700.0), 10)) == []


def test_a_few_milliseconds_more_are_nothing(ports: ServicePorts) -> None:
    assert told(ports.judge({"tikv0": 60.0, "tikv1": 4.0, "tikv2": 4.0}, 10)) == []


def test_a_store_that_was_always_slow_is_as_usual() -> None:
    ports = ServicePorts(cast("Any", None), lambda: None, lambda _: None, lambda _: 0.0)
    slow = {"tikv0": 300.0, "tikv1": 4.0}

    assert [told(ports.judge(slow, at)) for at in range(3 * KNOWN)] == [[]] * 3 * KNOWN


def window(n: int, operations: int) -> Window:
    return Window(
        n=n, wall=0.0, at=float(n), seconds=1.0, operations=operations, errors=0, timeouts=0, by_kind={}
    )


def kinds(view: ClientView, *windows: Window) -> list[str]:
    found = [signal.kind for each in windows for signal in view.read(each, {})]
    return [kind for kind in found if kind in ("trickle", "full_flow")]


def test_clients_that_get_a_fraction_done_without_an_error_are_told() -> None:
    view = ClientView(limits_of(INVARIANTS))
    usual = [window(n, 300) for n in range(USUAL_WINDOWS)]

    kinds(view, *usual)

    assert kinds(view, window(20, 12), window(21, 13)) == ["trickle", "trickle"]
    assert kinds(view, window(22, 290)) == ["full_flow"]


def test_another_load_may_ask_for_less() -> None:
    view = ClientView(limits_of(INVARIANTS))
    kinds(view, *(window(n, 300) for n in range(USUAL_WINDOWS)))

    assert kinds(view, *(window(n, 12) for n in range(USUAL_WINDOWS // 3))) == []


def taking(n: int, p99_ms: float) -> Window:
    figures = OperationFigures(300, 0, 0, p50_ms=2.0, p95_ms=p99_ms, p99_ms=p99_ms, max_ms=p99_ms)
    return replace(window(n, 300), by_kind={"all": figures})


@pytest.mark.parametrize(
    ("usual_ms", "now_ms", "kind"),
    [
        (7.0, 330.0, "slow"),  # a store that gets a fiftieth of a core
        (7.0, 190.0, "prompt"),  # a busy machine
        (60.0, 330.0, "prompt"),  # not so many times the usual
        (7.0, 1500.0, "slow"),  # beyond the limit
    ],
)
def test_clients_that_wait_many_times_longer_than_usual_are_told(
    usual_ms: float, now_ms: float, kind: str
) -> None:
    view = ClientView(limits_of(INVARIANTS))
    for n in range(USUAL_WINDOWS):
        list(view.read(taking(n, usual_ms), {}))

    for n in range(USUAL_WINDOWS, 3 * USUAL_WINDOWS):  # and never become what is usual
        seen = list(view.read(taking(n, now_ms), {}))
        assert [each.kind for each in seen if each.kind in ("slow", "prompt")] == [kind]


def failing(n: int, by_node: Mapping[str, int], errors: int = 30) -> Window:
    return replace(window(n, 100), errors=errors, by_node=by_node)


@pytest.mark.parametrize(
    ("by_node", "errors", "blamed"),
    [
        ({"http://h:1": 29, "http://h:2": 1}, 30, ["a"]),
        ({"h:1": 30}, 30, ["a"]),
        ({"h:1": 20, "h:2": 10}, 30, []),  # at several
        ({"h:9": 30}, 30, []),  # of no node that we know
        ({"h:1": 3}, 30, []),  # too few to tell by
        ({"h:1": 30}, 0, []),  # leaders moved: nothing that clients noticed
        ({}, 30, []),
    ],
)
def test_where_attempts_fail_is_told_of_one_node(
    by_node: Mapping[str, int], errors: int, blamed: list[str]
) -> None:
    view = ClientView(limits_of(INVARIANTS))
    list(view.read(window(0, 100), {}))

    seen = list(view.read(failing(1, by_node, errors), {"h:1": "a", "h:2": "b"}))

    assert [each.node for each in seen if each.kind == "failed_here"] == blamed
