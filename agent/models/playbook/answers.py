"""Answers to questions about a failure, each from the record or not at all."""

from collections.abc import Callable, Mapping
from typing import Any

from agent.models.playbook import words
from agent.models.playbook.facts import Facts
from agent.models.playbook.intents import Intent
from agent.models.playbook.narration import writes
from agent.models.playbook.record import Seen
from agent.models.playbook.step import Step

Answer = str | Step
"""Words, or the read that has to come first."""

STEADY_SHARE = 0.8
"""Of the baseline's throughput: a second with less is one in which clients were held up."""

NOTHING = "The record holds no failure: nothing was detected here, and no earlier incident is kept."


def why(facts: Facts) -> Answer:
    """Say what happened, where and why, as the diagnosis has it."""
    found, evidence = facts.diagnosis
    if not found:
        if step := facts.look_up():
            return step
        if facts.incident_id is None:
            return NOTHING
        if facts.record.tried("diagnose") is None:
            return Step("No diagnosis is in the record yet, so I ask for one.", "diagnose")
        return "The record holds an incident but no diagnosis of it, so I cannot say why."
    return words.joined(
        words.sentence(found.get("observation")),
        words.sentence(f"Root cause{words.cite(evidence)}: {found.get('root_cause')}"),
        f"The confidence is {found.get('confidence')}." if found.get("confidence") else "",
        _what_was_done(facts),
    )


def _what_was_done(facts: Facts) -> str:
    injected = facts.fault
    if injected is None or not injected.data.get("node"):
        return ""
    what = (
        "a kill" if injected.tool == "store_kill" else f"the fault {injected.data.get('kind') or 'injected'}"
    )
    return (
        f"What was really done in this session was {what} of {injected.data['node']}"
        f"{words.cite(injected.evidence)}; the diagnosis did not know that."
    )


def how_known(facts: Facts) -> Answer:
    """Cite the evidence of the diagnosis, word for word."""
    found, _ = facts.diagnosis
    if not found:
        return facts.look_up() or "There is no diagnosis in the record whose evidence I could show."
    lines = [
        f"- {cited.get('id')}: {words.sentence(cited.get('claim'))} It says: “{cited.get('quote')}”"
        for cited in found.get("evidence") or ()
        if isinstance(cited, Mapping)
    ]
    if not lines:
        return "The diagnosis cites no evidence."
    verified = {
        True: "Code checked that each quotation occurs in its evidence.",
        False: f"The check did not pass: {words.listed(found.get('problems') or ['no reason is recorded'])}.",
    }.get(found.get("verified", None), "")
    return words.joined("The diagnosis rests on this evidence:\n\n" + "\n".join(lines) + "\n\n" + verified)


def what_else(facts: Facts) -> Answer:
    """Say which other causes were ruled out, and by what."""
    found, evidence = facts.diagnosis
    if not found:
        return facts.look_up() or "There is no diagnosis in the record, so no alternatives were weighed."
    lines = [
        f"- {other.get('cause')}: {words.sentence(other.get('ruled_out_by'))}"
        for other in found.get("ruled_out") or ()
        if isinstance(other, Mapping)
    ]
    if not lines:
        return "The diagnosis names no alternatives."
    change = words.sentence(found.get("would_change"))
    tail = f"\n\nWhat would change the conclusion: {change}" if change else ""
    return f"The diagnosis{words.cite(evidence)} ruled these out:\n\n" + "\n".join(lines) + tail


def change(facts: Facts) -> Answer:
    """Repeat the actions that the diagnosis suggests."""
    found, evidence = facts.diagnosis
    if not found:
        return facts.look_up() or "There is no diagnosis in the record, so nothing was suggested."
    actions = found.get("suggested_actions") or ()
    if not actions:
        return "The diagnosis suggests no actions."
    lines = "\n".join(f"- {words.sentence(action)}" for action in actions)
    return f"The diagnosis{words.cite(evidence)} suggests:\n\n{lines}"


def noticed(facts: Facts) -> Answer:
    """Say who knew when: everyone that was measured, and the usual alert by its definition."""
    if step := facts.look_up():
        return step
    incident, evidence = facts.incident
    if not incident:
        return NOTHING
    rows = [row for row in incident.get("who_knew_when") or () if isinstance(row, Mapping)]
    lines = [_knower(row) for row in rows]
    if not lines:
        return f"The record of the incident{words.cite(evidence)} does not say who knew when."
    return f"This is who knew when, counted from the first signal{words.cite(evidence)}:\n\n" + "\n".join(
        lines
    )


