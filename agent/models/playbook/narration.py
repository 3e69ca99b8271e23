"""One or two plain sentences about a result: only what is in it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.models.playbook import words
from agent.models.playbook.record import Seen


def tell(seen: Seen) -> str:
    """Say what a result holds, with its evidence id."""
    if not seen.ok:
        return words.joined(words.sentence(f"{seen.tool} did not work: {seen.error}"), _next(seen))
    teller = _TELLERS.get(seen.tool)
    return (teller(seen) if teller else "") or f"{seen.tool} is done{words.cite(seen.evidence)}."


def _next(seen: Seen) -> str:
    return words.sentence(seen.data.get("next", ""))


def status(seen: Seen) -> str:
    """Say how the cluster is, and who leads it."""
    data = seen.data
    state = data.get("state")
    if not state:
        return ""
    text = f"The cluster is {state}{words.cite(seen.evidence)}"
    names = _nodes(data)
    if names:
        text += f": {words.listed(names)}"
    problems = data.get("problems") or ()
    return words.joined(f"{text}.", words.sentence(f"Problems: {words.listed(problems)}" if problems else ""))


def _nodes(data: Mapping[str, Any]) -> Sequence[str]:
    nodes = data.get("nodes") or ()
    return [
        f"{node.get('name')} ({', '.join(str(node[key]) for key in ('role', 'state') if node.get(key))})"
        for node in nodes
        if isinstance(node, Mapping)
    ]


def _load(seen: Seen) -> str:
    figures = words.load(seen.data.get("baseline") or seen.data.get("figures") or seen.data)
    if not figures:
        return ""
    what = "The baseline is" if seen.data.get("baseline") else "The load shows"
    return f"{what} {figures}{words.cite(seen.evidence)}."


def fault(seen: Seen) -> str:
    """Say what was injected, what was predicted and whether it was seen to have happened."""
    data = seen.data
    node, role = data.get("node"), data.get("role")
    if not node:
        return ""
    did = "was killed" if seen.tool == "store_kill" else f"has the fault {data.get('kind') or 'injected'}"
    verified = {True: " and that was verified", False: ", but that could not be verified"}.get(
        data.get("verified", None), ""
    )
    return words.joined(
        f"{node}{f', a {role},' if role else ''} {did}{verified}{words.cite(seen.evidence)}.",
        words.sentence(f"Prediction: {data['prediction']}" if data.get("prediction") else ""),
    )


def detection(seen: Seen) -> str:
    """Say what the monitor made of it, and when."""
    data = seen.data
    if not data.get("detected"):
        return f"Nothing was detected within the time allowed{words.cite(seen.evidence)}; I go on without."
    took = words.seconds(data.get("seconds"))
    nodes = words.listed(data.get("nodes") or ())
    told = [
        f"{signal.get('source')}: {signal.get('kind')}"
        for signal in (data.get("signals") or ())[:4]
        if isinstance(signal, Mapping)
    ]
    return words.joined(
        f"The monitor detected it{f' after {took}' if took else ''}{f' at {nodes}' if nodes else ''}"
        f"{words.cite(seen.evidence)}.",
        f"The signals were {words.listed(dict.fromkeys(told))}." if told else "",
    )


def diagnosis(seen: Seen) -> str:
    """Say the conclusion, how sure it is and whether its citations held."""
    found = seen.data.get("diagnosis") or seen.data
    cause = words.sentence(found.get("root_cause"))
    if not cause:
        return ""
    confidence = found.get("confidence")
    held = {True: "every citation held", False: "not verified"}.get(found.get("verified", None), "")
    rest = ", ".join(part for part in (f"confidence {confidence}" if confidence else "", held) if part)
    return words.joined(
        f"The diagnosis{words.cite(seen.evidence)}: {cause}", f"{rest[:1].upper()}{rest[1:]}." if rest else ""
    )


def heal(seen: Seen) -> str:
    """Say whether the cluster is whole again, and what was verified."""
    data = seen.data
    node = data.get("node")
    recovered = data.get("recovered", data.get("healed"))
    if recovered is None:
        return ""
    who = node or "The fault"
    text = (
        f"{who} is {'back' if node else 'healed'}"
        if recovered
        else f"{who} could not be shown to be well again"
    )
    return words.joined(f"{text}{words.cite(seen.evidence)}.", after(data))


def after(data: Mapping[str, Any]) -> str:
    """Say what a heal or the end of a load verified of the load."""
    load = data.get("after") or data.get("load")
    figures = words.load(load)
    lost = data.get("acknowledged_writes_lost", data.get("lost"))
    return words.joined(
        f"The load is at {figures}." if figures else "",
        f"Of the acknowledged writes {words.count(lost, 'key')} lost {'its' if lost == 1 else 'their'} value."
        if isinstance(lost, int)
        else "",
    )


_TELLERS: Mapping[str, Callable[[Seen], str]] = {
    "cluster_status": status,
    "cluster_start": status,
    "load_start": _load,
    "load_status": _load,
    "store_kill": fault,
    "fault_inject": fault,
    "wait_for_detection": detection,
    "diagnose": diagnosis,
    "store_restart": heal,
    "fault_heal": heal,
}
