"""A report as one HTML file: no script, nothing loaded, good in print and for screen readers."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from itertools import zip_longest
from pathlib import Path
from string import Template
from typing import Any

from tools.incidents.report_chart import Curve, Time, charts
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

Data = Mapping[str, Any]

_PAGE = Path(__file__).with_name("report.html")
NARROW = 45
"""Characters that a row may have to fit into a narrow window."""
_ID = re.compile(r"\b[A-Z]+\d+\b")
_FIGURE = re.compile(r"[+-]?[\d.,]+ [a-z%]+")
_CURVES = (
    Curve("ops_per_s", "Throughput", "operations/s", "--ops"),
    Curve("errors", "Failed operations", "a second", "--bad"),
    Curve("p99_ms", "Latency, p99", "ms", "--p99"),
)
CATCHING_UP = 1.25
"""A rate so many times the usual one is worth a word."""


def html(data: Data) -> str:
    """Return the report `data` (see tools.incidents.report) as a page; parts without content are left out."""
    return page(
        title(data),
        f"Incident {data['incident']} · {data['cluster']} · {State(data['state']).words} · {data['opened']}",
        [(name, heading, _linked(make(data), data)) for name, heading, make in SECTIONS],
        f"Seconds count from the first signal, {data['opened']} UTC. What was not measured is left out.",
    )


def _linked(made: str, data: Data) -> str:
    """Return HTML in which every evidence id in running text leads to that piece of evidence."""
    known = {*data["evidence"], *(entry["evidence"] for entry in data["timeline"] if entry["evidence"])}
    parts = re.split(
        r"(<a .*?</a>|<span id=.*?</span>|<pre>.*?</pre>|<h3>.*?</h3>|<svg .*?</svg>|<[^>]*>)",
        made,
        flags=re.DOTALL,
    )
    return "".join(
        part if n % 2 else _ID.sub(lambda id_: _link(id_[0]) if id_[0] in known else id_[0], part)
        for n, part in enumerate(parts)
    )


def _link(name: str) -> str:
    return f'<a href="#evidence-{escape(name)}">{escape(name)}</a>'


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
    """Return a table whose first column heads its rows; cells are HTML already. No columns: no head.

    A row of one cell heads those that follow.
    """
    # A narrow window shows cells one below the other, each with its column's name.
    names = [f' data-name="{escape(column)}"' for column in columns[1:]]
    made, given = "", list(rows)
    for first, *rest in given:
        if columns and not rest:
            made += f'</tbody><tbody><tr><th scope="rowgroup" colspan="{len(columns)}">{first}</th></tr>'
            continue
        cells = (f"<td{_kept(cell)}{n}>{cell}</td>" for n, cell in zip_longest(names, rest, fillvalue=""))
        made += f'<tr><th scope="row"{_kept(first)}>{first}</th>{"".join(cells)}</tr>'
    if not made:
        return ""
    heads = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    head = f"<thead><tr>{heads}</tr></thead>" if heads else ""
    # A part that scrolls must be reachable by keyboard, and have a name then.
    body = f"<tbody>{made}</tbody>".replace("<tbody></tbody>", "")
    kind = "" if columns else " class=facts"
    words = [column.split() for column in columns]
    if len(columns) > 2 and sum(max(map(len, each)) for each in _columns(given, words)) > NARROW:
        kind = " class=wide"
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table{kind}>'
        f"<caption>{escape(caption)}</caption>{head}{body}</table></div>"
    )


def _kept(cell: str) -> str:
    """Return the class of a cell that is one figure with its unit: its line is not broken."""
    return " class=n" if _FIGURE.fullmatch(cell) else ""


def _columns(rows: Sequence[Sequence[str]], heads: Sequence[Sequence[str]]) -> Iterable[list[str]]:
    """Yield what stands in each column and can't be broken: its cells, and the words of its head."""
    cells = zip_longest(*(row for row in rows if len(row) > 1), fillvalue="")
    return ([*column, *words] for column, words in zip(cells, heads, strict=True))


def escaped(rows: Iterable[Sequence[Any]]) -> list[list[str]]:
    """Return rows of text as cells for `table`."""
    return [[escape(str(cell)) for cell in row] for row in rows]


