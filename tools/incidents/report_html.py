"""A report as one HTML file: no script, nothing loaded, good in print and for screen readers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from tools.incidents.report_chart import chart
from tools.incidents.report_words import (
    IMPACT,
    LOAD_COLUMNS,
    MARKS,
    alternatives,
    conclusion,
    figure,
    seconds,
)

Data = Mapping[str, Any]

_PAGE = Path(__file__).with_name("report.html")


def html(data: Data) -> str:
    """Return the report `data` (see tools.incidents.report) as a page."""
    sections = [(name, title, make(data)) for name, title, make in SECTIONS]
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title, _ in sections)
    body = "\n".join(
        f'<section aria-labelledby="{name}">\n<h2 id="{name}">{title}</h2>\n'
        f"{made or '<p>Nothing is recorded.</p>'}\n</section>"
        for name, title, made in sections
    )
    nodes = ", ".join(data["nodes"]) or "none"
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        incident=escape(data["incident"]),
        where=escape(f"Cluster {data['cluster']}, nodes {nodes}, {data['state']}"),
        opened=escape(data["opened"]),
        sections=links,
        body=body,
    )


def _p(text: Any, kind: str = "") -> str:
    return f"<p{f' class={kind}' if kind else ''}>{escape(str(text))}</p>"


def _table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose first column heads its rows; cells are HTML already. No columns: no head."""
    made = "".join(
        f'<tr><th scope="row">{row[0]}</th>{"".join(f"<td>{cell}</td>" for cell in row[1:])}</tr>'
        for row in rows
    )
    if not made:
        return ""
    heads = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    head = f"<thead><tr>{heads}</tr></thead>" if heads else ""
    # A part that scrolls must be reachable by keyboard, and have a name then.
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table{' class=wide' if len(columns) > 3 else ''}>"
        f"<caption>{escape(caption)}</caption>{head}<tbody>{made}</tbody></table></div>"
    )


def _escaped(rows: Iterable[Sequence[Any]]) -> list[list[str]]:
    return [[escape(str(cell)) for cell in row] for row in rows]


def _summary(data: Data) -> str:
    return _p(data["summary"])


def _impact(data: Data) -> str:
    rows = [(title, figure(data["impact"][name], unit)) for name, title, unit in IMPACT]
    return _table("What clients felt", ("What", "Figure"), _escaped(rows))


def _over_time(data: Data) -> str:
    marks = [(title, seconds(data["marks"][name])) for name, title in MARKS]
    load = [
        (name, *(figure(values.get(key)) for key, _ in LOAD_COLUMNS)) for name, values in data["load"].items()
    ]
    return "\n".join(
        (
            _table("When it happened", ("Mark", "After first signal"), _escaped(marks)),
            _figure(chart(data, "ops_per_s", "Throughput", "operations/s", "--ops")),
            _figure(chart(data, "p99_ms", "Latency, p99", "ms", "--p99")),
            _table("The load in sum", ("Span", *(title for _, title in LOAD_COLUMNS)), _escaped(load)),
            _seconds(data["windows"]),
        )
    )


def _figure(svg: str) -> str:
    if not svg:
        return ""
    return f'<figure><div class="scroll" tabindex="0" role="region" aria-label="Chart">{svg}</div></figure>'


def _seconds(windows: Sequence[Data]) -> str:
    if not windows:
        return ""
    names = ("seconds", "operations", "errors", "p50_ms", "p99_ms")
    rows = [[figure(window[name]) for name in names] for window in windows]
    table = _table(
        "The load second by second", ("Second", "Operations", "Failed", "p50 ms", "p99 ms"), _escaped(rows)
    )
    return f"<details><summary>The {len(windows)} seconds one by one</summary>{table}</details>"


def _knew(data: Data) -> str:
    rows = [
        (row["who"], seconds(row["seconds"]), "yes" if row["measured"] else "no, by definition", row["how"])
        for row in data["who_knew_when"]
    ]
    return _table(
        "Who could have told you, and when", ("Who", "After first signal", "Measured", "How"), _escaped(rows)
    )


