"""Plain orders in a person's own words. What is not wholly one of these is no order: nothing acts on it."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.demo.request import DEFAULT_TIMEOUT_S, DemoRequest
from subjects.base.targets import RANDOM
from subjects.target_roles import target_roles

_FAULTS = (
    ("kill", r"kill|crash|sigkill|terminate|shoot|kill -9"),
    ("pause", r"pause|freeze|suspend|sigstop"),
    ("partition", r"partition|isolate|cut off|network partition"),
    ("network_delay", r"network[ _-]delay|delay|latency|slow network|network latency"),
    ("connection_loss", r"connection[ _-]loss|packet loss"),
    ("network_rate", r"network[ _-]rate|bandwidth limit"),
    ("connection_reset", r"connection[ _-]resets?"),
    ("disk_full", r"disk[ _-]full|full disk"),
    ("cpu_starvation", r"cpu[ _-]starvation|starve|throttle"),
    ("restart", r"planned restart|restart"),
    ("leader_kill", r"leader[ _-]kill"),
    ("quorum_loss", r"quorum[ _-]loss|loss of quorum"),
    ("none", r"none|nothing"),
)
_VERBS = {"kill", "pause", "partition", "cpu_starvation"}
"""Faults whose words are verbs, too: `pause etcd-2`."""

_THE = r"(?:(?:the|a|an|one|some|random|node|store|member|server) )*"
_ROLES = tuple(role for role in target_roles() if role != RANDOM)
_NODE = rf"(?P<node>{'|'.join(_ROLES)}|node|store|member|[a-z]+(?:[-_.][a-z]+)*[-_.]?\d+)"
_TYPOGRAPHY = str.maketrans(
    {**dict.fromkeys("\u2018\u2019\u02bc\u00b4", "'"), **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"')}
    | {**dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"), "\u3002": ".", "\uff61": "."}
    | {
        **dict.fromkeys("\u061f\u037e\u203d\u00bf", "?"),
        "\u00a1": "",
        "\u200b": "",
        "\ufeff": "",
        "\u2026": ".",
    }
)
_PLEASE = re.compile(
    r"^(?:(?:please|ok|okay|now|and now|then|alright|go ahead and)[, ]+)+|[, ]+(?:please|now)$"
)
_DEMO = re.compile(
    r"(?P<asked>(?:can|could|would) you |let's |i want to |i'd like to |i want you to )?(?:please )?"
    r"(?:run|start|begin|play|do)(?: me| us)?(?: the| a| your)?(?: chaos| etcd| tikv)*"
    r" (?:demo|chaos (?:test|run|experiment))\b(?P<rest>.*)"
)
_WITHHELD = re.compile(
    r"\b(?:not|no|never|don'?t|dont|without|unless|if|but|instead|tomorrow|later|before|after)\b|n't\b"
)
_COMMENT = r",? ?(?:and |then )*(?:tell|show|explain|describe|narrate|walk|answer|report|say)\b.*"
_CLAUSE = (
    rf"[,;:.]? ?(?:and |with |using |at |for |fault[ :=]+|target[ :=]+|on |of |to |the |a )*"
    rf"(?:(?P<fault>{'|'.join(words for _, words in _FAULTS)})(?: fault)?"
    rf"|(?:wait )?(?:up to |timeout |within )+(?P<timeout>\d+(?:\.\d+)?) ?(?:s|seconds?)?"
    rf"(?: for (?:the )?detection)?"
    rf"|workload (?P<workload>[a-f])"
    rf"|(?P<rate>\d+(?:\.\d+)?) ?(?:ops|operations)(?:/s| per second| a second)?(?: of load)?"
    rf"|random(?: store| node| member)?|now|again|please"
    rf"|{_NODE.replace('node>', 'target>')})(?= |,|;|:|[.] |$)"
)


@dataclass(frozen=True, slots=True)
class Order:
    """One act that was plainly ordered: a tool and its arguments."""

    tool: str
    arguments: Mapping[str, object] = field(default_factory=dict)


def read_demo(text: str) -> DemoRequest | None:
    """Return the demo that is plainly ordered at the beginning of `text`; None if none is.

    It is the person's consent for what a demo does. Particulars that were not said are None.
    """
    found = _DEMO.fullmatch(_folded(text))
    if found is None or _WITHHELD.search(found["rest"]):
        return None
    if _asks(text) and not found["asked"]:
        return None
    rest = re.sub(_COMMENT, "", found["rest"])
    said: dict[str, str] = {}
    for clause in re.finditer(_CLAUSE, rest):
        said.update({name: word for name, word in clause.groupdict().items() if word and name not in said})
    if re.sub(_CLAUSE, "", rest).strip(" ,.;:"):
        return None
    return DemoRequest(
        _fault(said["fault"]) if "fault" in said else None,
        said.get("target"),
        float(said.get("timeout", DEFAULT_TIMEOUT_S)),
        said["workload"].upper() if "workload" in said else None,
        float(said["rate"]) if "rate" in said else None,
    )


def read_order(text: str, broken: str | None = None) -> Order | None:
    """Return the act that `text` wholly is the order for; None for anything else, also for a question.

    `broken` is the node that `it` means: the one that this session broke last.
    """
    if _asks(text):
        return None
    folded = _folded(text)
    for pattern, make in _ORDERS:
        if found := pattern.fullmatch(folded):
            return make(found, broken)
    return None


def normalized(text: str) -> str:
    """Return `text` in lower case with one space between words, and with ASCII's quotes, dashes and stops.

    Keyboards, chats and documents put others in their place: a hyphen that does not
    break, a curly apostrophe, a question mark as wide as a Chinese character.
    """
    folded = unicodedata.normalize("NFKC", text.translate(_TYPOGRAPHY)).translate(_TYPOGRAPHY)
    return " ".join(folded.lower().split())


def _asks(text: str) -> bool:
    """Whether it ends as a question does, whatever stands beside the question mark: `kill etcd-2?!`."""
    return "?" in (folded := normalized(text))[len(folded.rstrip(" .!?\"')*_")) :]


def _folded(text: str) -> str:
    return _PLEASE.sub("", normalized(text).strip(" .!?"))


def _fault(words: str) -> str:
    return next(kind for kind, pattern in _FAULTS if re.fullmatch(pattern, words))


def _target(node: str | None) -> str:
    return RANDOM if node in (None, "node", "store", "member") else str(node)


def _inject(found: re.Match[str], _broken: str | None) -> Order:
    kind, target = _fault(found["fault"]), _target(found["node"])
    if kind == "kill":
        return Order("store_kill", {"target": target})
    return Order("fault_inject", {"kind": kind, "target": target})


def _restart(found: re.Match[str], broken: str | None) -> Order | None:
    node = found["node"] or broken
    return (
        Order("store_restart", {"node": node})
        if node and _target(node) == node and node not in _ROLES
        else None
    )


def _heal(found: re.Match[str], _broken: str | None) -> Order:
    return Order("fault_heal", {"fault": int(found["number"])} if found["number"] else {})


def _load(found: re.Match[str], _broken: str | None) -> Order:
    said: dict[str, object] = {}
    if found["workload"]:
        said["workload"] = found["workload"].upper()
    if found["rate"]:
        said["rate"] = float(found["rate"])
    return Order("load_start", said)


_VERB = "|".join(words for kind, words in _FAULTS if kind in _VERBS)
_NAMED = "|".join(words for _, words in _FAULTS)
_IT = r"(?:it|them|that|that node|that store|the (?:dead|killed|broken) (?:node|store|member|one))"

_ORDERS = tuple(
    (re.compile(pattern), make)
    for pattern, make in (
        (rf"(?P<fault>{_VERB}) {_THE}{_NODE}", _inject),
        (
            rf"inject (?:the |a |an )?(?:fault )?(?P<fault>{_NAMED})(?: fault)?"
            rf"(?: (?:on|into|in|at|of|to) {_THE}{_NODE})?",
            _inject,
        ),
        (
            rf"(?:restart|revive|start|bring(?: back)?) (?:{_IT}|{_THE}{_NODE})(?: again| back(?: up)?| up)?",
            _restart,
        ),
        (
            r"(?:heal|undo|restore|revert|repair|recover|fix)"
            r"(?: (?:everything|all|it|that|(?:all |the |every )?(?:open )?faults?(?: (?P<number>\d+))?))?"
            r"(?: again)?",
            _heal,
        ),
        (
            r"(?:start|put|run|begin|apply) (?:the |a |some )?(?:load|workload|traffic|ycsb)"
            r"(?: on (?:it|the cluster))?(?:,? (?:with )?(?:workload )?(?P<workload>[a-f]))?"
            r"(?:,? (?:at|with) (?P<rate>\d+(?:\.\d+)?) ?(?:ops|operations)(?:/s| per second| a second)?)?",
            _load,
        ),
        (r"(?:stop|end|halt) (?:the |that )?(?:load|workload|traffic)", lambda *_: Order("load_stop")),
        (
            r"(?:start|create|deploy|launch|bring up) (?:the |a )?cluster(?: up)?"
            r"|bring (?:the |a )?cluster up",
            lambda *_: Order("cluster_start"),
        ),
        (
            r"(?:stop|tear down|shut down|bring down|remove|delete) the cluster"
            r"|(?:tear|shut|bring) the cluster down",
            lambda *_: Order("cluster_stop"),
        ),
    )
)
