"""One or two plain sentences about a result: only what is in it."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from agent.demo.request import STOPPED
from agent.models.offline import words
from agent.models.offline.record import Seen
from agent.view.words import size

Data = Mapping[str, Any]
TYPED = {
    "cluster_start": "`start the cluster`",
    "cluster_stop": "`stop the cluster`",
    "cluster_status": "`status`",
    "load_start": "`start load`",
    "load_stop": "`stop the load`",
    "fault_heal": "`undo everything`",
    "store_restart": "`restart NODE`",
    "read_logs": "`logs NODE`",
    "incident_list": "`incidents`",
    "diagnose": "`what broke?`",
}
"""What a person types here for what a tool's advice calls by its name."""
_NAMED = re.compile(rf"`?\b({'|'.join(TYPED)})\b`?")
_FIGURES = {
    "version": "version",
    "term": "term",
    "raft_index": "raft index",
    "lag": "behind its leader",
    "db_bytes": "database",
    "quota_bytes": "quota",
    "disk_free_bytes": "free on its disk",
}
"""What a node says of itself in figures, and what that is called."""
_DID = {
    "kill": "was killed",
    "pause": "is paused",
    "partition": "is cut off from the network",
    "restart": "was restarted as planned",
    "disk_full": "can write nothing more to its disk",
    "cpu_starvation": "is starved of CPU",
}


def tell(seen: Seen) -> str:
    """Say what a result holds, with its evidence id."""
    if seen.declined and STOPPED in seen.refused:
        return "You stopped the demo."
    if seen.refused:
        return (
            f"You declined {seen.tool}; nothing ran."
            if "said no" in seen.refused
            else words.sentence(f"{seen.tool} was refused, and nothing ran: {_typed(seen.refused)}")
        )
    if seen.tool == "read_logs" and seen.ok:
        return logs(seen)
    teller = _TELLERS.get(seen.tool)
    text = teller(seen.data) if teller else ""
    if seen.ok:
        return words.cited(text or f"{seen.tool} is done.", seen.evidence)
    if "error" in seen.data or not text:
        text = words.sentence(f"{seen.tool} did not work: {seen.error}")
    advice = _typed(str(seen.data.get("next") or ""))
    return words.joined(words.cited(text, seen.evidence), words.sentence(advice))


def _typed(advice: str) -> str:
    """Return advice that names tools with what a person types in their place."""
    return _NAMED.sub(lambda found: TYPED[found[1]], advice)


def status(data: Data) -> str:
    """Say how the cluster is, and who leads it."""
    state = data.get("state")
    if not state:
        return ""
    names = [node.get("name") for node in data.get("nodes") or () if isinstance(node, Mapping)]
    label, problems = data.get("cluster"), data.get("problems") or ()
    return words.joined(
        f"The cluster{f' {label}' if label else ''} is {state}"
        f"{f': {words.listed(names)}' if names else ''}"
        f"{', led by ' + str(data['leader']) if data.get('leader') else ''}.",
        words.sentence(f"Problems: {words.listed(problems)}" if problems else ""),
        *(
            f"Incident {open_['id']} is open: {words.sentence(open_['text'])}"
            for open_ in data.get("open_incidents") or ()
        ),
    )


def figures(data: Data) -> str:
    """Say of each node what it reports of itself: version, term, log, sizes."""
    return "\n".join(
        f"- {node.get('name')}: {', '.join(_figures(node)) or 'nothing is known'}" for node in data["nodes"]
    )


def _figures(node: Data) -> Iterator[str]:
    for name, called in _FIGURES.items():
        if (value := node.get(name)) is not None:
            yield f"{called} {size(value) if name.endswith('_bytes') else value}"


def load(data: Data) -> str:
    """Say what the load measures."""
    figures = words.load(data.get("baseline") or data.get("figures"))
    if not figures:
        return words.sentence(data.get("why", ""))
    unsteady = " It is not steady." if data.get("steady") is False else ""
    return f"{'The baseline is' if data.get('baseline') else 'The load shows'} {figures}.{unsteady}"


def fault(data: Data) -> str:
    """Say what was injected and whether it was seen to have happened; the prediction came before it."""
    nodes, role = data.get("nodes") or [data.get("node")], data.get("role")
    if not nodes or not nodes[0]:
        return "No node was touched."
    who = f"{words.listed(nodes)}{f' ({role})' if isinstance(role, str) else ''}"
    kind = str(data.get("kind") or "fault")
    verified = {True: " (verified)", False: ", but its effect was not seen"}.get(data.get("verified"), "")  # type: ignore[arg-type]
    return f"{who} {_DID.get(kind, f'has the fault {kind}')}{verified}."


