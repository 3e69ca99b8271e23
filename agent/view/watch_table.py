"""The table of `operator watch`: one line a node, its state by colour, columns only for what is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.events import Focused, NodeRow, NodesSeen, Verbatim
from agent.view.drawing import cut
from agent.view.words import lines, one_line, seconds
from tools.events import Table as Rows

STATES = {"up": "ok", "down": "bad", "paused": "warn", "unhealthy": "warn", "unknown": "quiet"}
CLUSTER_STATES = {"healthy": "ok", "degraded": "warn", "down": "bad"}
BARS = "▁▂▃▄▅▆▇█"

MAX_ROWS = 30
"""Nodes that are drawn; those that are not up come first."""

MIN_BARS = 8
MAX_BARS = 60
DETAIL_LINES = 14


def draw(
    event: NodesSeen,
    width: int,
    height: int = 200,
    focus: Focused | None = None,
    known: set[str] | None = None,
) -> RenderableType:
    """Return the table, laid out for so many columns and lines.

    `known` are columns that had something before; they stay, and new ones are added to it.
    """
    focus = focus or Focused()
    shown = in_order(event.nodes, focus.filter)
    detail = _detail(focus, width)
    room = height - 3 - len(event.open) - (2 if focus.node else 0) - (DETAIL_LINES + 1 if detail else 0)
    rows = shown[: max(1, min(MAX_ROWS, room))]
    parts: list[RenderableType] = [_head(event, width)]
    for each in event.open:
        words = f"● open {_age(each.age_s)}: {one_line(each.text, 300)} · {each.id}"
        parts.append(cut(Text(words, "bad"), width))
    parts.append(_table(rows, event.latency_of, width, focus.node, set() if known is None else known))
    if len(shown) > len(rows):
        hidden = shown[len(rows) :]
        up = "that are up" if all(row.state == "up" for row in hidden) else "below"
        parts.append(Text(f"… and {len(hidden)} more {up}", "quiet"))
    if focus.node or focus.typing:
        parts.append(_hint(focus, len(shown), len(event.nodes), width))
    return Group(*parts, *detail)


def in_order(nodes: Sequence[NodeRow], wanted: str = "") -> list[NodeRow]:
    """Return the nodes that have the text in name, state or role; those that are not up first."""
    low = wanted.lower()
    fitting = [row for row in nodes if low in f"{row.name} {row.state} {row.role}".lower()]
    return sorted(fitting, key=lambda row: row.state == "up")


def sparkline(values: tuple[float, ...], cells: int = 20) -> str:
    """Return the last values as bars, the highest as a whole one; empty for none."""
    shown = values[-cells:]
    top = max(shown, default=0.0)
    if top <= 0:
        return BARS[0] * len(shown)
    return "".join(BARS[min(len(BARS) - 1, int(value / top * (len(BARS) - 1) + 0.5))] for value in shown)


def status(event: NodesSeen) -> tuple[str, str]:
    """Return the cluster's state in words and its style: never healthy above what is not."""
    wrong = [row for row in event.nodes if row.state not in ("up", "unknown")]
    if event.state != "healthy":
        return event.state, CLUSTER_STATES.get(event.state, "quiet")
    if wrong:
        return f"{len(wrong)} of {len(event.nodes)} nodes not healthy", "warn"
    return ("incident open", "warn") if event.incidents else ("healthy", "ok")


def _head(event: NodesSeen, width: int) -> Text:
    words, style = status(event)
    head = Text(one_line(event.cluster, 60), "key").append("  ").append(words, style)
    rates = [row.ops_per_s for row in event.nodes if row.ops_per_s is not None]
    errors = [row.errors_per_s for row in event.nodes if row.errors_per_s is not None]
    slowest = [row.p99_ms for row in event.nodes if row.p99_ms is not None]
    figures = [f"{sum(rates):,.0f} ops/s"] if rates else []
    figures += [f"p99 {event.latency_of} ≤{max(slowest):g} ms"] if slowest else []
    figures += [f"{sum(errors):,.0f} errors/s"] if errors else []
    if shown := _fitting(figures, width - head.cell_len - len("    00:00:00")):
        head.append(f"  {shown}", "bad" if sum(errors) >= 1 else "none")
    return cut(head.append(f"  {datetime.now().astimezone():%H:%M:%S}", "quiet"), width)


