"""The diagnosis panel: what was seen, what caused it, what holds each claim, what to do."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import ROUNDED
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agent.view.plain import phrase
from agent.view.style import DONE, MAX_WIDTH
from agent.view.words import one_line

SIDE_BY_SIDE_FROM = 64
"""Columns from which labels stand to the left of what they label, rather than above it."""

CONFIDENCE = {"high": "ok", "medium": "warn", "low": "bad"}


def diagnosis(found: Mapping[str, Any], width: int) -> RenderableType:
    """Draw a diagnosis (`Diagnosis.as_result`)."""
    sections = list(_sections(found))
    body: RenderableType
    if width >= SIDE_BY_SIDE_FROM:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for n, (label, content) in enumerate(sections):
            if n:
                grid.add_row()
            grid.add_row(Text(label, "quiet"), content)
        body = grid
    else:
        parts: list[RenderableType] = []
        for n, (label, content) in enumerate(sections):
            parts += [*([Text()] if n else []), Text(label, "quiet"), content]
        body = Group(*parts)
    return Panel(
        body,
        title=Text("Diagnosis", "key"),
        subtitle=_verdict(found),
        title_align="left",
        subtitle_align="left",
        box=ROUNDED,
        border_style="ok" if found.get("verified") else "warn",
        padding=(1, 2) if width >= SIDE_BY_SIDE_FROM else (0, 1),
        width=min(width, MAX_WIDTH),
    )


def _sections(found: Mapping[str, Any]) -> Iterator[tuple[str, RenderableType]]:
    if found.get("observation"):
        yield "Observation", Text(one_line(found["observation"]))
    if found.get("root_cause"):
        yield "Root cause", Text(one_line(found["root_cause"]), "key")
    yield "Kind", _kind(found)
    if found.get("evidence"):
        yield "Evidence", Group(*(_cited(item) for item in found["evidence"]))
    if found.get("ruled_out"):
        yield "Ruled out", Group(*(Text(f"· {phrase(item)}") for item in found["ruled_out"]))
    if found.get("suggested_actions"):
        actions = (Text(f"{n}. {phrase(item)}") for n, item in enumerate(found["suggested_actions"], 1))
        yield "Do next", Group(*actions)
    if found.get("changed"):
        yield "Changed", Text(one_line(found["changed"]))
    if found.get("would_change"):
        yield "Would change", Text(one_line(found["would_change"]), "quiet")
    if found.get("problems"):
        yield "Not held", Group(*(Text(f"! {phrase(item)}", "warn") for item in found["problems"]))


def _kind(found: Mapping[str, Any]) -> Text:
    nodes = found.get("nodes") or [found.get("node")]
    named = ", ".join(one_line(node, 40) for node in nodes if node)
    confidence = one_line(found.get("confidence", "?"), 20)
    text = Text(one_line(found.get("kind", "?"), 40))
    if named:
        text.append(" of ", "quiet").append(named, "node")
    return text.append(" · confidence ", "quiet").append(confidence, CONFIDENCE.get(confidence, "none"))


def _cited(item: Mapping[str, Any]) -> Text:
    text = Text.assemble(
        (one_line(item.get("id", "?"), 12), "evidence"), "  ", one_line(item.get("claim", ""))
    )
    return text.append(f"\n“{one_line(item.get('quote', ''), 400)}”", "quiet")


def _verdict(found: Mapping[str, Any]) -> Text:
    by = {"rules": "by the rules", "claude": "by Claude"}.get(str(found.get("by")), "")
    if found.get("verified"):
        return Text.assemble(f"{by} · " if by else "", (f"{DONE} citations checked", "ok"))
    return Text.assemble(f"{by} · " if by else "", ("! not verified", "warn"))
