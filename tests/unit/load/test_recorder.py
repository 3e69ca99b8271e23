"""Windows and totals add up, and percentiles over several windows are those of their operations."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.load.recorder import Recorder
from tools.load.spans import between, failed, summed
from tools.load.wire import parse, read_window, window_line
from tools.observe.figures import LoadFigures, Window


def window(latencies_ms: list[float], *, recorder: Recorder | None = None, at: float = 1.0) -> Window:
    recorder = recorder or Recorder(at - 1)
    for latency in latencies_ms:
        recorder.succeeded("read", 0.0, latency / 2000, latency / 1000)
    return recorder.close_window(at, {})


def test_a_window_counts_each_outcome_apart_and_by_kind() -> None:
    recorder = Recorder(0.0)
    recorder.succeeded("read", 0.0, 0.001, 0.003)
    recorder.succeeded("update", 0.0, 0.004, 0.005)
    recorder.failed("update", "refused", timed_out=False)
    recorder.failed("update", "too late", timed_out=True)
    closed = recorder.close_window(1.0, {"http://a": 2})

    assert (closed.operations, closed.errors, closed.timeouts) == (2, 1, 1)
    assert closed.by_kind["update"].errors == closed.by_kind["update"].timeouts == 1
    assert closed.by_kind["read"].p50_ms == pytest.approx(3, rel=0.01)
    assert closed.by_kind["read"].service_p50_ms == pytest.approx(2, rel=0.01)
    assert closed.by_kind["all"].max_ms == pytest.approx(5, rel=0.01)
    assert (closed.last_error, closed.by_node) == ("too late", {"http://a": 2})


def test_a_window_without_operations_has_no_latency_rather_than_zero() -> None:
    closed = window([])

    assert closed.by_kind["all"].p50_ms is None
    assert summed([closed]) == LoadFigures(0.0, None, None, 0)


def test_windows_begin_where_the_last_ended_and_leave_nothing_over() -> None:
    recorder = Recorder(10.0)
    first, second = window([1], recorder=recorder, at=11.0), window([], recorder=recorder, at=12.5)

    assert [(w.n, w.seconds, w.operations) for w in (first, second)] == [(0, 1.0, 1), (1, 1.5, 0)]
    assert "read" not in second.by_kind


def test_a_pause_is_in_no_window() -> None:
    recorder = Recorder(0.0)
    recorder.close_window(1.0, {})
    recorder.begin(61.0)

    assert recorder.close_window(62.0, {}).seconds == 1.0
    assert recorder.totals().seconds == 2.0


def test_totals_are_the_sum_of_the_windows() -> None:
    recorder = Recorder(0.0)
    for n in range(3):
        window([5, 7], recorder=recorder, at=n + 1.0)
    totals = recorder.totals()

    assert (totals.seconds, totals.operations) == (3.0, 6)
    assert totals.by_kind["all"].max_ms == pytest.approx(7, rel=0.01)


@settings(max_examples=30)
@given(st.lists(st.lists(st.floats(0.01, 9000), min_size=1, max_size=30), min_size=1, max_size=5))
def test_percentiles_over_a_span_are_those_of_all_its_operations(spans: list[list[float]]) -> None:
    apart = summed([window(latencies, at=n + 1.0) for n, latencies in enumerate(spans)])
    together = window([latency for latencies in spans for latency in latencies])

    assert apart.p50_ms == together.by_kind["all"].p50_ms
    assert apart.p99_ms == together.by_kind["all"].p99_ms
    assert apart.ops_per_s == pytest.approx(together.operations / len(spans))


def test_errors_of_a_span_are_errors_and_timeouts() -> None:
    recorder = Recorder(0.0)
    recorder.failed("read", "no", timed_out=False)
    recorder.failed("read", "late", timed_out=True)

    assert summed([recorder.close_window(1.0, {})]).errors == 2


def test_percentiles_are_not_made_up_for_windows_that_carry_no_latencies() -> None:
    figures = summed([window([1]), replace(window([9], at=2.0), latencies="")])

    assert (figures.ops_per_s, figures.p50_ms, figures.p99_ms) == (1.0, None, None)


def test_a_span_takes_whole_windows_only() -> None:
    windows = [replace(window([n]), at=100.0 + n) for n in range(1, 6)]

    assert [w.at for w in between(windows, 101.0, 104.4)] == [102.0, 103.0, 104.0]
    assert summed(between(windows, 200, 300)) == LoadFigures(None, None, None, None)


def test_a_window_comes_whole_through_the_pipe() -> None:
    sent = window([1, 2, 3])

    assert read_window(parse(window_line(sent))) == sent


@pytest.mark.parametrize("raw", [b"", b"nonsense", b"[]", b'{"type": 3}', json.dumps({"n": 1}).encode()])
def test_what_is_no_line_of_the_generator_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(raw)


def test_what_ran_out_of_time_counts_for_the_span_in_which_it_was_due() -> None:
    """A leader was killed and back within a second: its writes are given up when all is well again."""
    quiet = [replace(window([1.0]), n=n, at=float(n)) for n in range(1, 9)]
    late = [replace(each, timeouts=75) if each.at == 4.0 else each for each in quiet]

    assert failed(late, 1.0, 2.5, deadline_s=2.0) == (1.0, 75)
    assert failed(late, 1.0, 1.5, deadline_s=2.0) == (0.0, 0)
    assert failed([], 1.0, 2.0, deadline_s=2.0) == (None, None)
