"""The stand-in acts Claude: it drives the chaos demo by the results, diagnoses, and answers questions.

No model is behind it. It shows that the whole way (HTTP, stream, loop, tools, blind diagnosis) works.
"""

import re
from collections.abc import Sequence
from typing import Any

from tests.standins.messages_script import (
    Body,
    Came,
    Step,
    call,
    came_of_calls,
    came_since_question,
    last_said,
    note,
    says,
    text,
)

_SIGNAL = re.compile(r"^\[(D\d+)\] \+[\d.]+ s (\w+) (\S+): (.{8,120})", re.MULTILINE)
_KINDS = {"exited": "crash", "paused": "pause"}
_HEAL = ("store_restart", "fault_heal")
_INJECT = ("store_kill", "fault_inject")


def answer(body: Body) -> Step:
    """What Claude would say next."""
    if "submit_diagnosis" in {tool["name"] for tool in body.get("tools", ())}:
        return _diagnostician(body)
    said = last_said(body)
    since = came_since_question(body)
    if "Write a summary" in said:
        return says(text("The chaos demo was asked for; see the facts below."))
    if re.search(r"\bdemo\b", said, re.IGNORECASE):
        return _demo(said, since)
    return _question(said, since, came_of_calls(body))


def _demo(said: str, since: Sequence[Came]) -> Step:
    if not since:
        return says(note("First a look at what runs."), call("cluster_status"))
    last = since[-1]
    data = last.data
    told = f"[{last.evidence}] " if last.evidence else ""
    match last.tool:
        case "cluster_status" if data.get("state") != "healthy":
            return says(note(f"{told}No healthy cluster is there, so I start one."), call("cluster_start"))
        case "cluster_status" | "cluster_start" if last.ok:
            names = ", ".join(node["name"] for node in data.get("nodes", ()))
            asked = re.search(r"with (\d+) operations/s", said)
            rate: dict[str, Any] = {"rate": int(asked[1])} if asked else {}
            return says(note(f"{told}{names} are healthy. Next, load."), call("load_start", **rate))
        case "load_start" if last.ok:
            base = data.get("baseline") or {}
            words = (
                f"{told}The baseline is {base.get('ops_per_s')} operations/s, p99 {base.get('p99_ms')} ms."
            )
            return says(note(words), _fault(said))
        case "store_kill" | "fault_inject" if last.ok:
            words = f"{told}{data.get('prediction', '')} The monitor is not told of it."
            return says(note(words), call("wait_for_detection"))
        case "wait_for_detection":
            return says(note(f"{told}Now a diagnosis from evidence alone."), call("diagnose"))
        case "diagnose":
            found = data.get("diagnosis") or {}
            return says(note(f"{told}{found.get('root_cause', 'No diagnosis.')} I heal it."), _undo(since))
        case _ if last.tool in _HEAL and last.ok:
            return says(text(_closing(since)))
    if any(came.tool in _INJECT and came.ok for came in since) and not any(
        came.tool in _HEAL for came in since
    ):
        return says(note(f"{told}That failed; I heal first."), _undo(since))
    return says(text(f"I stop here: {last.tool} failed. {data.get('error', '')} {data.get('next', '')}"))


def _fault(said: str) -> dict[str, Any]:
    asked = re.search(r"with fault (\w+)", said)
    where = re.search(r"\bon (?:a |the )?(leader|follower|[a-z]+-\d+)", said)
    target = where[1] if where else "random"
    if asked is None or asked[1] == "kill":
        return call("store_kill", target=target)
    return call("fault_inject", kind=asked[1], target=target)


def _undo(since: Sequence[Came]) -> dict[str, Any]:
    injected = next((came for came in reversed(since) if came.tool in _INJECT and came.ok), None)
    if injected is not None and injected.tool == "fault_inject":
        return call("fault_heal", fault=injected.data.get("fault"))
    return call("store_restart")