def _summary(data: Data) -> str:
    injected, until = data["injected"], data["marks"]["recovered"]
    nodes = [
        f"{each['name']} ({', '.join(str(each[part]) for part in ('role', 'version') if each[part])})"
        for each in data["topology"] or ()
    ]
    trigger = injected and f"{injected['kind']} on {', '.join(injected['nodes'])}, injected by operator"
    rows = (
        ("Severity", data["severity"]),
        ("Nodes", ", ".join(data["nodes"])),
        ("Cluster", f"{data['cluster']}: {', '.join(nodes)}" if nodes else ""),
        ("Began", _utc(data, 0.0, date=True)),
        ("Recovered", "" if until is None else _utc(data, until, date=True)),
        ("Trigger", trigger),
    )
    return _p(data["summary"]) + table("At a glance", (), escaped(row for row in rows if row[1]))


def _utc(data: Data, after_s: float, *, date: bool = False) -> str:
    """Return when that was, in UTC; the day only where it is not told beside it."""
    at = datetime.fromisoformat(data["opened"]) + timedelta(seconds=after_s)
    return f"{at:{'%Y-%m-%d ' if date else ''}%H:%M:%S}.{at.microsecond // 1000:03d}{' UTC' if date else ''}"


def _impact(data: Data) -> str:
    return table("What clients felt", ("What", "Figure"), escaped(impact(data)))


def _over_time(data: Data) -> str:
    times = [(words, seconds(at), _utc(data, at)) for words, at in in_order(data["marks"])]
    return "\n".join(
        (
            table("When it happened", ("Mark", "After first signal", "UTC"), escaped(times)),
            _figures(data),
            table(
                "The load before, during and after",
                ("Span", *(words for _, words in LOAD_COLUMNS)),
                escaped(load(data)),
            ),
            _seconds(data["windows"]),
        )
    )


def _figures(data: Data) -> str:
    if not data["windows"] or not (time := Time.of(data)).windows:
        return ""
    drawn = "".join(
        f"<figure><figcaption>{escape(curve.title)}, {escape(curve.unit)}</figcaption>{svg}</figure>"
        for curve in _CURVES
        if (svg := charts(time, curve))
    )
    return drawn + _p(" ".join(_legend(data, time)), "quiet") if drawn else ""


def _legend(data: Data, time: Time) -> Iterable[str]:
    """Yield what the marks, the shade, gaps and peaks in the charts are."""
    yield "Seconds after the first signal. Dashed lines: "
    yield (
        "; ".join(f"{n} {', '.join(names)} ({seconds(at)})" for n, (at, names) in enumerate(time.marks, 1))
        + "."
    )
    if time.outages:
        yield "Shaded: operations failed, or none succeeded."
    if any(window["p99_ms"] is None for window in time.windows):
        yield "Where the latency has a gap no operation succeeded."
    usual = (data["load"].get("before") or {}).get("ops_per_s")
    if usual:
        rates = [w["ops_per_s"] for w in time.windows if w["whole"] and w["seconds"] > 0]
        held_up = next((n for n, rate in enumerate(rates) if rate < usual / CATCHING_UP), len(rates))
        if max(rates[held_up:], default=0.0) > usual * CATCHING_UP:
            yield "The peak afterwards is the load catching up with the operations that had to wait."


def _seconds(windows: Sequence[Data]) -> str:
    if not windows:
        return ""
    names = ("seconds", "operations", "errors", "p50_ms", "p99_ms")
    rows = [[figure(window[name]) for name in names] for window in windows]
    rows_of = table(
        "The load second by second", ("Second", "Operations", "Failed", "p50 ms", "p99 ms"), escaped(rows)
    )
    return f"<details><summary>The {len(windows)} seconds one by one</summary>{rows_of}</details>"


