"""A field case: a small program that makes an incident happen, and what operator must say of it."""

import functools
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.field.members import Members
from tests.field.watching import Line, Watch

SETTLE_S = 12.0
"""For a diagnosis to come, and to be revised."""


@dataclass(frozen=True)
class Say:
    """What operator must say; node names are filled in by the case."""

    kinds: Sequence[str] = ()
    """Any of these; none: no incident may be opened."""
    unknown: bool = False
    """Whether `unknown`, with a reason, is all that can be known from outside."""
    within_s: float = 5.0
    """From the incident to its first detection."""
    node: bool = True
    """Whether the diagnosis must name the nodes of `Field.nodes`, and no other."""
    confidence: Sequence[str] = ("high", "medium", "low")
    advice: str = ""
    """A pattern that its advice or its cause must have."""
    never: str = ""
    """A pattern that must occur in nothing that it says."""
    says: str = ""
    """A pattern that must occur in something that it says."""
    states: Sequence[str] = ("degraded",)
    """The cluster's state once it has settled: any of these."""
    refuses: int | None = None
    """The exit code, for what can't be watched at all."""


@dataclass
class Field:
    """What one case works with."""

    folder: Path
    say: Say
    nodes: list[str] = field(default_factory=list)
    """The nodes that a diagnosis must name."""
    at: float = 0.0
    """Monotonic time of the incident."""
    truths: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    """What operator printed from the incident on."""
    earlier: list[Line] = field(default_factory=list)
    """What it printed before."""
    detected_s: float | None = None
    state: str | None = None
    code: int | None = None
    stderr: str = ""
    _clusters: int = 0

    def members(self, count: int = 3, **options: Any) -> Members:
        """Return a cluster to be started with `with`."""
        self._clusters += 1
        return Members(self.folder / f"c{self._clusters}", count, **options)

    @contextmanager
    def watching(
        self,
        endpoints: str | Members,
        *,
        settle_s: float = SETTLE_S,
        options: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
    ) -> Iterator[Watch]:
        """Watch, and gather afterwards what was said; waits for the diagnosis of what happened."""
        urls = endpoints if isinstance(endpoints, str) else endpoints.endpoints
        with Watch(urls, self.folder, options=options, environ=environ, before=before) as watch:
            self.at = time.monotonic()
            if self.say.refuses is None:
                yield watch
                self._settle(watch, settle_s)
            else:
                yield watch
            result = watch.end()
        self.lines = [line for at, line in watch.lines if at >= self.at]
        self.earlier = [line for at, line in watch.lines if at < self.at]
        self.detected_s = watch.seconds_to("detection", self.at)
        seen = [line["state"] for line in watch.of("progress")]
        self.state = result.get("state") or (seen[-1] if seen else None)
        self.code, self.stderr = watch.code, watch.stderr

    def happens(self, *nodes: str, at: float | None = None) -> None:
        """Note that the incident happens now (or happened at monotonic `at`), to these nodes."""
        self.at = time.monotonic() if at is None else at
        self.nodes = list(nodes)

    def truth(self, text: str, *, holds: bool) -> None:
        """Hold that the incident really is what it should be; a case that isn't counts for nothing."""
        if not holds:
            raise NotMade(f"it was not true that {text}")
        self.truths.append(text)

    def _settle(self, watch: Watch, settle_s: float) -> None:
        """Wait for what can still be said: all the time where nothing may be, else until a diagnosis fits."""
        if not self.say.kinds:
            watch.until(lambda line: line["type"] in {"diagnosis", "result"}, settle_s, self.at)
            return
        wanted = set(self.say.kinds)
        watch.until(
            lambda line: line["type"] == "diagnosis" and line["diagnosis"]["kind"] in wanted,
            settle_s,
            self.at,
        )


class NotMade(Exception):
    """The incident could not be made to happen: nothing is said of operator."""


Program = Callable[[Field], None]


@dataclass(frozen=True)
class Case:
    """One entry of the catalogue."""

    name: str
    doc: str
    say: Say
    origins: Sequence[str]
    """Public reports: owner/repository#number."""
    quick: bool
    """Whether it belongs to `make test`."""
    module: str
    program: Program


CASES: dict[str, Case] = {}


def case(say: Say, *origins: str, quick: bool = False) -> Callable[[Program], Program]:
    """Put a program into the catalogue, under its own name; its docstring says what happens."""

    def add(program: Program) -> Program:
        doc = (program.__doc__ or "").strip()
        name = program.__name__.replace("_", "-")
        CASES[name] = Case(name, doc, say, origins, quick, program.__module__.rpartition(".")[2], program)
        return program

    return add