def _closing(since: Sequence[Came]) -> str:
    came = {each.tool: each for each in since}
    seen, found = came["wait_for_detection"].data, came["diagnose"].data.get("diagnosis") or {}
    injected = next(each for each in since if each.tool in _INJECT)
    detected = "It was detected" if seen.get("detected") else "It was not detected in time"
    if seen.get("seconds") is not None:
        detected += f" after {seen['seconds']} s"
    cites = ", ".join(f"[{item['id']}]" for item in found.get("evidence", ()))
    return (
        f"The demo is over. {detected} [{came['wait_for_detection'].evidence}]; the fault was injected in "
        f"[{injected.evidence}]. The blind diagnosis: {found.get('root_cause')} ({found.get('confidence')} "
        f"confidence, from {cites}). Everything is healed, as [{since[-1].evidence}] verified."
    )


def _question(said: str, since: Sequence[Came], all_came: Sequence[Came]) -> Step:
    diagnosed = next((came for came in reversed(all_came) if came.tool == "diagnose" and came.ok), None)
    if re.search(r"\b(why|which|know|happened)\b", said, re.IGNORECASE) and diagnosed is not None:
        found = diagnosed.data.get("diagnosis") or {}
        held = " ".join(f'[{item["id"]}] says "{item["quote"]}".' for item in found.get("evidence", ()))
        return says(text(f"{found.get('root_cause')} {held}"))
    if since:
        last = since[-1]
        return says(
            text(f"[{last.evidence}] The cluster is {last.data.get('state', 'in an unknown state')}.")
        )
    return says(note("I look."), call("cluster_status"))


def _diagnostician(body: Body) -> Step:
    came = came_of_calls(body)
    if not came:
        return says(note("Every side of every node first."), call("cluster_status"))
    submitted = [each for each in came if each.tool == "submit_diagnosis"]
    if submitted:
        return says(text("Submitted."))
    opening = body["messages"][0]["content"]
    signals = _SIGNAL.findall(opening if isinstance(opening, str) else opening[0]["text"])
    looked = came[0]
    nodes = looked.data.get("nodes", ())
    if not signals:
        quote = looked.text[looked.text.find('"state"') :][:40]
        return says(call("submit_diagnosis", **_findings("none", [], [(looked.evidence, "look", quote)])))
    state = {node["name"]: node.get("process", "unknown") for node in nodes}
    broken = [name for name, process in state.items() if process != "running"]
    node = broken[0] if broken else next((name for _, _, name, _ in signals if name in state), None)
    kind = _KINDS.get(state.get(node or "", ""), "partition" if node else "unknown")
    held: dict[str, tuple[str, str]] = {}
    for evidence, source, about, words in signals:
        if about == node:
            held.setdefault(source, (evidence, words))
    cited = [(evidence, source, words) for source, (evidence, words) in held.items()][:3]
    return says(call("submit_diagnosis", **_findings(kind, [node] if node else [], cited)))


def _findings(kind: str, nodes: list[str], cited: Sequence[tuple[str | None, str, str]]) -> dict[str, Any]:
    return {
        "observation": f"{nodes[0]} stopped answering." if nodes else "Nothing is out of order.",
        "root_cause": f"{nodes[0]}: {kind}, by the word of {', '.join(c[1] for c in cited)}."
        if nodes
        else "None.",
        "kind": kind,
        "nodes": nodes,
        "confidence": "high" if len(cited) > 1 else "medium",
        "evidence": [
            {"id": evidence, "quote": words.strip(), "claim": f"what {source} saw"}
            for evidence, source, words in cited
        ],
        "alternatives": [
            {"cause": "a partition", "ruled_out_by": "the word of the process itself"},
            {"cause": "overload", "ruled_out_by": "nothing was slow before"},
        ],
        "suggested_actions": ["Bring it back, then check its lag."],
        "would_change": "A process that still runs.",
    }