def _knower(row: Mapping[str, Any]) -> str:
    when = words.seconds(row.get("seconds")) or "not at all"
    if row.get("measured") is False:
        return f"- {row.get('who')}: would have taken {when} by its own definition (not measured here)"
    return f"- {row.get('who')}: {when} ({row.get('how')})"


def lost(facts: Facts) -> Answer:
    """Say what the read-back of acknowledged writes found."""
    for seen in reversed(facts.record.seen):
        check = seen.data.get("writes")
        if isinstance(check, Mapping) and "lost" in check:
            return writes(check, seen.evidence)
    if facts.record.tried("load_status") is None:
        return Step("I look at what the load knows.", "load_status")
    if facts.incident_id is not None and (step := facts.look_up()):
        return step
    incident, evidence = facts.incident
    if isinstance(incident.get("writes"), Mapping):
        return writes(incident["writes"], evidence)
    for seen in reversed(facts.record.seen):
        if why := seen.data.get("writes_not_measured"):
            return words.sentence(f"That is not measured{words.cite(seen.evidence)}: {why}")
    return (
        "That is not verified: no acknowledged write was read back in what is recorded here. "
        "Say `stop the load`, and every acknowledged write is read back and compared."
    )


def stall(facts: Facts) -> Answer:
    """Say what clients felt and what was predicted; explain nothing beyond that."""
    if step := facts.look_at_clients() or (facts.look_up() if facts.fault is None else None):
        return step
    injected, (found, evidence) = facts.fault, facts.diagnosis
    told = words.joined(
        _felt(facts),
        words.sentence(f"Predicted was{words.cite(injected.evidence)}: {injected.data['prediction']}")
        if injected and injected.data.get("prediction")
        else "",
        words.sentence(f"The diagnosis{words.cite(evidence)} says: {found['root_cause']}")
        if found.get("root_cause")
        else "",
    )
    return told or "The record holds neither a failure nor figures of the load, so I cannot say."


def _felt(facts: Facts) -> str:
    """Compare what clients felt around the incident with the baseline."""
    clients, evidence = facts.clients
    measured = clients.get("seconds_measured")
    if not measured:
        return ""
    hurt, worst, fewest = (
        clients.get(name) for name in ("seconds_with_errors", "worst_p99_ms", "fewest_ops")
    )
    baseline = facts.record.last("load_start")
    before = words.load(baseline.data.get("baseline")) if baseline else ""
    return words.joined(
        f"Of {measured} seconds measured around it, {hurt or 'none'} had errors or time-outs for clients"
        f"{words.cite(evidence)}.",
        f"The slowest second had a p99 of {worst:.1f} ms." if isinstance(worst, int | float) else "",
        f"The fewest operations in one second were {fewest}." if fewest is not None else "",
        f"Before, the load ran at {before}{words.cite(baseline.evidence)}." if baseline and before else "",
        _no_stall(clients, baseline),
    )


def _no_stall(clients: Mapping[str, Any], baseline: Seen | None) -> str:
    """Say so where the question assumes a stall that the figures do not show."""
    before = (baseline.data.get("baseline") or {}).get("ops_per_s") if baseline else None
    fewest = clients.get("fewest_ops")
    if not before or fewest is None or clients.get("seconds_with_errors") or fewest < STEADY_SHARE * before:
        return ""
    return "No second measured shows a stall: throughput stayed, and there were no errors."


def affected(facts: Facts) -> Answer:
    """Say how long the incident lasted, and what clients felt of it."""
    if step := facts.look_up() or facts.look_at_clients():
        return step
    incident, evidence = facts.incident
    if not incident:
        return NOTHING
    lasted = words.seconds(incident.get("seconds_open"))
    return words.joined(
        _felt(facts) or _client_signal(incident),
        f"From the first signal to the recovery of every view it took {lasted}{words.cite(evidence)}."
        if lasted
        else f"The incident is not closed in the record{words.cite(evidence)}.",
    )


def _client_signal(incident: Mapping[str, Any]) -> str:
    """Say what the incident itself holds of clients, where the load's seconds are gone."""
    rows = [row for row in incident.get("who_knew_when") or () if row.get("who") == "client"]
    if not rows:
        return "The record has no figures of the load around it, and no signal from clients."
    return words.sentence(f"Clients saw it: {rows[0].get('how')}")


ANSWERS: Mapping[Intent, Callable[[Facts], Answer]] = {
    Intent.WHY: why,
    Intent.HOW_KNOWN: how_known,
    Intent.ELSE: what_else,
    Intent.LOST: lost,
    Intent.STALL: stall,
    Intent.AFFECTED: affected,
    Intent.NOTICED: noticed,
    Intent.CHANGE: change,
}
