"""Events as Rich renderables, made of plain `Text` only: nothing foreign is ever read as markup."""

import time
from collections.abc import Sequence
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from agent.events import CallEnded, CallStarted, SessionOpened, Stage, Verbatim
from agent.view.style import DONE, FAILED, MAX_WIDTH, RUNNING
from agent.view.words import MAX_VERBATIM, answerer, call_words, lines, one_line, seconds
from tools.events import Diagnosed, Failed, Notice, Progress, Table
from tools.observe.signal import Detection, Signal

RAW_FROM = 72
"""Columns from which a signal's own words are shown beside it."""

ID_FROM = 48
"""Columns from which its evidence id is."""

BAR = 24
"""Cells of the countdown's bar."""


def session(event: SessionOpened) -> Text:
    """Say who answers."""
    who = answerer(event.driver, event.model)
    return Text(f"operator {event.version} · {who} · session {one_line(event.id)}", "quiet")


def stage(event: Stage, width: int) -> RenderableType:
    """Draw a stage's banner, or the line that ends it."""
    name = f"Stage {event.n}/{event.of} · {one_line(event.text or event.name)}"
    if event.ok is not None:
        return _ended(name, ok=event.ok, took=seconds(event.elapsed_s))
    banner = Text.assemble(("── ", "stage.line"), (name, "stage"), " ")
    banner.append("─" * max(0, min(width, MAX_WIDTH) - banner.cell_len), "stage.line")
    return banner


def _ended(name: str, *, ok: bool, took: str) -> Text:
    line = Text.assemble((DONE, "ok") if ok else (FAILED, "bad"), " ", (name, "quiet"))
    return line.append(f" · {took}", "quiet") if took else line


def running(event: CallStarted, elapsed_s: float, width: int) -> Text:
    """Draw a call under way; how long, once it is worth telling."""
    line = Text.assemble((RUNNING, "warn"), " ", one_line(event.tool, 60))
    words = call_words(event.arguments)
    if words:
        line.append(f" {words}", "node")
    if elapsed_s >= 1:
        line.append(f" · {elapsed_s:.0f} s", "quiet")
    return cut(line, width)


def called(started: CallStarted | None, event: CallEnded, width: int) -> RenderableType:
    """Draw a finished call in one line; a failed one with what it said below."""
    words = call_words(started.arguments) if started else ""
    head = Text.assemble((DONE, "ok") if event.ok else (FAILED, "bad"), " ", one_line(event.tool, 60))
    if words:
        head.append(f" {words}", "node")
    tail = Text(f" · {seconds(event.seconds)}", "quiet")
    if event.evidence:
        tail.append(" · ").append(one_line(event.evidence, 12), "evidence")
    summary = one_line(event.summary)
    room = width - head.cell_len - tail.cell_len - 3
    if event.ok and summary and room >= 12:
        head.append(" · ", "quiet").append_text(cut(Text(summary, "quiet"), room))
    line = cut(head, width - tail.cell_len).append_text(tail)
    if event.ok or not summary:
        return line
    return Group(line, _indented(Text(summary)))


def progress(event: Progress, width: int) -> Text:
    """Draw what is under way, with the countdown where there is one."""
    line = Text(one_line(event.text, 200), "quiet")
    if event.elapsed_s is None:
        return cut(line, width)
    if event.of_s is None:
        return cut(line.append(f" {event.elapsed_s:.0f}s"), width)
    tail = Text(f" {event.elapsed_s:.0f}s / {event.of_s:.0f}s", "key")
    if width >= line.cell_len + tail.cell_len + BAR + 2:
        share = min(1.0, event.elapsed_s / event.of_s) if event.of_s > 0 else 1.0
        tail.append("  ").append("━" * round(BAR * share), "warn")
        tail.append("━" * (BAR - round(BAR * share)), "quiet")
    return cut(line, width - tail.cell_len).append_text(tail)


