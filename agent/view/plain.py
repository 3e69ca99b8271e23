"""Plain text where there is no terminal: the answer on standard output, all else on standard error."""

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TextIO

from agent.events import CallEnded, SessionOpened, Stage, Text, TextVoid, Verbatim
from agent.view.outlet import Outlet, PipeView, tolerant
from agent.view.words import MAX_VERBATIM, answerer, lines, one_line, seconds
from subjects.untrusted import clean
from tools.events import Diagnosed, Event, Failed, Notice, Progress, Table
from tools.observe.signal import Detection

MAX_HELD = 64_000
"""Characters of one text that are held back until it is certain to be kept."""


class PlainView(PipeView):
    """Markdown as it was written, in whole texts, without one escape sequence."""

    def __init__(
        self,
        stream: TextIO | None = None,
        errors: TextIO | None = None,
        *,
        listing: bool = False,
        timed: bool = False,
    ) -> None:
        """`listing`: tables are the answer. `timed`: detections have the time of day (`operator watch`)."""
        self._timed = timed
        self._answers = (Table, Diagnosed) if listing else ()
        super().__init__(stream)
        self._err = Outlet(tolerant(errors or sys.stderr))
        self._answer = _Passage(self._out)
        self._note = _Passage(self._err)
        self._progress = ""

    def show(self, event: Event) -> None:
        """Write `event` to where it belongs."""
        if isinstance(event, Text):
            (self._note if event.note else self._answer).add(event.text, done=event.done)
            return
        if isinstance(event, Verbatim):
            self._out.write(f"{lines(event.text, MAX_VERBATIM)}\n")
            return
        if isinstance(event, TextVoid):
            self._answer.forget()
            self._note.forget()
        said = self._say(event)
        if said:
            (self._out if isinstance(event, self._answers) else self._err).write(f"{said}\n")

    async def aclose(self) -> None:
        """Write what is left."""
        self._answer.add("", done=True)
        self._note.add("", done=True)
        await self._out.aclose()
        await self._err.aclose()
        self._out.check()

    def _say(self, event: Event) -> str:
        match event:
            case SessionOpened():
                return (
                    f"operator {event.version} · {answerer(event.driver, event.model)} · session {event.id}"
                )
            case TextVoid() | Failed() | Notice():
                return lines(event.text)
            case Stage():
                return _stage(event)
            case CallEnded():
                return _call(event)
            case Progress():
                return self._progressed(event)
            case Detection():
                time = f"{datetime.now().astimezone():%H:%M:%S}  " if self._timed else ""
                return time + _detected(event)
            case Diagnosed():
                return diagnosis_text(event.diagnosis)
            case Table():
                return table_text(event)
            case _:
                return ""

    def _progressed(self, event: Progress) -> str:
        """Return the first and the last line of a progress: what lies between is for terminals."""
        text = one_line(event.text)
        again = text == self._progress
        self._progress = "" if event.done else text
        if event.done:
            took = seconds(event.elapsed_s)
            return f"{text} ({took})" if took else text
        return "" if again else text


class _Passage:
    """One text as it comes in, held back until it is done, since it may still be void."""

    def __init__(self, out: Outlet) -> None:
        self._out = out
        self._pieces: list[str] = []
        self._size = 0
        self._written = False
        self._open = False

    def add(self, text: str, *, done: bool) -> None:
        kept = clean(text)
        if kept:
            self._pieces.append(kept)
            self._size += len(kept)
        if done or self._size > MAX_HELD:
            self._write(done=done)

    def forget(self) -> None:
        self._pieces, self._size = [], 0
        if self._open:
            self._out.write("\n")
            self._open = False

    def _write(self, *, done: bool) -> None:
        text, self._pieces, self._size = "".join(self._pieces), [], 0
        if done:
            text = text.rstrip()
        if not self._open:
            text = text.lstrip("\n")
            if text and self._written:
                self._out.write("\n")
        if not text and not self._open:
            return
        self._open = not done
        self._written = True
        self._out.write(f"{text}\n" if done else text)


def _stage(event: Stage) -> str:
    name = f"Stage {event.n}/{event.of} · {one_line(event.name)}"
    if event.ok is None:
        return f"{name} · {one_line(event.text)}" if event.text else name
    took = seconds(event.elapsed_s)
    return f"{name}: {'done' if event.ok else 'failed'}{f' in {took}' if took else ''}"


def _call(event: CallEnded) -> str:
    words = [one_line(event.tool), one_line(event.summary), seconds(event.seconds), event.evidence or ""]
    return f"{'ok' if event.ok else 'failed'} · " + " · ".join(word for word in words if word)


def _detected(event: Detection) -> str:
    said = [lines(event.text)]
    said += [
        f"  {seconds(signal.seconds) or '–'}  {one_line(signal.source)}  {one_line(signal.kind)}"
        f"  {one_line(signal.node or 'cluster')}  {signal.evidence or ''}".rstrip()
        for signal in event.signals
    ]
    return "\n".join(said)


def diagnosis_text(diagnosis: Mapping[str, Any]) -> str:
    """Return a diagnosis (`Diagnosis.as_result`) as lines."""
    said = [f"Diagnosis by {one_line(diagnosis.get('by', '?'))}"]
    said += [
        f"  {name.replace('_', ' ')}: {one_line(diagnosis[name])}"
        for name in ("observation", "root_cause", "kind", "node", "confidence", "changed", "would_change")
        if diagnosis.get(name) and (name != "node" or len(diagnosis.get("nodes") or ()) < 2)
    ]
    if len(nodes := diagnosis.get("nodes") or ()) > 1:
        said.append(f"  nodes: {one_line(', '.join(nodes))}")
    for item in diagnosis.get("evidence") or ():
        said.append(f"  {one_line(item.get('id', '?'))}: {one_line(item.get('claim', ''))}")
        said.append(f"    “{one_line(item.get('quote', ''))}”")
    said += [
        f"  {called}: {phrase(item)}"
        for name, called in (
            ("ruled_out", "ruled out"),
            ("suggested_actions", "next"),
            ("problems", "problem"),
        )
        for item in diagnosis.get(name) or ()
    ]
    said.append(f"  {'citations verified' if diagnosis.get('verified') else 'NOT verified'}")
    return "\n".join(said)


def phrase(item: object) -> str:
    """Say one entry of a diagnosis' list, which may be a sentence or an object of several."""
    if isinstance(item, Mapping):
        return " – ".join(one_line(value) for value in item.values() if value not in (None, "", [], ()))
    return one_line(item)


def table_text(table: Table) -> str:
    """Return a table as aligned columns."""
    header = [table.columns] if any(table.columns) else []
    rows = [tuple(one_line(cell) for cell in row) for row in (*header, *table.rows)]
    widths = [
        max((len(row[n]) for row in rows if n < len(row)), default=0) for n in range(len(table.columns))
    ]
    said = [one_line(table.title)] if table.title else []
    said += [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    ]
    return "\n".join(said)
