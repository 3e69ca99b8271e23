"""Answers to questions about a failure, each from the record or not at all."""

from collections.abc import Callable, Mapping
from typing import Any

from agent.models.playbook import words
from agent.models.playbook.facts import Facts
from agent.models.playbook.intents import Intent
from agent.models.playbook.narration import after, fault
from agent.models.playbook.record import Seen
from agent.models.playbook.step import Step

Answer = str | Step
"""Words, or the read that has to come first."""

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
    found, _ = facts.diagnosis
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
    return "These were considered and ruled out:\n\n" + "\n".join(lines) + tail


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
    checked = _write_check(facts)
    if checked is None:
        if facts.record.tried("load_status") is None:
            return Step("I look at what the load knows.", "load_status")
        return (
            "That was not verified: no acknowledged write was read back in what is recorded here. "
            "Say `stop the load`, and every acknowledged write is read back and compared."
        )
    seen, check = checked
    return words.joined(_said_of_writes(check, seen.evidence))


def _write_check(facts: Facts) -> tuple[Seen, Mapping[str, Any]] | None:
    for seen in reversed(facts.record.seen):
        for found in (seen.data, seen.data.get("writes"), seen.data.get("verified_writes")):
            if isinstance(found, Mapping) and any(
                isinstance(found.get(key), int) for key in ("lost", "acknowledged_writes_lost")
            ):
                return seen, found
    return None


def _said_of_writes(check: Mapping[str, Any], evidence: str | None) -> str:
    gone = check.get("lost", check.get("acknowledged_writes_lost"))
    unreadable = check.get("unreadable") or 0
    of = f" of {check['acknowledged']} acknowledged writes" if check.get("acknowledged") is not None else ""
    if unreadable:
        return f"{unreadable} keys could not be read back{words.cite(evidence)}, so nothing is proven."
    verdict = "No acknowledged write was lost" if not gone else f"{gone} keys lost an acknowledged write"
    return words.joined(
        f"{verdict}{of}{words.cite(evidence)}.",
        f"{check['changed']} keys hold a value that nobody wrote." if check.get("changed") else "",
        f"{check['indeterminate']} writes got no answer: they may or may not have happened."
        if check.get("indeterminate")
        else "",
    )


def stall(facts: Facts) -> Answer:
    """Compare the load before and after, and repeat what was predicted; never explain beyond that."""
    injected, healed = facts.fault, facts.heal
    if injected is None and (step := facts.look_up()):
        return step
    baseline = facts.record.last("load_start")
    before = words.load(baseline.data.get("baseline")) if baseline else ""
    found, evidence = facts.diagnosis
    told = words.joined(
        f"Before the failure the load ran at {before}{words.cite(baseline.evidence)}."
        if baseline and before
        else "",
        fault(injected) if injected else "",
        after(healed.data) if healed else "",
        words.sentence(f"The diagnosis{words.cite(evidence)} says: {found['root_cause']}")
        if found.get("root_cause")
        else "",
    )
    return told or "The record holds neither a failure nor figures of the load, so I cannot say."


def affected(facts: Facts) -> Answer:
    """Say how long the incident lasted, and what clients saw of it."""
    if step := facts.look_up():
        return step
    incident, evidence = facts.incident
    if not incident:
        return NOTHING
    lasted = words.seconds(incident.get("seconds_open"))
    client = [row for row in incident.get("who_knew_when") or () if row.get("who") == "client"]
    return words.joined(
        f"From the first signal to the recovery of every view it took {lasted}{words.cite(evidence)}."
        if lasted
        else f"The incident is not closed in the record{words.cite(evidence)}.",
        "The load's clients saw it too: " + words.sentence(client[0].get("how"))
        if client
        else "The load's clients raised no signal.",
    )


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
