"""The table of `operator watch`: only what is known, nothing healthy above what is not, the whole window."""

import re
from io import StringIO

import pytest

from agent.events import Focused, NodeRow, NodesSeen, OpenIncident, Verbatim
from agent.view.canvas import Canvas
from agent.view.watch_table import draw, in_order, status
from agent.watch.keys import Focus
from agent.watch.traffic import Traffic, _Read, between
from tools.events import Table

UP = NodeRow("etcd-1", "up", "leader", 0, None, (1.0,) * 60, 210.0, 0.0, 4.0)
DOWN = NodeRow("etcd-2", "down", "follower", None, None)
OPEN = OpenIncident("20260101-000001-aaaa", "etcd-2 is dead", 12.4)


def drawn(event: NodesSeen, width: int, focus: Focused | None = None, height: int = 40) -> list[str]:
    canvas = Canvas(StringIO(), coloured=False, size=lambda: (width, height))
    return [line.text for line in canvas.lines(draw(event, width, height, focus), wide=True)]


@pytest.mark.parametrize(("nodes", "incidents"), [((UP, DOWN), ()), ((UP,), ("I1",)), ((UP, DOWN), ("I1",))])
def test_nothing_is_called_healthy_above_a_node_or_incident_that_is_not(
    nodes: tuple[NodeRow, ...], incidents: tuple[str, ...]
) -> None:
    words, _ = status(NodesSeen("etcd × process", "healthy", nodes, incidents))

    assert words != "healthy"


def test_an_incident_has_its_age_and_what_it_is_about() -> None:
    lines = drawn(NodesSeen("c", "degraded", (UP, DOWN), (OPEN.id,), (OPEN,), "fsync"), 110)

    assert lines[1] == "● open 12 s: etcd-2 is dead · 20260101-000001-aaaa"
    assert "210 ops/s · p99 fsync ≤4 ms · 0 errors/s" in lines[0]


def test_a_column_in_which_nobody_has_anything_is_not_there() -> None:
    lines = drawn(NodesSeen("c", "healthy", (UP, UP), (), (), "fsync"), 110)

    assert "heartbeat" not in lines[1]
    assert lines[1].split()[:5] == ["node", "state", "role", "ops/s", "p99"]


@pytest.mark.parametrize("width", [20, 40, 80, 110, 200])
def test_no_line_is_wider_than_the_window_and_wide_ones_are_used(width: int) -> None:
    lines = drawn(NodesSeen("etcd × process", "degraded", (UP, DOWN), (OPEN.id,), (OPEN,), "fsync"), width)

    assert max(map(len, lines)) <= width
    assert width < 40 or (re.search(r" \d\d:\d\d:\d\d$", lines[0]) and "…" not in lines[0])
    assert any("█" * 60 in line for line in lines) is (width == 200)


def test_what_is_looked_into_is_below_the_table_and_fits_the_window() -> None:
    detail = (Table("", ("", ""), (("name", "etcd-2"),)), Verbatim("\n".join(f"line {n}" for n in range(50))))
    nodes = tuple(NodeRow(f"n{n}", "up", "follower", 0, None) for n in range(40))
    lines = drawn(NodesSeen("c", "healthy", nodes), 80, Focused(node="n1", detail=detail), height=30)

    assert len(lines) <= 30
    assert lines[-1] == "line 49"
    assert any("… and" in line for line in lines)


class TestKeys:
    """`/` filters, arrows and j/k choose, Enter looks into a node, Escape leaves it and clears."""

    def test_a_filter_is_typed_and_kept(self) -> None:
        focus = Focus(row=3)
        focus.take("/etcd-x\x7f2\r")

        assert (focus.filter, focus.typing, focus.row) == ("etcd-2", False, 0)
        assert in_order((UP, DOWN), focus.filter) == [DOWN]

    def test_a_node_is_chosen_and_looked_into(self) -> None:
        focus = Focus()
        focus.take("\x1b[B\x1b[Bk\r")
        opened = (focus.row, focus.open)
        focus.take("\x1b")

        assert (opened, focus.open) == ((1, True), False)

    def test_escape_clears_the_filter(self) -> None:
        focus = Focus()
        focus.take("/abc\x1b")

        assert (focus.filter, focus.typing) == ("", False)


class TestTraffic:
    """Figures are of the time between two reads of counters."""

    def test_rates_and_the_bound_of_the_bucket_that_holds_the_99th(self) -> None:
        before = _Read(10.0, 100, 1, {0.001: 50, 0.004: 60, float("inf"): 60})
        now = _Read(12.0, 300, 5, {0.001: 148, 0.004: 160, float("inf"): 160})

        assert between(before, now) == Traffic(100.0, 2.0, 4.0)

    def test_a_node_that_counts_anew_has_none(self) -> None:
        assert between(_Read(10.0, 100, 0, {}), _Read(12.0, 3, 0, {})) is None

    def test_without_requests_there_is_no_p99(self) -> None:
        assert between(_Read(10.0, 1, 0, {0.1: 5}), _Read(12.0, 1, 0, {0.1: 5})) == Traffic(0.0, 0.0, None)