def detection(data: Data) -> str:
    """Say what the monitor made of it, and from which signals."""
    if not data.get("detected"):
        if data.get("alarm_due") is False:
            return "Nothing was detected, as it should be: what was done is no failure."
        return "Nothing was detected within the time allowed; I go on without."
    first: dict[tuple[Any, Any], Data] = {}
    for signal in data.get("signals") or ():
        if isinstance(signal, Mapping):
            first.setdefault((signal.get("source"), signal.get("kind")), signal)
    signals = list(map(_signal, first.values()))
    return words.joined(
        words.sentence(f"Detected: {data.get('text') or words.listed(data.get('nodes') or ['a failure'])}"),
        words.sentence(f"First signal: {signals[0]}" if signals else ""),
        words.sentence(f"Then {words.listed(signals[1:4])}" if signals[1:] else ""),
    )


def _signal(signal: Data) -> str:
    after = words.seconds(signal["after_first_s"]) if signal.get("after_first_s") else ""
    return f"{signal.get('source')} {signal.get('kind')}{f' {after} later' if after else ''}"


def diagnosis(data: Data) -> str:
    """Say the conclusion, how sure it is and whether its citations held."""
    found = data.get("diagnosis")
    if not isinstance(found, Mapping) or not found.get("root_cause"):
        return ""
    held = {True: ", citations checked", False: ", NOT verified"}.get(found.get("verified"), "")  # type: ignore[arg-type]
    return f"Diagnosis: {words.sentence(found['root_cause'])} Confidence {found.get('confidence')}{held}."


def heal(data: Data) -> str:
    """Say whether the cluster recovered, who leads now, what was checked and read back."""
    recovered, led = data.get("recovered", data.get("healed")), data.get("leader") or {}
    if recovered is None:
        return ""
    moved = led.get("before") and led.get("now") and led["before"] != led["now"]
    took = words.seconds(data.get("healthy_after_s")) if recovered and data.get("healthy_after_s") else ""
    checks = [check for check in data.get("checks") or () if isinstance(check, Mapping)]
    named = {
        ok: words.listed(f"{c.get('name')} ({c.get('text')})" for c in checks if c.get("ok") is ok)
        for ok in (True, False)
    }
    unknown = words.listed(check.get("name") for check in checks if check.get("ok") is None)
    return words.joined(
        f"{'Recovered' if recovered else 'NOT recovered'}{f' {took} after the heal' if took else ''}"
        f"{'; leader is now {now}, was {before}'.format(**led) if moved else ''}.",
        f"Checked: {named[True]}." if named[True] else "",
        f"Not as before: {named[False]}." if named[False] else "",
        f"Not measured: {unknown}." if unknown else "",
        writes(data["writes"]) if isinstance(data.get("writes"), Mapping) else "",
    )


def writes(check: Data) -> str:
    """Say what reading back every acknowledged write found."""
    lost, changed, unreadable, unknown = (
        check.get(name) or 0 for name in ("lost", "changed", "unreadable", "indeterminate")
    )
    if unreadable:
        return f"{words.count(unreadable, 'key')} could not be read back, so nothing is proven."
    of = f" of {check['acknowledged']:,}" if isinstance(check.get("acknowledged"), int) else ""
    verdict = (
        f"{words.count(lost, 'key')} lost an acknowledged write" if lost else "No acknowledged write was lost"
    )
    return words.joined(
        f"{verdict}{of}.",
        f"{words.count(changed, 'key')} hold a value that no client wrote." if changed else "",
        f"{words.count(unknown, 'write')} got no answer and may or may not have happened." if unknown else "",
    )


def stopped(data: Data) -> str:
    """Say what the end of the load showed."""
    if why := data.get("writes_not_measured"):
        return words.sentence(f"Nothing was read back: {why}")
    check = data.get("writes")
    return writes(check) if isinstance(check, Mapping) else "Load stopped."


def incidents(data: Data) -> str:
    """List incidents."""
    rows = [f"- {i.get('id')}: {i.get('text')} ({i.get('state')})" for i in data.get("incidents") or ()]
    return "\n".join(rows) or "No incident was ever seen here."


def pieces(data: Data) -> str:
    """Quote pieces of evidence."""
    found = data.get("evidence") or {}
    return "\n".join(
        f"- {name} ({e.get('source')}, {e.get('at')}): {e.get('text')}" for name, e in found.items()
    )


def logs(seen: Seen) -> str:
    """Show the log lines that were read."""
    lines = (
        seen.text.partition("<pasted_content>\n")[2].removesuffix("\n</pasted_content>").replace("```", "")
    )
    data = seen.data
    head = f"{data.get('lines')} of {data.get('lines_matching')} lines of {data.get('node')}'s log"
    return f"{words.cited(f'{head}.', seen.evidence)}\n\n```\n{lines}\n```" if lines else f"{head}."


_TELLERS: Mapping[str, Callable[[Data], str]] = {
    "cluster_status": status,
    "cluster_start": status,
    "load_start": load,
    "load_status": load,
    "load_stop": stopped,
    "store_kill": fault,
    "fault_inject": fault,
    "wait_for_detection": detection,
    "diagnose": diagnosis,
    "store_restart": heal,
    "fault_heal": heal,
    "incident_list": incidents,
    "timeline": pieces,
}
