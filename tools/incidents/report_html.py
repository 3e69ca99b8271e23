"""A report as one HTML file: no script, nothing loaded, good in print and for screen readers."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import groupby, zip_longest
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
    """Return the report `data` (see tools.incidents.report) as a page; parts without content are left out."""
    nodes = ", ".join(data["nodes"]) or "none"
    return page(
        title(data),
        f"Incident {data['incident']} · cluster {data['cluster']} · nodes {nodes} · {data['state']} · "
        f"opened {data['opened']}",
        [(name, heading, make(data)) for name, heading, make in SECTIONS],
        f"Seconds count from the first signal, {data['opened']}. What was not measured is left out.",
    )


def title(data: Data) -> str:
    """Return the incident in a line: what happened, and what it cost clients where that was measured."""
    impact = data["impact"]
    costs = [
        (impact["seconds_with_errors"], "{:,} s with errors"),
        (impact["failed_operations"], "{:,} failed operations"),
        (impact["acknowledged_writes_lost"], "{:,} acknowledged writes lost"),
    ]
    measured = ", ".join(words.format(value) for value, words in costs if value is not None)
    text: str = data["text"]
    return f"{text} · {measured}" if measured else text


def page(heading: str, where: str, sections: Iterable[tuple[str, str, str]], footer: str) -> str:
    """Return a page of sections (its anchor, its title, its HTML); those without content are left out."""
    kept = [each for each in sections if each[2]]
    links = "".join(f'<li><a href="#{name}">{escape(text)}</a></li>' for name, text, _ in kept)
    body = "\n".join(
        f'<section aria-labelledby="{name}">\n<h2 id="{name}">{escape(text)}</h2>\n{made}\n</section>'
        for name, text, made in kept
    )
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(heading), where=escape(where), sections=links, body=body, footer=escape(footer)
    )


def _p(text: Any, kind: str = "") -> str:
    return f"<p{f' class={kind}' if kind else ''}>{escape(str(text))}</p>"


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose first column heads its rows; cells are HTML already. No columns: no head."""
    # A narrow window shows cells one below the other, each with its column's name.
    names = [f' data-name="{escape(column)}"' for column in columns[1:]]
    made = ""
    for first, *rest in rows:
        cells = (f"<td{name}>{cell}</td>" for name, cell in zip_longest(names, rest, fillvalue=""))
        made += f'<tr><th scope="row">{first}</th>{"".join(cells)}</tr>'
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
    measured = {name: value for name, value in data["impact"].items() if value is not None}
    if not measured["came_back"]:
        del measured["came_back"]
    rows = [(title, figure(measured[name], unit)) for name, title, unit in IMPACT if name in measured]
    return table("What clients felt", ("What", "Figure"), _escaped(rows))


def _over_time(data: Data) -> str:
    marks = [(title, seconds(value)) for name, title in MARKS if (value := data["marks"][name]) is not None]
    load = [
        (name, *(figure(values.get(key)) for key, _ in LOAD_COLUMNS))
        for name, values in data["load"].items()
        if any(values.get(key) is not None for key, _ in LOAD_COLUMNS)
    ]
    return "\n".join(
        (
            table("When it happened", ("Mark", "After first signal"), _escaped(marks)),
            _figure(chart(data, "ops_per_s", "Throughput", "operations/s", "--ops")),
            _figure(chart(data, "p99_ms", "Latency, p99", "ms", "--p99")),
            table("The load in sum", ("Span", *(title for _, title in LOAD_COLUMNS)), _escaped(load)),
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
    rows_of = table(
        "The load second by second", ("Second", "Operations", "Failed", "p50 ms", "p99 ms"), _escaped(rows)
    )
    return f"<details><summary>The {len(windows)} seconds one by one</summary>{rows_of}</details>"


def _knew(data: Data) -> str:
    rows = [
        (row["who"], seconds(row["seconds"]), "yes" if row["measured"] else "no, by definition", row["how"])
        for row in data["who_knew_when"]
    ]
    return table("Detection by source", ("Who", "After first signal", "Measured", "How"), _escaped(rows))


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
        table(
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
        table("Ruled out", ("Another cause", "Ruled out by"), _escaped(alternatives(found))),
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
            f"<li>{escape(claim['claim'])} ({link})<details><summary>quotation</summary>"
            f"<blockquote>{escape(claim['quote'])}</blockquote></details></li>"
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
    return text + table("What was checked after the heal", ("What", "Found"), _escaped(rows))


def _timeline(data: Data) -> str:
    rows = []
    for entry, times in _merged(data["timeline"]):
        name = escape(entry["evidence"] or "")
        link = f'<a href="#evidence-{name}">{name}</a>' if entry["evidence"] in data["evidence"] else name
        cells = _escaped(
            [(seconds(entry["seconds"]), entry["source"], entry["node"] or "", entry["text"] + times)]
        )[0]
        rows.append([*cells, link])
    return table("In order of time", ("After first signal", "Source", "Node", "What", "Evidence"), rows)


def _merged(timeline: Sequence[Data]) -> Iterator[tuple[Data, str]]:
    """Yield each entry with how often the same followed at once, as ` (3 times)`."""
    same = groupby(timeline, key=lambda entry: (entry["source"], entry["node"], entry["text"]))
    for _, group in same:
        entries = list(group)
        yield entries[0], f" ({len(entries)} times)" if len(entries) > 1 else ""


def _postmortem(data: Data) -> str:
    """Return what only people can say, as fields that can be typed into before the page is saved."""
    asked = ("Contributing factors", "What went well", "What went badly")
    blank = '<span class="blank" contenteditable role="textbox" aria-label="{}"></span>'
    rows = [[escape(text), blank.format(escape(text))] for text in asked]
    actions = [[escape(step), blank.format("owner"), blank.format("priority")] for step in data["next"]]
    return table("To be filled in", (), rows) + table("Actions", ("Action", "Owner", "Priority"), actions)


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
    ("postmortem", "For the postmortem", _postmortem),
    ("timeline", "Timeline", _timeline),
    ("evidence", "Raw evidence", _evidence),
)
