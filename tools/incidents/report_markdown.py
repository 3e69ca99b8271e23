"""A report as Markdown."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tools.incidents.report_words import (
    HELD,
    LOAD_COLUMNS,
    alternatives,
    conclusion,
    figure,
    impact,
    in_order,
    knew,
    load,
    seconds,
    title,
    what,
)
from tools.observe.incident import State
from tools.observe.signal import WHO

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def markdown(data: Mapping[str, Any]) -> str:
    """Return the report `data` (see tools.incidents.report) as Markdown."""
    return "\n".join(_lines(data)) + "\n"


def _lines(data: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {plain(title(data))}"
    yield ""
    nodes = plain(", ".join(data["nodes"]) or "none")
    where = f"{plain(data['cluster'])}, nodes {nodes}, {State(data['state']).words}; opened {data['opened']}"
    yield f"Incident {data['incident']}: {where}."
    if data["severity"]:
        yield f"Severity {plain(data['severity'])}."
    marks = [(words, seconds(at)) for words, at in in_order(data["marks"])]
    yield from _section("Summary", [plain(data["summary"])])
    yield from _section("Impact", _table(("What", "Figure"), impact(data)))
    yield from _section("When", _table(("Mark", "After first signal"), marks))
    yield from _section("Load", _table(("", *(words for _, words in LOAD_COLUMNS)), load(data)))
    yield from _section(
        "Who knew when", _table(("Who", "After first signal", "How"), knew(data["who_knew_when"]))
    )
    yield from _section("Diagnosis", _diagnosis(data))
    yield from _section("Prediction and outcome", _outcome(data))
    yield from _section("Proof of the undo", _undo(data))
    yield from _section("What to do next", [f"{n}. {plain(step)}" for n, step in enumerate(data["next"], 1)])
    rows = [
        (
            seconds(e["seconds"]),
            WHO.get(e["source"], e["source"]),
            e["node"] or "",
            e["text"],
            e["evidence"] or "",
        )
        for e in data["timeline"]
    ]
    yield from _section(
        "Timeline", _table(("After first signal", "Source", "Node", "What", "Evidence"), rows)
    )
    yield from _section("Raw evidence", _evidence(data))


def plain(text: Any) -> str:
    """Return text that somebody else wrote so that none of it is Markdown, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def _section(heading: str, lines: Iterable[str]) -> Iterator[str]:
    if found := list(lines):
        yield from ("", f"## {heading}", "", *found)


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    cells = [[plain(cell) for cell in row] for row in rows]
    if not cells:
        return
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    yield from (f"| {' | '.join(row)} |" for row in cells)


def _diagnosis(data: Mapping[str, Any]) -> Iterator[str]:
    found = data["diagnosis"]
    if not found:
        return
    held = "every citation was checked" if found["verified"] else "**not verified, confidence lowered**"
    yield f"By {plain(found['by'])}, confidence {plain(found['confidence'])}; {held}."
    yield from ("", f"**Observation.** {plain(found['observation'])}")
    yield from ("", f"**Root cause.** {plain(found['root_cause'])}")
    yield from ("", f"**Kind.** {plain(what(found))}", "")
    for cited in found["evidence"]:
        link = f"[{plain(cited['id'])}](#{cited['id'].lower()})"
        yield f"- {plain(cited['claim'])} ({link}): “{plain(cited['quote'])}”"
    yield from ("", "Ruled out:", "")
    yield from (f"- {plain(cause)}: {plain(why)}" for cause, why in alternatives(found))
    if found.get("would_change"):
        yield from ("", f"What would change this: {plain(found['would_change'])}")
    yield from (f"- Problem: {plain(problem)}" for problem in found.get("problems") or ())


def _outcome(data: Mapping[str, Any]) -> Iterator[str]:
    prediction = data["prediction"]
    if prediction:
        yield f"Predicted: {plain(prediction['text'])}"
        rows = [
            (each["what"], each["predicted"], each["observed"], HELD[each["held"]])
            for each in prediction.get("compared") or ()
        ]
        yield from ("", *_table(("What", "Predicted", "Observed", "Verdict"), rows), "")
        if not rows:
            yield f"{HELD[prediction['held']]}."
    if said := conclusion(data):
        yield plain(said)


def _undo(data: Mapping[str, Any]) -> Iterator[str]:
    undo = data["undo"]
    if undo.get("text"):
        yield plain(undo["text"])
    for name in ("healed", "recovered", "restored"):
        if name in undo:
            yield f"- {name}: {figure(undo[name])}"
    if data["writes"]:
        yield f"- writes read back: {plain(', '.join(f'{k} {figure(v)}' for k, v in data['writes'].items()))}"


def _evidence(data: Mapping[str, Any]) -> Iterator[str]:
    for name, item in data["evidence"].items():
        yield from (f"### {name}", "", f"{plain(item['source'])} {plain(item['node'] or '')}".strip(), "")
        yield from (f"    {line}" for line in str(item["text"]).splitlines())
        yield ""