def _knew(data: Data) -> str:
    return table(
        "Detection by source", ("Who", "After first signal", "How"), escaped(knew(data["who_knew_when"]))
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
    parts = [
        f"<p>By {escape(found['by'])}, confidence {escape(found['confidence'])}; {held}.</p>",
        table(
            "Conclusion",
            (),
            escaped(
                (
                    ("Root cause", found["root_cause"]),
                    ("Observation", found["observation"]),
                    ("Kind", what(found)),
                    ("What would change it", found.get("would_change") or "–"),
                )
            ),
        ),
        "<h3>What it rests on</h3>",
        _claims(found["evidence"]),
        table("Ruled out", ("Another cause", "Ruled out by"), escaped(alternatives(found))),
    ]
    problems = found.get("problems") or ()
    if problems:
        items = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
        parts.append(f'<h3>What did not hold</h3><ul class="bad">{items}</ul>')
    return "\n".join(parts)


def _claims(cited: Sequence[Data]) -> str:
    items = [
        f"<li>{escape(claim['claim'])} ({escape(claim['id'])})<details><summary>quotation</summary>"
        f"<blockquote>{escape(claim['quote'])}</blockquote></details></li>"
        for claim in cited
    ]
    return f'<ol class="claims">{"".join(items)}</ol>'


def _outcome(data: Data) -> str:
    parts = []
    if prediction := data["prediction"]:
        parts.append(_p(prediction["text"]))
        rows = [
            [
                *map(escape, (each["what"], each["predicted"], each["observed"])),
                _held(each["held"]),
            ]
            for each in prediction.get("compared") or ()
        ]
        parts.append(table("Predicted, and observed", ("What", "Predicted", "Observed", "Verdict"), rows))
        if not rows:
            parts.append(f"<p>{_held(prediction['held'])}</p>")
    if said := conclusion(data):
        parts.append(_p(said))
    return "".join(parts)


def _held(held: bool | None) -> str:
    kind = {True: '<span class="good">✓ {}</span>', False: '<span class="bad">✗ {}</span>'}.get(held, "{}")  # type: ignore[arg-type]
    return kind.format(HELD[held])


def _undo(data: Data) -> str:
    undo = data["undo"]
    said = [f"{undo['text'].rstrip('.')}."] if undo.get("text") else []
    for found, words in ((True, "Verified after the heal"), (False, "NOT verified")):
        if names := [name for name in ("healed", "recovered", "restored") if undo.get(name) is found]:
            said.append(f"{words}: {', '.join(names)}.")
    return _p(" ".join(said)) if said else ""


def _timeline(data: Data) -> str:
    """Return the timeline by phases; the same seen again in a phase is one row."""
    rows = []
    for phase, entries in _phases(data):
        rows.append([escape(phase)])
        for entry, again in _merged(entries):
            names = [each["evidence"] for each in (entry, *again) if each["evidence"]]
            times = f" ({len(again)} more until {seconds(again[-1]['seconds'])})" if again else ""
            ids = ", ".join(
                escape(name)
                if name in data["evidence"]
                else f'<span id="evidence-{escape(name)}">{escape(name)}</span>'
                for name in dict.fromkeys(names)
            )
            at, who = entry["seconds"], (WHO.get(entry["source"], entry["source"]), entry["text"] + times)
            rows.append([*map(escape, (seconds(at), _utc(data, at), *who)), ids])
    columns = ("After first signal", "UTC", "Source", "What", "Evidence")
    return table("In order of time", columns, rows)


def _phases(data: Data) -> Iterable[tuple[str, list[Data]]]:
    """Yield the timeline's entries before the detection, until the heal, until the recovery, and after."""
    marks = data["marks"]
    ends = sorted(
        (at, name) for name in ("detected", "healed", "recovered") if (at := marks[name]) is not None
    )
    names = {
        "detected": "Until it was detected",
        "healed": "Until it was healed",
        "recovered": "Until it recovered",
    }
    rest = list(data["timeline"])
    for at, name in ends:
        phase = [entry for entry in rest if entry["seconds"] <= at]
        rest = rest[len(phase) :]
        if phase:
            yield names[name], phase
    if rest:
        yield "Afterwards" if ends else "So far", rest


def _merged(timeline: Sequence[Data]) -> Iterable[tuple[Data, list[Data]]]:
    """Yield each entry with those that say the same later: of one source, node, kind and port."""
    same: dict[tuple[str, ...], list[Data]] = {}
    for entry in timeline:
        about = str(entry["text"]).partition(":")[0]
        same.setdefault((entry["source"], entry["node"] or "", entry["kind"], about), []).append(entry)
    return ((entries[0], entries[1:]) for entries in same.values())


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
        f"{_p(', '.join(str(item[part]) for part in ('source', 'node') if item[part]), 'quiet')}"
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
