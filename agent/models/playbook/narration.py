"""One or two plain sentences about a result: only what is in it."""

from collections.abc import Callable, Mapping
from typing import Any

from agent.models.playbook import words
from agent.models.playbook.record import Seen


def tell(seen: Seen) -> str:
    """Say what a result holds, with its evidence id."""
    if seen.refused:
        return words.sentence(f"{seen.tool} was not let through: {seen.refused}")
    teller = _TELLERS.get(seen.tool)
    told = teller(seen) if teller else ""
    if seen.ok:
        return told or f"{seen.tool} is done{words.cite(seen.evidence)}."
    if "error" in seen.data or not told:
        told = words.sentence(f"{seen.tool} did not work{words.cite(seen.evidence)}: {seen.error}")
    return words.joined(told, words.sentence(seen.data.get("next", "")))


def status(seen: Seen) -> str:
    """Say how the cluster is, and who leads it."""
    data = seen.data
    state = data.get("state")
    if not state:
        return ""
    names = [node.get("name") for node in data.get("nodes") or () if isinstance(node, Mapping)]
    label, leader = data.get("cluster"), data.get("leader")
    parts = (
        f"The cluster{f' {label}' if label else ''} is {state}{words.cite(seen.evidence)}",
        f": {words.listed(names)}" if names else "",
        f", led by {leader}" if leader else "",
    )
    problems = data.get("problems") or ()
    return words.joined(
        f"{''.join(parts)}.", words.sentence(f"Problems: {words.listed(problems)}" if problems else "")
    )


def load(seen: Seen) -> str:
    """Say what the load measures."""
    figures = words.load(seen.data.get("baseline") or seen.data.get("figures"))
    if not figures:
        return words.sentence(seen.data.get("why", ""))
    what = "The baseline is" if seen.data.get("baseline") else "The load shows"
    unsteady = "It is not steady." if seen.data.get("steady") is False else ""
    return words.joined(f"{what} {figures}{words.cite(seen.evidence)}.", unsteady)


def fault(seen: Seen) -> str:
    """Say what was injected and whether it was seen to have happened; the prediction was told before it."""
    data = seen.data
    nodes, role = data.get("nodes") or [data.get("node")], data.get("role")
    if not nodes or not nodes[0]:
        return f"No node was touched{words.cite(seen.evidence)}."
    article = "the" if role == "leader" else "a"
    who = f"{words.listed(nodes)}{f', {article} {role},' if isinstance(role, str) else ''}"
    did = "was killed" if seen.tool == "store_kill" else f"has the fault {data.get('kind') or 'injected'}"
    verified = {True: ", which was verified", False: ", but its effect was not seen"}
    return f"{who} {did}{verified.get(data.get('verified', None), '')}{words.cite(seen.evidence)}."


def detection(seen: Seen) -> str:
    """Say what the monitor made of it, and from which signals."""
    data = seen.data
    if not data.get("detected") and data.get("alarm_due") is False:
        right = "as it should be: what was done is no failure"
        return f"Nothing was detected{words.cite(seen.evidence)}, {right}."
    if not data.get("detected"):
        return f"Nothing was detected within the time allowed{words.cite(seen.evidence)}; I go on without."
    what = data.get("text") or words.listed(data.get("nodes") or ()) or "a failure"
    signals = [signal for signal in data.get("signals") or () if isinstance(signal, Mapping)]
    told = [_signal(signal) for signal in signals[:4]]
    return words.joined(
        words.sentence(f"The monitor detected{words.cite(seen.evidence)}: {what}"),
        words.sentence(f"First came {told[0]}") if told else "",
        words.sentence(f"Then {words.listed(told[1:])}") if told[1:] else "",
    )


def _signal(signal: Mapping[str, Any]) -> str:
    after = signal.get("after_first_s")
    when = f" {words.seconds(after)} later" if after else ""
    return f"{signal.get('source')}: {signal.get('kind')}{when}"


def diagnosis(seen: Seen) -> str:
    """Say the conclusion, how sure it is and whether its citations held."""
    found = seen.data.get("diagnosis")
    if not isinstance(found, Mapping) or not found.get("root_cause"):
        return ""
    held = {True: "every citation held", False: "not verified"}.get(found.get("verified", None), "")
    confidence = f"confidence {found['confidence']}" if found.get("confidence") else ""
    rest = ", ".join(part for part in (confidence, held) if part)
    return words.joined(
        f"The diagnosis{words.cite(seen.evidence)}: {words.sentence(found['root_cause'])}",
        f"{rest[:1].upper()}{rest[1:]}." if rest else "",
    )


def heal(seen: Seen) -> str:
    """Say whether all is as before, and what was checked for that."""
    data = seen.data
    recovered = data.get("recovered", data.get("healed"))
    if recovered is None:
        return ""
    after = data.get("healthy_after_s")
    took = words.seconds(after) if recovered and after else ""
    text = "Recovered" if recovered else "It could not be shown that the cluster has recovered"
    check = data.get("writes")
    leader = data.get("leader") or {}
    moved = leader.get("before") and leader.get("now") and leader["before"] != leader["now"]
    return words.joined(
        f"{text}{f', {took} after the heal' if took else ''}{words.cite(seen.evidence)}.",
        f"Leader is now {leader['now']}, was {leader['before']}." if moved else "",
        _checks(data),
        writes(check, None) if isinstance(check, Mapping) else "",
    )


def _checks(data: Mapping[str, Any]) -> str:
    """Say what was checked after a heal, and what was not measured."""
    found = [check for check in data.get("checks") or () if isinstance(check, Mapping)]
    named = {
        ok: words.listed(f"{c.get('name')} ({c.get('text')})" for c in found if c.get("ok") is ok)
        for ok in (True, False, None)
    }
    return words.joined(
        f"Checked: {named[True]}." if named[True] else "",
        f"Not as before: {named[False]}." if named[False] else "",
        f"Unknown: {named[None]}." if named[None] else "",
    )


def writes(check: Mapping[str, Any], evidence: str | None) -> str:
    """Say what reading back every acknowledged write found."""
    lost, changed, unreadable, open_ended = (
        check.get(name) or 0 for name in ("lost", "changed", "unreadable", "indeterminate")
    )
    if unreadable:
        keys = words.count(unreadable, "key")
        return f"{keys} could not be read back{words.cite(evidence)}, so nothing is proven."
    of = f" of {check['acknowledged']:,}" if isinstance(check.get("acknowledged"), int) else ""
    verdict = f"{words.count(lost, 'key')} lost an acknowledged write" if lost else ""
    return words.joined(
        f"{verdict or 'No acknowledged write was lost'}{of}{words.cite(evidence)}.",
        f"{words.count(changed, 'key')} hold what nobody wrote." if changed else "",
        f"{words.count(open_ended, 'write')} got no answer and may or may not have happened."
        if open_ended
        else "",
    )


def _stopped(seen: Seen) -> str:
    if seen.arguments.get("verify") is False:
        return f"The load is off{words.cite(seen.evidence)}."
    check = seen.data.get("writes")
    if why := seen.data.get("writes_not_measured"):
        return words.sentence(f"Nothing was read back{words.cite(seen.evidence)}: {why}")
    return writes(check, seen.evidence) if isinstance(check, Mapping) else ""


_TELLERS: Mapping[str, Callable[[Seen], str]] = {
    "cluster_status": status,
    "cluster_start": status,
    "load_start": load,
    "load_status": load,
    "load_stop": _stopped,
    "store_kill": fault,
    "fault_inject": fault,
    "wait_for_detection": detection,
    "diagnose": diagnosis,
    "store_restart": heal,
    "fault_heal": heal,
}
