"""Figures and lists of results in words. What was not measured is not mentioned."""

from collections.abc import Iterable, Mapping
from typing import Any


def given(**arguments: Any) -> Mapping[str, Any]:
    """Return the arguments that were said."""
    return {name: value for name, value in arguments.items() if value is not None}


def seconds(value: Any) -> str:
    """Return a time, e.g. `40 ms`, `12 s`, `20 min` or `9 h`; an empty text for what is no number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return ""
    if abs(value) < 0.1:
        return f"{round(value * 1000)} ms"
    if abs(value) >= 7200:
        return f"{value / 3600:,.1f}".removesuffix(".0") + " h"
    if abs(value) >= 120:
        return f"{value / 60:.3g} min"
    return f"{value:.2f} s" if abs(value) < 10 else f"{value:.0f} s"


def load(figures: Any) -> str:
    """Return the figures of a load, as a tool returned them, in words: `300 operations/s, p99 6.1 ms`."""
    if not isinstance(figures, Mapping):
        return ""
    parts = []
    if (rate := figures.get("ops_per_s")) is not None:
        parts.append(f"{rate:.0f} operations/s")
    parts += [
        f"{name[:-3]} {figures[name]:.1f} ms" for name in ("p50_ms", "p99_ms") if _measured(figures, name)
    ]
    if _measured(figures, "errors"):
        parts.append(count(figures["errors"], "error"))
    return ", ".join(parts)


def count(number: Any, noun: str) -> str:
    """Return `no errors`, `1 error`, `3 errors`, `4,035 errors`."""
    shown = f"{number:,}" if isinstance(number, int) and number else number or "no"
    return f"{shown} {noun}{'' if number == 1 else 's'}"


def listed(items: Iterable[Any]) -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    texts = [str(item) for item in items]
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)


def sentence(text: Any) -> str:
    """Return `text` with a full stop at its end, or nothing if there is none."""
    found = str(text or "").strip()
    return found if not found or found[-1] in ".!?…" else f"{found}."


def cited(text: str, evidence: str | None) -> str:
    """Return `text` with the evidence's id at the end of its first sentence: `It is down (E7).`"""
    if not evidence:
        return text
    first, dot, rest = text.partition(". ")
    if dot and "\n" not in first:
        return f"{first} ({evidence}). {rest}"
    return f"{text[:-1]} ({evidence})." if text.endswith(".") else f"{text} ({evidence})"


def joined(*sentences: str) -> str:
    """Return the sentences that say something, one after another."""
    return " ".join(part for part in sentences if part)


def _measured(figures: Mapping[str, Any], name: str) -> bool:
    return isinstance(figures.get(name), int | float)
