"""The table of `operator watch`: one line a node, its state by colour."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.events import RATES, NodeRow, NodesSeen
from agent.view.words import one_line

STATES = {"up": "ok", "down": "bad", "paused": "warn", "unwell": "warn", "unknown": "quiet"}
CLUSTER_STATES = {"healthy": "ok", "degraded": "warn", "down": "bad"}
BARS = "▁▂▃▄▅▆▇█"

MAX_ROWS = 30
"""Nodes that are drawn; those that are not well come first."""


def draw(event: NodesSeen, width: int) -> RenderableType:
    """Return the table, laid out for `width` columns."""
    table = Table(box=None, pad_edge=False, header_style="quiet", expand=False)
    table.add_column("node", style="node", no_wrap=True)
    for name in ("state", "role"):
        table.add_column(name, no_wrap=True)
    for name in ("lag", "heartbeat"):
        table.add_column(name, justify="right", no_wrap=True)
    if width >= 60:
        table.add_column("log entries/s", no_wrap=True)
    rows = sorted(event.nodes, key=lambda row: row.state == "up")
    for row in rows[:MAX_ROWS]:
        cells = _cells(row)
        table.add_row(*(cells if width >= 60 else cells[:-1]))
    head = Text(one_line(event.cluster, 60) + "  ")
    head.append(event.state, CLUSTER_STATES.get(event.state, "quiet"))
    if event.incidents:
        head.append(f"  open: {', '.join(event.incidents)}", "bad")
    parts: list[RenderableType] = [head, table]
    if len(rows) > MAX_ROWS:
        parts.append(Text(f"… and {len(rows) - MAX_ROWS} more that are up", "quiet"))
    return Group(*parts)


def sparkline(values: tuple[float, ...]) -> str:
    """Return the values as bars, the highest as a whole one; empty for none."""
    shown = values[-RATES:]
    top = max(shown, default=0.0)
    if top <= 0:
        return BARS[0] * len(shown)
    return "".join(BARS[min(len(BARS) - 1, int(value / top * (len(BARS) - 1) + 0.5))] for value in shown)


def _cells(row: NodeRow) -> list[Text]:
    heartbeat = "" if row.heartbeat_age_s is None else f"{row.heartbeat_age_s:.1f} s"
    speed = ""
    if row.entries_per_s:
        speed = f"{sparkline(row.entries_per_s)} {row.entries_per_s[-1]:.0f}"
    return [
        Text(one_line(row.name, 30)),
        Text(row.state, STATES[row.state]),
        Text(row.role),
        Text("" if row.lag is None else str(row.lag)),
        Text(heartbeat),
        Text(speed),
    ]
