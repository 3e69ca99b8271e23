"""The chart of a report: throughput and latency over time, with marks, as SVG that needs nothing else."""

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tools.incidents.report_words import MARKS

MAX_POINTS = 600
"""Beyond it neighbouring seconds are drawn as one: a screen has no more room."""
GROUP_SHARE = 0.02
"""Marks nearer than this share of the width are drawn as one."""
BEFORE_S, AFTER_S = 30.0, 30.0
"""What is drawn around the marks, in seconds."""

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)
_VIEW_BOX = re.compile(r"<svg ")


def chart(data: Mapping[str, Any], key: str, title: str, unit: str, color: str) -> str:
    """Return one curve of the windows (`ops_per_s` or `p99_ms`) as inline SVG; empty without windows.

    Colours are CSS variables of the page (`--ink`, `--line`, `--mark`, and `color`).
    """
    import pygal
    from pygal.style import Style

    # Importing pygal installs an import hook of the old kind, which makes every later import warn.
    sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, pygal.PluginImportFixer)]
    windows = thinned(within(data["windows"], data["marks"]))
    points = [(w["seconds"], w[key]) for w in windows if w["whole"]]
    values = [value for _, value in points if value is not None]
    if not values:
        return ""
    top = max(values) * 1.3 or 1
    span = windows[-1]["seconds"] - windows[0]["seconds"]
    marks = grouped(data["marks"], span * GROUP_SHARE)
    style = Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--ink)",
        foreground_strong="var(--ink)",
        foreground_subtle="var(--line)",
        colors=(f"var({color})", *["var(--mark)"] * len(marks)),
        font_family="inherit",
        label_font_size=13,
        major_label_font_size=13,
        title_font_size=15,
        transition="0s",
    )
    drawing = pygal.XY(
        js=[],
        style=style,
        width=900,
        height=300,
        margin=12,
        show_dots=False,
        show_legend=False,
        print_labels=True,
        title=title,
        x_title="seconds after the first signal",
        y_title=unit,
        range=(0, top),
        xrange=(windows[0]["seconds"], windows[-1]["seconds"]),
        value_formatter=lambda value: f"{value:,.0f}",
        x_value_formatter=lambda value: f"{value:,.0f}",
        allow_interruptions=True,
        max_scale=6,
        disable_xml_declaration=True,
    )
    drawing.add(title, points, stroke_style={"width": 2})
    for n, (at, names) in enumerate(marks):
        # Labels of neighbours stand at different heights, so that they can be read.
        height = top * (1 - 0.09 * (n % 3))
        head = {"value": (at, height), "label": ", ".join(names)}
        dashed = {"width": 1, "dasharray": "4, 4"}
        drawing.add(", ".join(names), [(at, 0), head], stroke_style=dashed, show_dots=True, dots_size=1)
    return _plain(drawing.render(is_unicode=True), title, unit, values)


def grouped(marks: Mapping[str, float | None], near_s: float) -> list[tuple[float, list[str]]]:
    """Return the marks in order of time; those that would be drawn over one another are one."""
    known = sorted((at, label.lower()) for name, label in MARKS if (at := marks[name]) is not None)
    groups: list[tuple[float, list[str]]] = []
    for at, label in known:
        if groups and at - groups[-1][0] <= near_s:
            groups[-1][1].append(label)
        else:
            groups.append((at, [label]))
    return groups


def within(
    windows: Sequence[Mapping[str, Any]], marks: Mapping[str, float | None]
) -> list[Mapping[str, Any]]:
    """Return the windows from half a minute before the first mark to half a minute after the last."""
    known = [at for at in marks.values() if at is not None]
    since, until = min(known) - BEFORE_S, max(known) + AFTER_S
    return [window for window in windows if since <= window["seconds"] <= until]


def thinned(windows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return at most MAX_POINTS windows, of each group of neighbours the one with the worst p99."""
    size = -(-len(windows) // MAX_POINTS) or 1
    groups = (windows[n : n + size] for n in range(0, len(windows), size))
    return [max(group, key=lambda window: window["p99_ms"] or 0.0) for group in groups]


def _plain(svg: str, title: str, unit: str, values: Sequence[float]) -> str:
    """Leave out what a page without scripts has no use for, and tell a screen reader what is drawn."""
    svg = _SCRIPT.sub("", _COMMENT.sub("", svg))
    label = (
        f"{title}: from {min(values):,.0f} to {max(values):,.0f} {unit}. The figures are in the table below."
    )
    return _VIEW_BOX.sub(f'<svg role="img" aria-label="{label}" ', svg, count=1)
