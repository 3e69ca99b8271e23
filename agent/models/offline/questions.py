"""Which question is asked: by a table of how people word each (questions.txt), once typos are mended."""

import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from agent.orders import normalized

_ELSEWHERE = re.compile(
    r"\b(?:kafka|postgres\w*|mysql|redis|mongo\w*|cassandra|kubernetes|k8s|paxos|zookeeper|in general|"
    r"usually|typically|normally|theory|compared? (?:to|with)|versus|vs|tutorial|joke|poem|"
    r"(?:a|your) story|weather|(?<!exit )code|script|what if|what happens (?:if|when)|would happen|"
    r"if .*(?:dies|died|fails|failed|crashe[sd]|goes down|went down|had)|suppos(?:e|ing)|assum(?:e|ing)|"
    r"imagine|hypothetical\w*|(?:lose|losing|survive) (?:another|one more|a second|two)|tolerate|maintenance|"
    r"(?:is|was|be) it safe to|how many (?:\w+ )?(?:can|could|may|must|do (?:i|we) need)|"
    r"how (?:long|often|fast|quickly|soon|many \w+) (?:does|do|would|will|should|can|could|may)|"
    r"would (?:i|we|you|it|they|the \w+) (?:\w+ )?(?:los[et]|(?:surviv|recover|elect|fail|stall)\w*)|"
    r"would (?:an?|another) \w+|how (?:would|do|does|can|could) (?:i|we|you|it|one) "
    r"(?:detect|notice|see|find|diagnose|tell) an?|when will|will (?:it|we|you|they|the \w+|this|clients)|"
    r"(?:not|never|no more|should (?:i|we)|can (?:i|we|you)|could (?:i|we|you)) (?:please )?"
    r"(?:kill|pause|break|inject|partition|isolate|stop|crash)\w*)\b|n't (?:kill|pause|break|inject|stop)"
)
"""What no record of an incident answers: other subjects, and what has not happened."""
_BEGINS = r"(?=(?:how|what|who|which|why|when|where|was|were|did|is|are|could)\b)"
_PART = re.compile(rf"(?:[?!]+|[;.]) +|[?!]+$|(?:,| -+)? (?:and|also) {_BEGINS}")
_LISTED = re.compile(rf"{_PART.pattern}|, {_BEGINS}")
"""As above, and at commas too: `what broke, who led and was anything lost`."""
_SHORT = {
    "whats": "what is",
    "what's": "what is",
    "whos": "who is",
    "who's": "who is",
    "wat": "what",
    "rn": "right now",
    "pls": "please",
    "plz": "please",
    "r": "are",
    "u": "you",
    "ur": "your",
    "much": "many",
}
_LEAD = re.compile(
    r"^(?:(?:please|so|ok|okay|and|but|then|hey|well|just|(?:can|could|would) you|check (?:if|whether)|"
    r"(?:tell|show|give|explain|describe|name|list|say|report)(?: me| us)?|i (?:want|need|like) to know|"
    r"(?:do you|do we) know) )+"
)
_TAIL = re.compile(r"(?: (?:please|then|though|exactly|yourself|here|again|in the end|by the way))+$")


def understand(text: str) -> tuple[str, ...]:
    """Return the questions that `text` asks, each by its name; empty if any part is not understood."""
    folded = normalized(text)
    if _ELSEWHERE.search(folded):
        return ()
    for parts in (_LISTED.split(folded), _PART.split(folded)):
        found = [_one(part) for part in parts if part.strip(" ,.")]
        if None not in found:
            return tuple(dict.fromkeys(name for name in found if name))
    return ()


def _one(part: str) -> str | None:
    """Return the question that `part` is, as it was typed, or once its typos are mended."""
    typed = [_SHORT.get(word, word) for word in re.findall(r"[a-z0-9_'-]+", part.replace("tl;dr", "tldr"))]
    for words in (" ".join(typed), " ".join(_mended(word) for word in typed)):
        bare = _TAIL.sub("", _LEAD.sub("", words))
        for name, pattern in _table():
            if pattern.fullmatch(words) or pattern.fullmatch(bare):
                return name
    return None


def _mended(word: str) -> str:
    """Return the word of the table that `word` is a typo of; else itself."""
    if len(word) < 4 or word in _vocabulary() or not word.isalpha():
        return word
    swapped = (word[:n] + word[n + 1] + word[n] + word[n + 2 :] for n in range(len(word) - 1))
    found = [each for each in swapped if each in _vocabulary()]
    near = get_close_matches(word, _vocabulary(), 1, 0.84) if len(word) > 4 else ()
    return next(iter((*found, *near)), word)


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
    return frozenset(
        word for _, pattern in _table() for word in re.findall(r"(?<!\\\\)[a-z]{4,}", pattern.pattern)
    )