@dataclass(frozen=True, slots=True)
class _Column:
    """One column: its name, and each row's cell."""

    name: str
    cells: tuple[str, ...]
    figures: bool = False


def _columns(rows: Sequence[NodeRow], latency_of: str, known: set[str]) -> list[_Column]:
    """Return the columns in which any row has something, the most telling ones first."""

    def figures(name: str, *values: str | None) -> _Column:
        return _Column(name, tuple("–" if value is None else value for value in values), figures=True)

    columns = [
        _Column("role", tuple(row.role for row in rows)),
        figures("ops/s", *(None if r.ops_per_s is None else f"{r.ops_per_s:,.0f}" for r in rows)),
        figures(f"p99 {latency_of}", *(None if r.p99_ms is None else f"≤{r.p99_ms:g} ms" for r in rows)),
        figures("errors/s", *(None if r.errors_per_s is None else f"{r.errors_per_s:,.0f}" for r in rows)),
        figures("behind", *(None if r.lag is None else f"{r.lag:,}" for r in rows)),
        figures(
            "heartbeat", *(None if r.heartbeat_age_s is None else f"{r.heartbeat_age_s:.1f} s" for r in rows)
        ),
    ]
    known |= {each.name for each in columns if any(cell not in ("–", "unknown", "") for cell in each.cells)}
    return [each for each in columns if each.name in known]


def _table(
    rows: Sequence[NodeRow], latency_of: str, width: int, chosen: str | None, known: set[str]
) -> Table:
    table = Table(box=None, pad_edge=False, header_style="quiet", padding=(0, 2, 0, 0))
    table.add_column("node", style="node", no_wrap=True)
    table.add_column("state", no_wrap=True)
    columns = _columns(rows, latency_of, known)
    name_width = max((len(row.name) for row in rows), default=4) + 4
    used = name_width + 11
    kept = []
    for column in columns:
        need = max(len(column.name), *(len(cell) for cell in column.cells)) + 2
        if used + need <= width:
            kept.append(column)
            used += need
    for column in kept:
        table.add_column(column.name, justify="right" if column.figures else "left", no_wrap=True)
    bars = min(MAX_BARS, width - used - 8)
    growing = bars >= MIN_BARS and any(row.entries_per_s for row in rows)
    if growing:
        table.add_column("log entries/s", no_wrap=True)
    for n, row in enumerate(rows):
        mark = "› " if row.name == chosen else "  " if chosen else ""  # noqa: RUF001 - the mark that is meant
        cells = [Text(mark + one_line(row.name, 40)), Text(row.state, STATES[row.state])]
        cells += [Text(column.cells[n]) for column in kept]
        if growing:
            now = f" {row.entries_per_s[-1]:,.0f}" if row.entries_per_s else "–"
            cells.append(Text(sparkline(row.entries_per_s, bars) + now))
        table.add_row(*cells, style="bold" if row.name == chosen else "")
    return table


def _age(age_s: float) -> str:
    return f"{age_s:.0f} s" if age_s < 120 else seconds(age_s)


def _hint(focus: Focused, shown: int, of: int, width: int) -> Text:
    if focus.typing:
        return cut(Text(f"/{focus.filter}▏ {shown} of {of} nodes · Enter keeps, Esc clears", "quiet"), width)
    words = [f"filter {focus.filter!r}: {shown} of {of}"] if focus.filter else []
    words += ["/ filter", "↑↓ choose", "Enter close" if focus.detail else "Enter look into", "Ctrl-C ends"]
    return Text(_fitting(words, width), "quiet")


def _fitting(words: Sequence[str], width: int) -> str:
    """Return as many of the words as fit, whole."""
    kept = [n for n in range(1, len(words) + 1) if cell_len(" · ".join(words[:n])) <= width]
    return " · ".join(words[: max(kept, default=0)])


def _detail(focus: Focused, width: int) -> list[RenderableType]:
    """Return what is known of the node that is looked into, in at most DETAIL_LINES lines and its log."""
    parts: list[RenderableType] = []
    for event in focus.detail:
        if isinstance(event, Rows):
            facts = [f"{row[0]} {row[1]}" for row in event.rows]
            parts.append(Text(" · ".join(one_line(fact, 200) for fact in facts), "none"))
        elif isinstance(event, Verbatim):
            log = lines(event.text, 20_000).splitlines()[-(DETAIL_LINES - 4) :]
            parts += [cut(Text(line, "quiet"), width) for line in log]
    return parts