def progressed(event: Progress) -> Text:
    """Draw the line that a progress leaves behind."""
    line = Text.assemble((DONE, "ok"), " ", (one_line(event.text), "quiet"))
    took = seconds(event.elapsed_s)
    if took and took not in event.text:
        line.append(f" · {took}", "quiet")
    return line


def signal(event: Signal, width: int) -> Text:
    """Draw one signal in a line, with the time of day."""
    about, raw = event.node or "cluster", _own_words(event)
    seen = datetime.fromtimestamp(event.wall or time.time()).astimezone()
    line = Text(f"{seen:%H:%M:%S.%f}"[:-3] + "  ", "quiet")
    line.append(one_line(about, 30), "node")
    line.append(
        f"  {one_line(event.source, 20)} {one_line(event.kind, 30)}",
        "ok" if event.kind == "recovered" else "warn",
    )
    line.append(f"  {raw}", "quiet")
    tail = Text(f"  {one_line(event.evidence, 12)}" if event.evidence else "", "evidence")
    return cut(line, width - tail.cell_len).append_text(tail)


def _own_words(event: Signal) -> str:
    """Return what was seen, without node and kind, which stand beside it."""
    about = f"{event.node or 'cluster'} {event.kind}"
    return one_line(event.raw, 200).removeprefix(about).removeprefix(":").strip()


def concluded(event: Diagnosed) -> Text:
    """Draw a diagnosis in a line or two: `incidents show` has the rest."""
    found = event.diagnosis
    nodes = ", ".join(found.get("nodes") or ()) or "the cluster"
    line = Text(f"{datetime.now().astimezone():%H:%M:%S}  ", "quiet")
    line.append(f"Diagnosis: {one_line(found.get('kind', '?'), 40)} of {one_line(nodes, 80)}", "key")
    line.append(f", confidence {one_line(found.get('confidence', '?'), 20)}. ", "quiet")
    return line.append(one_line(found.get("root_cause", ""), 600))


def detected(event: Detection, width: int, *, alone: bool = False) -> RenderableType:
    """Draw a detection, and who knew when; `alone` where its signals have been drawn."""
    head = Text.assemble((RUNNING, "bad"), " ", (lines(event.text), "key"))
    after = seconds(event.seconds)
    if after and after not in event.text:
        head.append(f" · {after}", "quiet")
    if event.incident:
        head.append(f" · incident {one_line(event.incident, 40)}", "quiet")
    if alone:
        return Text(f"{datetime.now().astimezone():%H:%M:%S}  ", "quiet").append_text(head)
    if not event.signals:
        return head
    return Group(head, _who_knew_when(event.signals, width))


