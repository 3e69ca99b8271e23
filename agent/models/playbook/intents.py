"""What the playbook understands: a table of patterns, nothing cleverer."""

import re
from collections.abc import Mapping
from enum import Enum, auto


class Intent(Enum):
    """What a request is about."""

    DEMO = auto()
    STATUS = auto()
    CLUSTER_START = auto()
    CLUSTER_STOP = auto()
    LOAD_START = auto()
    LOAD_STOP = auto()
    LOAD_STATUS = auto()
    KILL = auto()
    INJECT = auto()
    HEAL = auto()
    WAIT = auto()
    WHY = auto()
    STALL = auto()
    HOW_KNOWN = auto()
    ELSE = auto()
    LOST = auto()
    AFFECTED = auto()
    NOTICED = auto()
    CHANGE = auto()
    INCIDENTS = auto()
    HELP = auto()


_THING = r"(?:store|node|member|leader|follower|server|it|them|[a-z]+-\d+)"

_QUESTION = re.compile(
    r"^(?:and |so |but |then )?"
    r"(?:why|how|what|which|who|whose|when|where|was|were|is|are|did|does|do|has|have|would|should)\b"
)

QUESTIONS: Mapping[Intent, tuple[str, ...]] = {
    Intent.HELP: (
        r"what can (?:you|i)|what do you (?:do|understand)|how do (?:i|you) (?:use|work)",
        r"(?:who|what) are you",
    ),
    Intent.WHY: (
        r"why|what (?:happened|went|failed|broke|was)|root cause|when did|diagnos",
        rf"which (?:one|{_THING})|who (?:died|failed)",
    ),
    Intent.NOTICED: (
        r"notice|alert|pager|who knew|find out",
        r"would (?:i|we|anyone) (?:have )?(?:see|seen|know|known)",
    ),
    Intent.HOW_KNOWN: (
        r"how (?:do|can|did) you know|how sure|are you sure|what makes you",
        r"evidence|proof|prove|confiden",
    ),
    Intent.ELSE: (
        r"what else|could it (?:also )?have been|something else|other cause",
        r"alternative|ruled? out",
    ),
    Intent.LOST: (r"\blost\b|\blose\b|data loss|lossless|missing", r"acknowledged|durab|corrupt"),
    Intent.AFFECTED: (
        r"how long|affected|impact|outage|downtime",
        r"how many (?:errors|requests|operations)",
    ),
    Intent.STALL: (
        r"\bstall|\bhang|\bhung\b|latenc|\bslow|p99|throughput",
        r"(?:writes?|reads?|clients?) (?:fail|stop|error|wait)",
    ),
    Intent.CHANGE: (
        r"should (?:i|we)|prevent|improve|change|next time|recommend|fix",
        r"do (?:about|against) it",
    ),
    Intent.STATUS: (
        r"health|status|state of|\bup\b",
        r"(?:is|are) (?:it|all|everything|the cluster|they|we) (?:ok|okay|fine|back|well|good)",
        r"who is (?:the )?leader|which \w+ is (?:the )?leader",
    ),
    Intent.INCIDENTS: (r"incidents",),
    Intent.LOAD_STATUS: (r"\bload\b",),
}
"""What a question may be about; one question may be about several."""

COMMANDS: Mapping[Intent, tuple[str, ...]] = {
    Intent.DEMO: (r"\bdemo\b|chaos (?:test|run|experiment)",),
    Intent.HELP: (r"^\W*(?:help|hi|hello|hey)\b|what can you",),
    Intent.LOAD_STOP: (r"(?:stop|end|halt|quit) (?:the |that )?(?:load|workload|traffic)",),
    Intent.LOAD_START: (r"(?:start|put|run|begin|apply|generate)\b.*\b(?:load|workload|ycsb|traffic)",),
    Intent.CLUSTER_STOP: (r"(?:stop|tear|take|shut|bring)\b.*\bcluster\b.*\bdown|stop (?:the )?cluster",),
    Intent.CLUSTER_START: (r"(?:start|bring|create|deploy|launch)\b.*\bcluster\b|deploy up|cluster up",),
    Intent.HEAL: (
        r"(?:restart|heal|restore|recover|repair|revive|undo|fix|bring)\b",
        rf"start {_THING} again|start (?:the )?(?:dead|killed)",
    ),
    Intent.INJECT: (r"\b(?:inject|pause|freeze|partition|isolate|delay|fill|slow)\b|fault\b",),
    Intent.KILL: (r"\b(?:kill|crash|terminate|shoot)\b",),
    Intent.WAIT: (r"detect",),
    Intent.WHY: (r"diagnos|root cause|explain|what happened",),
    Intent.STATUS: (r"\bstatus\b|health|state|check",),
    Intent.INCIDENTS: (r"incidents?",),
    Intent.LOAD_STATUS: (r"\bload\b|figures|throughput|latenc",),
}
"""What may be asked for; the first that fits is meant."""

_SPECIAL = {
    Intent.STALL,
    Intent.ELSE,
    Intent.CHANGE,
    Intent.STATUS,
    Intent.LOST,
    Intent.AFFECTED,
    Intent.NOTICED,
}


def understand(text: str) -> tuple[Intent, ...]:
    """Return what `text` is about: one command, or all the questions in it; empty if it is not understood."""
    folded = " ".join(text.lower().split())
    if not _QUESTION.match(folded):
        for intent, patterns in COMMANDS.items():
            if _fits(patterns, folded):
                return (intent,)
    asked = tuple(intent for intent, patterns in QUESTIONS.items() if _fits(patterns, folded))
    # `why did writes stall` has the word of the general question in it, but means the special one.
    if _SPECIAL & set(asked):
        return tuple(intent for intent in asked if intent is not Intent.WHY)
    return asked


def _fits(patterns: tuple[str, ...], text: str) -> bool:
    return any(re.search(pattern, text) for pattern in patterns)