def _diagnosis(data: Data) -> str:
    found = data["diagnosis"]
    if not found:
        return ""
    held = (
        '<span class="good">✓ every citation was checked</span>'
        if found["verified"]
        else '<span class="bad">✗ not verified, confidence lowered</span>'
    )
    nodes = ", ".join(found.get("nodes") or ()) or "no node"
    parts = [
        f"<p>By {escape(found['by'])}, confidence {escape(found['confidence'])}; {held}.</p>",
        _table(
            "Conclusion",
            (),
            _escaped(
                (
                    ("Observation", found["observation"]),
                    ("Root cause", found["root_cause"]),
                    ("Kind", f"{found['kind']} of {nodes}"),
                    ("What would change it", found.get("would_change") or "–"),
                )
            ),
        ),
        "<h3>What it rests on</h3>",
        _claims(found["evidence"], data["evidence"]),
        _table("Ruled out", ("Another cause", "What speaks against it"), _escaped(alternatives(found))),
    ]
    problems = found.get("problems") or ()
    if problems:
        items = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
        parts.append(f'<h3>What did not hold</h3><ul class="bad">{items}</ul>')
    return "\n".join(parts)


def _claims(cited: Sequence[Data], raw: Data) -> str:
    items = []
    for claim in cited:
        name = escape(claim["id"])
        link = f'<a href="#evidence-{name}">{name}</a>' if claim["id"] in raw else name
        items.append(
            f"<li>{escape(claim['claim'])} ({link})<blockquote>{escape(claim['quote'])}</blockquote></li>"
        )
    return f'<ol class="claims">{"".join(items)}</ol>'


def _outcome(data: Data) -> str:
    parts = []
    if prediction := data["prediction"]:
        held = prediction["held"]
        word = {
            True: '<span class="good">✓ it held</span>',
            False: '<span class="bad">✗ it did not hold</span>',
        }
        parts.append(f"<p>Predicted: {escape(prediction['text'])}</p><p>{word.get(held, 'not measured')}</p>")
    if said := conclusion(data):
        parts.append(_p(said))
    return "".join(parts)


def _undo(data: Data) -> str:
    undo, writes = data["undo"], data["writes"]
    text = _p(undo["text"]) if undo.get("text") else ""
    rows = [(name, figure(undo[name])) for name in ("healed", "recovered", "restored") if name in undo]
    rows += [(f"writes: {name}", figure(value)) for name, value in (writes or {}).items()]
    return text + _table("What was checked after the heal", ("What", "Found"), _escaped(rows))


def _next(data: Data) -> str:
    items = "".join(f"<li>{escape(step)}</li>" for step in data["next"])
    return f"<ol>{items}</ol>" if items else ""


def _timeline(data: Data) -> str:
    rows = []
    for entry in data["timeline"]:
        name = escape(entry["evidence"] or "")
        link = f'<a href="#evidence-{name}">{name}</a>' if entry["evidence"] in data["evidence"] else name
        cells = _escaped([(seconds(entry["seconds"]), entry["source"], entry["node"] or "", entry["text"])])[
            0
        ]
        rows.append([*cells, link])
    return _table("In order of time", ("After first signal", "Source", "Node", "What", "Evidence"), rows)


def _evidence(data: Data) -> str:
    return "\n".join(
        f'<article id="evidence-{escape(name)}"><h3>{escape(name)}</h3>'
        f"{_p(' '.join(str(item[part]) for part in ('source', 'node') if item[part]), 'quiet')}"
        f"<pre>{escape(str(item['text']))}</pre></article>"
        for name, item in data["evidence"].items()
    )


SECTIONS: tuple[tuple[str, str, Callable[[Data], str]], ...] = (
    ("summary", "Summary", _summary),
    ("impact", "Impact", _impact),
    ("over-time", "Over time", _over_time),
    ("who-knew-when", "Who knew when", _knew),
    ("diagnosis", "Diagnosis", _diagnosis),
    ("prediction", "Prediction and outcome", _outcome),
    ("undo", "Proof of the undo", _undo),
    ("next", "What to do next", _next),
    ("timeline", "Timeline", _timeline),
    ("evidence", "Raw evidence", _evidence),
)