@dataclass(frozen=True)
class Verdict:
    """What became of one case."""

    case: Case
    outcome: str
    """right, unknown, wrong, wrong_high (with high confidence), not_here or not_made."""
    missed: Sequence[str]
    """What operator should have said and didn't, or said and shouldn't have."""
    said: str
    detected_s: float | None
    took_s: float

    def as_json(self) -> dict[str, Any]:
        """Return it as the score has it."""
        return {
            "case": self.case.name,
            "room": self.case.module,
            "outcome": self.outcome,
            "missed": list(self.missed),
            "said": self.said,
            "detected_s": None if self.detected_s is None else round(self.detected_s, 3),
            "took_s": round(self.took_s, 1),
            "origins": list(self.case.origins),
        }


def run(chosen: Case) -> Verdict:
    """Run one case in a folder of its own and judge what operator said."""
    from tests.field.members import NotHere

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="field-") as folder:
        made = Field(Path(folder), chosen.say)
        try:
            chosen.program(made)
        except NotHere as error:
            return Verdict(chosen, "not_here", (str(error),), "", None, time.monotonic() - began)
        except (NotMade, AssertionError, OSError) as error:
            return Verdict(chosen, "not_made", (str(error),), "", None, time.monotonic() - began)
    outcome, missed = judge(made)
    return Verdict(chosen, outcome, missed, _said(made), made.detected_s, time.monotonic() - began)


def judge(made: Field) -> tuple[str, list[str]]:
    """Hold what was said against what must be said."""
    say = made.say
    found = _diagnosis(made)
    text = "\n".join([*map(_text, [*made.earlier, *made.lines]), made.stderr])
    missed = []
    false = bool(say.never and re.search(say.never, text, re.IGNORECASE))
    if false:
        missed.append(f"said what is not so: {say.never}")
    if say.says and not re.search(say.says, text, re.IGNORECASE):
        missed.append(f"never said {say.says}")
    if say.refuses is not None:
        if made.code != say.refuses:
            missed.append(f"exit code {made.code}, not {say.refuses}")
        if "Traceback" in text:
            missed.append("a traceback")
        return ("wrong" if missed else "right"), missed
    if made.state not in say.states:
        missed.append(f"state {made.state}, not {' or '.join(say.states)}")
    if not say.kinds:
        if made.detected_s is not None:
            missed.append(f"a false alarm after {made.detected_s:.1f} s")
        high = found is not None and found["confidence"] == "high"
        return _outcome(missed, high=high and made.detected_s is not None), missed
    if made.detected_s is None:
        missed.append("not detected")
    elif made.detected_s > say.within_s:
        missed.append(f"detected after {made.detected_s:.1f} s, not {say.within_s:.1f}")
    if found is None:
        missed.append("no diagnosis")
        return "wrong", missed
    kind_wrong = found["kind"] not in say.kinds
    if kind_wrong:
        missed.append(f"kind {found['kind']}, not {' or '.join(say.kinds)}")
    named = set(found["nodes"] or ([found["node"]] if found["node"] else []))
    node_wrong = say.node and named != set(made.nodes)
    if node_wrong:
        missed.append(
            f"nodes {', '.join(sorted(named)) or 'none'}, not {', '.join(sorted(made.nodes)) or 'none'}"
        )
    if found["confidence"] not in say.confidence:
        missed.append(f"confidence {found['confidence']}, not {' or '.join(say.confidence)}")
    advised = " ".join([found["root_cause"], *found["suggested_actions"]])
    if say.advice and not re.search(say.advice, advised, re.IGNORECASE):
        missed.append(f"advice without {say.advice}")
    if missed and found["kind"] == "unknown" and not false and found["root_cause"]:
        return "unknown", missed
    over = found["confidence"] == "high" and "high" not in say.confidence
    return _outcome(
        missed, high=over or (found["confidence"] == "high" and (kind_wrong or node_wrong or false))
    ), missed


def _outcome(missed: Sequence[str], *, high: bool) -> str:
    if not missed:
        return "right"
    return "wrong_high" if high else "wrong"


def _diagnosis(made: Field) -> dict[str, Any] | None:
    """Return the last word on what happened: a diagnosis may have been revised."""
    found = [line["diagnosis"] for line in made.lines if line["type"] == "diagnosis"]
    return found[-1] if found else None


@functools.singledispatch
def _text(line: Any) -> str:
    return str(line)


@_text.register
def _(line: dict) -> str:  # type: ignore[type-arg]
    """Return what a line says to a reader: causes that were ruled out are not said to be so."""
    if line.get("type") == "diagnosis":
        told = line["diagnosis"]
        return " ".join([told["observation"], told["root_cause"], *told["suggested_actions"]])
    return " ".join(str(line.get(key, "")) for key in ("text", "raw", "error"))


def _said(made: Field) -> str:
    found = _diagnosis(made)
    told = (
        ""
        if found is None
        else f"{found['kind']}/{found['confidence']} {','.join(found['nodes'])}: {found['root_cause']}"
    )
    detected = [line["text"] for line in made.lines if line["type"] == "detection"]
    notices = [line["text"] for line in [*made.earlier, *made.lines] if line["type"] in {"notice", "error"}]
    return " | ".join(part for part in (told, *detected[:2], *notices[:2], f"state {made.state}") if part)[
        :600
    ]
