"""Which question is asked: by a table of how people word each (questions.txt), once typos are mended."""

import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path

_ELSEWHERE = re.compile(
    r"\b(?:kafka|postgres\w*|mysql|redis|mongo\w*|cassandra|kubernetes|k8s|paxos|zookeeper|in general|"
    r"usually|typically|normally|theory|compare|versus|vs|tutorial|joke|poem|story|weather|code|script)\b"
)
"""Words of questions that no record of an incident answers."""
_PART = re.compile(
    r"(?:[?!]+|;) +|[?!]+$|(?:,| -+)? (?:and|also) (?=(?:how|what|who|why|when|was|were|did|is)\b)"
)
_SHORT = {"whats": "what is", "what's": "what is", "whos": "who is", "who's": "who is", "wat": "what"}
_LEAD = re.compile(
    r"^(?:(?:please|so|ok|okay|and|but|then|hey|well|can you|could you|tell me|show me|give me) )+"
)


def understand(text: str) -> tuple[str, ...]:
    """Return the questions that `text` asks, each by its name; empty if any part is not understood."""
    folded = " ".join(text.lower().replace("\u2019", "'").split())
    if _ELSEWHERE.search(folded):
        return ()
    found = [_one(part) for part in _PART.split(folded) if part.strip(" ,.")]
    return () if None in found else tuple(dict.fromkeys(name for name in found if name))


def _one(part: str) -> str | None:
    said = (_SHORT.get(word, word) for word in re.findall(r"[a-z0-9_'-]+", part.replace("tl;dr", "tldr")))
    words = " ".join(_mended(word) for word in said)
    return next(
        (
            name
            for name, pattern in _table()
            if pattern.fullmatch(words) or pattern.fullmatch(_LEAD.sub("", words))
        ),
        None,
    )


def _mended(word: str) -> str:
    """Return the word of the table that `word` is a typo of; else itself."""
    if len(word) < 5 or word in _vocabulary() or not word.isalpha():
        return word
    return next(iter(get_close_matches(word, _vocabulary(), 1, 0.84)), word)


@cache
def _table() -> tuple[tuple[str, re.Pattern[str]], ...]:
    name, patterns = "", dict[str, list[str]]()
    for line in Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            name = line.strip("[]")
        elif line and not line.startswith("#"):
            patterns.setdefault(name, []).append(line)
    return tuple((name, re.compile("|".join(lines))) for name, lines in patterns.items())


@cache
def _vocabulary() -> frozenset[str]:
    return frozenset(word for _, pattern in _table() for word in re.findall(r"[a-z]{5,}", pattern.pattern))