def _who_knew_when(signals: Sequence[Signal], width: int) -> RenderableType:
    first = 0 if any(seen.seconds is not None for seen in signals) else 1  # after what is not known
    columns = ["after", "who knew", "what", "node"]
    columns += [""] if width >= ID_FROM else []
    columns += ["in its own words"] if width >= RAW_FROM else []
    table = RichTable(box=None, header_style="quiet", pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns[first:]:
        table.add_column(Text(name), overflow="fold")
    for seen in sorted(signals, key=lambda seen: (seen.seconds is None, seen.seconds or 0.0)):
        cells = (
            Text("–" if seen.seconds is None else f"{seen.seconds:.3f} s", justify="right"),
            Text(one_line(seen.source, 20)),
            Text(one_line(seen.kind, 24)),
            Text(one_line(seen.node or "cluster", 40), "node"),
            Text(one_line(seen.evidence or "", 12), "evidence"),
            Text(_own_words(seen), "quiet", overflow="ellipsis", no_wrap=True),
        )
        table.add_row(*cells[first : len(columns)])
    return table


def table(event: Table, width: int) -> RenderableType:
    """Draw rows; columns of figures stand to the right. Where there is no room: a row below the other."""
    fits = any(event.columns) and sum(_least(event)) + _apart(event) <= width
    drawn = _grid(event, width) if fits else _stacked(event)
    return Group(Text(one_line(event.title), "key"), drawn) if event.title else drawn


def _apart(event: Table) -> int:
    """The blanks between columns."""
    return 2 * (len(event.columns) - 1)


def _least(event: Table) -> list[int]:
    """What each column needs so that nothing is broken but between words, and cells stay low."""
    return [_unbroken(event, n) for n in range(len(event.columns))]


def _unbroken(event: Table, n: int) -> int:
    """The widest word of column `n` (of figures: the widest cell), or a fourth of its widest cell."""
    cells = _cells(event, n)
    words = one_line(event.columns[n], 60).split()
    words += cells if _figures(cells) else [word for cell in cells for word in cell.split()]
    widest = max((cell_len(cell) for cell in cells), default=0)
    return max(widest // 4, *map(cell_len, words), 0)


def _cells(event: Table, n: int) -> list[str]:
    return [one_line(row[n], 400) for row in event.rows if n < len(row)]


def _widths(event: Table, width: int) -> list[int]:
    """Return each column's width; where there is too little, those give that have most to give."""
    least = _least(event)
    widths = [
        max(map(cell_len, [one_line(name, 60), *_cells(event, n)])) for n, name in enumerate(event.columns)
    ]
    while sum(widths) + _apart(event) > width:
        gives = max(range(len(widths)), key=lambda n: widths[n] - least[n])
        widths[gives] -= 1
    return widths


def _stacked(event: Table) -> RenderableType:
    drawn = RichTable(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    drawn.add_column(overflow="fold")
    drawn.add_column(overflow="fold")
    for number, row in enumerate(event.rows):
        if number and len(event.columns) > 2:
            drawn.add_row("", "")
        pairs = zip(event.columns, row, strict=False)
        named = [(row[0], row[1])] if len(row) == 2 else [pair for pair in pairs if pair[1]]
        for name, cell in named:
            drawn.add_row(Text(one_line(name, 60), "quiet"), Text(one_line(cell, 400)))
    return drawn


def _grid(event: Table, width: int) -> RenderableType:
    drawn = RichTable(
        box=SIMPLE_HEAD,
        header_style="quiet",
        border_style="quiet",
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for n, wide in enumerate(_widths(event, width)):
        drawn.add_column(
            Text(one_line(event.columns[n], 60)),
            justify="right" if _figures(_cells(event, n)) else "left",
            overflow="fold",
            width=wide,
        )
    for row in event.rows:
        drawn.add_row(*(Text(one_line(cell, 400)) for cell in row))
    return drawn


def verbatim(event: Verbatim) -> Text:
    """Draw lines as they are: where they are longer than the window, the terminal itself wraps them."""
    return Text(lines(event.text, MAX_VERBATIM), no_wrap=True, overflow="ignore")


def notice(event: Notice) -> Text:
    """Draw a sentence for the person."""
    if event.level == "warning":
        return Text.assemble(("! ", "warn"), lines(event.text))
    return Text(lines(event.text), "quiet")


def failed(event: Failed) -> Text:
    """Draw what went wrong."""
    return Text.assemble((f"{FAILED} ", "bad"), lines(event.text))


def typed(prompt: str, text: str, width: int) -> Text:
    """Draw the end of what is being typed, which is where the eyes are."""
    line = one_line(text)
    room = max(1, width - len(prompt) - 2)
    while cell_len(line) > room:
        line = line[max(1, (cell_len(line) - room) // 2) :]
    return Text.assemble((f"{prompt} ", "quiet"), line, no_wrap=True)


def _figures(cells: Sequence[str]) -> bool:
    return bool(cells) and all(cell[:1].isdigit() or cell in ("", "–", "-") for cell in cells)


def _indented(text: Text) -> RenderableType:
    return Padding(text, (0, 0, 0, 2))


def cut(text: Text, width: int) -> Text:
    """Have the text take one line of `width` cells; an ellipsis stands for the rest."""
    text.truncate(max(1, width), overflow="ellipsis")
    text.no_wrap = True
    return text
