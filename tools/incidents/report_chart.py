"""The charts of a report: the load over time, with marks and the outage, as SVG that needs nothing else."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.incidents.report_words import in_order

MAX_POINTS = 600
"""Beyond it neighbouring seconds are drawn as one: a screen has no more room."""
GROUP_SHARE = 0.02
"""Marks nearer than this share of the width are drawn as one."""
BEFORE_S, AFTER_S = 30.0, 30.0
"""What is drawn around the marks, in seconds."""
SIZES = (("wide", 900, 230), ("narrow", 380, 230))
"""Each chart is drawn for a wide window and for a narrow one: text that scales with it could not be read."""

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)
_VIEW_BOX = re.compile(r"<svg ")

Window = Mapping[str, Any]
Spans = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Curve:
    """Which figure of the windows is drawn, and how."""

    key: str
    title: str
    unit: str
    color: str
    """A CSS variable of the page, as are `--ink`, `--line`, `--mark` and `--bad`."""


@dataclass(frozen=True, slots=True)
class Time:
    """What all charts of a report have in common: which seconds they show, and what is marked in them."""

    windows: Sequence[Window]
    marks: Sequence[tuple[float, Sequence[str]]]
    outages: Spans

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Time":
        """Return what is drawn of a report."""
        windows = thinned(within(data["windows"], data["marks"]))
        span = windows[-1]["seconds"] - windows[0]["seconds"] if windows else 0.0
        return cls(windows, grouped(data["marks"], span * GROUP_SHARE), outages(windows))


def charts(time: Time, curve: Curve) -> str:
    """Return one curve as inline SVG, for both sizes; empty where nothing of it was measured."""
    whole = [window for window in time.windows if window["whole"]]
    values = [window[curve.key] for window in whole if window[curve.key] is not None]
    if not values or not any(values):
        return ""
    return "".join(_draw(time, curve, whole, values, *size) for size in SIZES)


def _draw(
    time: Time,
    curve: Curve,
    whole: Sequence[Window],
    values: Sequence[float],
    name: str,
    width: int,
    height: int,
) -> str:
    import pygal
    from pygal.style import Style

    # Importing pygal installs an import hook of the old kind, which makes every later import warn.
    sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, pygal.PluginImportFixer)]
    top = max(values) * 1.2
    shades, marks = len(time.outages), len(time.marks)
    drawing = pygal.XY(
        js=[],
        style=Style(
            background="transparent",
            plot_background="transparent",
            foreground="var(--ink)",
            foreground_strong="var(--ink)",
            foreground_subtle="var(--line)",
            colors=(*["var(--bad)"] * shades, f"var({curve.color})", *["var(--mark)"] * marks),
            opacity=".13",
            font_family="inherit",
            label_font_size=13,
            major_label_font_size=13,
            value_label_font_size=13,
            transition="0s",
        ),
        width=width,
        height=height,
        margin=8,
        show_dots=False,
        show_legend=False,
        print_labels=True,
        range=(0, top),
        xrange=(time.windows[0]["seconds"], time.windows[-1]["seconds"]),
        value_formatter=lambda value: f"{value:,.0f}",
        x_value_formatter=lambda value: f"{value:,.0f} s",
        allow_interruptions=True,
        max_scale=6 if width > 500 else 4,
        disable_xml_declaration=True,
    )
    for since, until in time.outages:
        drawing.add(
            "", [(since, 0), (since, top), (until, top), (until, 0)], fill=True, stroke_style={"width": 0}
        )
    drawing.add(
        curve.title, [(window["seconds"], window[curve.key]) for window in whole], stroke_style={"width": 2}
    )
    for n, (at, names) in enumerate(time.marks, 1):
        head = {"value": (at, top * (0.97 - 0.1 * (n % 2))), "label": str(n)}
        dashed = {"width": 1, "dasharray": "4, 4"}
        drawing.add(", ".join(names), [(at, 0), head], stroke_style=dashed, show_dots=True, dots_size=1)
    return _plain(drawing.render(is_unicode=True), curve, values, name)


def outages(windows: Sequence[Window]) -> Spans:
    """Return the spans in which operations failed or none succeeded: from and to, in seconds."""
    spans: list[tuple[float, float]] = []
    before: float | None = None
    for window in windows:
        at = window["seconds"]
        since = at - 1.0 if before is None else before
        if window["errors"] or not window["operations"]:
            spans[-1:] = (
                [(spans[-1][0], at)] if spans and spans[-1][1] == since else [*spans[-1:], (since, at)]
            )
        before = at
    return spans


def grouped(marks: Mapping[str, float | None], near_s: float) -> list[tuple[float, list[str]]]:
    """Return the marks in order of time; those that would be drawn over one another are one."""
    groups: list[tuple[float, list[str]]] = []
    for label, at in in_order(marks):
        if groups and at - groups[-1][0] <= near_s:
            groups[-1][1].append(label.lower())
        else:
            groups.append((at, [label.lower()]))
    return groups


def within(windows: Sequence[Window], marks: Mapping[str, float | None]) -> list[Window]:
    """Return the windows from half a minute before the first mark to half a minute after the last."""
    known = [at for at in marks.values() if at is not None]
    since, until = min(known) - BEFORE_S, max(known) + AFTER_S
    return [window for window in windows if since <= window["seconds"] <= until]


def thinned(windows: Sequence[Window]) -> list[Window]:
    """Return at most MAX_POINTS windows, of each group of neighbours the one with the worst p99."""
    size = -(-len(windows) // MAX_POINTS) or 1
    groups = (windows[n : n + size] for n in range(0, len(windows), size))
    return [max(group, key=lambda window: window["p99_ms"] or 0.0) for group in groups]


def _plain(svg: str, curve: Curve, values: Sequence[float], name: str) -> str:
    """Leave out what a page without scripts has no use for, and tell a screen reader what is drawn."""
    svg = _SCRIPT.sub("", _COMMENT.sub("", svg))
    span = f"from {min(values):,.0f} to {max(values):,.0f} {curve.unit}"
    label = f"{curve.title}: {span}. The figures are in the table below."
    svg = svg.replace('class="pygal-chart"', f'class="pygal-chart {name}"', 1)
    return _VIEW_BOX.sub(f'<svg role="img" aria-label="{label}" ', svg, count=1)
