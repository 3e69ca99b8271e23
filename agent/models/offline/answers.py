"""Answers to the questions of after an incident, each from what `incident_list` returns of it."""

from collections.abc import Callable, Mapping
from typing import Any

from agent.models.offline import words
from agent.models.offline.narration import writes
from tools.observe.signal import WHO

Data = Mapping[str, Any]
NOT_MEASURED = "not measured"


def what(i: Data) -> str:
    """What broke, and why, as the diagnosis has it."""
    found = _of(i, "diagnosis")
    did = injected(i) if i.get("injected") else ""
    if not found:
        return words.joined(
            words.sentence(i.get("text")), did, "" if did else "It has no diagnosis yet; try: `diagnose`."
        )
    ids = words.listed(cited.get("id") for cited in found.get("evidence") or ())
    return words.joined(
        f"{words.sentence(i.get('text'))} {words.sentence(found.get('observation'))}",
        f"Root cause ({found.get('confidence')} confidence, {ids}):",
        words.sentence(found.get("root_cause")),
        did,
    )


def injected(i: Data) -> str:
    """What this program did itself; the diagnosis did not know it."""
    did = _of(i, "injected")
    if not did:
        return "No fault of operator's is in this incident's record; `operator fault list` shows open ones."
    nodes = _nodes(did)
    seen = did.get("effect") or "no effect"
    return f"operator itself injected it: {did.get('kind')} of {nodes}; seen: {seen}."


def leader(i: Data) -> str:
    """Who led before, under the fault and now."""
    led = _of(i, "leader")
    if not led:
        return "Who led at the time is not in this incident's record; try: `status` for who leads now."
    if all(led.values()) and len(moves := _moves(led)) == 1:
        return f"{moves[0]} led throughout: before it, under the fault and at the end."
    before, now = led.get("before") or "no node", led.get("now") or "no node"
    under = led.get("under_fault") or "no node"
    return f"{before} led before it, {under} when the healing began, {now} at the end."


def elected(i: Data) -> str:
    """Whether the leader changed."""
    led = _of(i, "leader")
    if not led:
        return leader(i)
    moves = _moves(led)
    if len(moves) == 1:
        return f"No: {moves[0]} led before, under the fault and at the end."
    return f"Yes, the leader changed: {' → '.join(moves)}."


def quorum(i: Data) -> str:
    """Whether a majority was there all the time, as far as the monitor saw."""
    broken = i.get("invariants") or ()
    if "quorum" in broken:
        return words.joined("Yes: quorum was lost.", duration(i))
    said = words.listed(broken) or "no invariant"
    return f"No loss of quorum was detected: what broke was {said}, of {words.listed(i.get('nodes') or ())}."


def lost(i: Data) -> str:
    """What reading back every acknowledged write found."""
    check = _of(i, "writes")
    if check:
        return writes(check)
    why = i.get("writes_not_measured") or "no acknowledged write was read back in this incident"
    return f"What was lost is {NOT_MEASURED}: {why}. Try: `stop the load`, which reads back every write."


def consistent(i: Data) -> str:
    """What reading back shows of the data, and what it does not."""
    return words.joined(lost(i), "That shows lost and changed writes; it is no check of linearizability.")


def duration(i: Data) -> str:
    """When it began, was detected, healed and recovered."""
    marks, load = _of(i, "marks_s"), _of(i, "load")
    names = ("injected", "detected", "healed", "recovered")
    known = sorted((marks[name], name) for name in names if marks.get(name) is not None)
    parts = [f"{name} at {_s(at)}" for at, name in known]
    lasted = i.get("seconds_open")
    return words.joined(
        f"From the first signal ({i.get('opened')}) to recovery it took {_s(lasted)}."
        if lasted is not None
        else f"It began at {i.get('opened')} and is not over in the record.",
        f"Seconds after the first signal: {', '.join(parts)}." if parts else "",
        f"Clients saw errors for {_s(load['seconds_with_errors'])}." if "seconds_with_errors" in load else "",
    )


def blast(i: Data) -> str:
    """What it touched: nodes, invariants, clients."""
    return words.joined(
        f"Nodes: {words.listed(i.get('nodes') or ()) or 'none'}.",
        f"Broken: {words.listed(i.get('invariants') or ()) or 'no invariant'}.",
        clients(i),
        lost(i) if i.get("writes") else "",
    )


def clients(i: Data) -> str:
    """What clients got, before, during and after."""
    load = _of(i, "load")
    spans = [
        f"{name} {in_words}"
        for name in ("before", "during", "after")
        if (in_words := words.load(load.get(name) or {}))
    ]
    if not spans:
        return _client_signals(i)
    failed, stall = load.get("failed_operations"), load.get("longest_stall_s")
    return words.joined(
        f"Clients: {'; '.join(spans)}.",
        f"{failed} operations failed in {_s(load.get('seconds_with_errors'))}." if failed else "None failed.",
        f"The longest stall was {_s(stall)}." if stall else "No whole second passed without a success.",
    )


def _client_signals(i: Data) -> str:
    """What the monitor saw of clients, where no heal of a fault has compared before, during and after."""
    seen = [
        f"{_s(e.get('seconds'))}: {e.get('text')}"
        for e in i.get("timeline") or ()
        if e.get("source") == "client"
    ]
    if not seen:
        return (
            f"What clients saw is {NOT_MEASURED}: this incident has no figures of a load, and no signal of "
            "clients is in its timeline."
        )
    more = f"; {words.count(len(seen) - 3, 'more signal')}" if len(seen) > 3 else ""
    return f"Clients, by the monitor's signals, after the first one: {'; '.join(seen[:3])}{more}."


def stall(i: Data) -> str:
    """Why clients were held up, with the figures, and that they were not where the figures say so."""
    led = _of(i, "leader")
    moved = led.get("before") and led.get("before") != (led.get("under_fault") or led.get("now"))
    return words.joined(
        f"The leader was lost ({led['before']}), and nothing is written until another is elected."
        if moved
        else "",
        clients(i),
        f"Predicted: {words.sentence(_of(i, 'prediction').get('text'))}" if i.get("prediction") else "",
        f"Diagnosed: {words.sentence(_of(i, 'diagnosis').get('root_cause'))}" if i.get("diagnosis") else "",
    )


def predicted(i: Data) -> str:
    """Each prediction beside what was observed."""
    compared = _of(i, "prediction").get("compared") or ()
    if not compared:
        return "Nothing was predicted: this incident is no fault that operator injected and healed."
    held = {True: "as predicted", False: "NOT as predicted", None: NOT_MEASURED}
    return "\n".join(
        f"- {each['what']}: predicted {each['predicted']}; observed {each['observed']} ({held[each['held']]})"
        for each in compared
    )


def sure(i: Data) -> str:
    """How confident the diagnosis is, on what, and what would change it."""
    found = _of(i, "diagnosis")
    if not found:
        return "It has no diagnosis yet; try: `diagnose`."
    cited = found.get("evidence") or ()
    check = "every quotation was checked against the record" if found.get("verified") else "NOT verified"
    return words.joined(
        f"Confidence {found.get('confidence')}, by {found.get('by')}: {len(cited)} citations "
        f"({words.listed(each.get('id') for each in cited)}), {check}.",
        f"It would change with: {words.sentence(found.get('would_change'))}"
        if found.get("would_change")
        else "",
        _against_truth(i, found),
    )


def _against_truth(i: Data, found: Data) -> str:
    did = _of(i, "injected")
    if not did:
        return ""
    nodes = _nodes(did)
    diagnosed = f"{found.get('kind')} of {found.get('node')}"
    return f"Injected: {did.get('kind')} of {nodes}; diagnosed, without knowing it: {diagnosed}."


def evidence_all(i: Data) -> str:
    """The evidence, word for word."""
    cited = _of(i, "diagnosis").get("evidence") or ()
    if not cited:
        return "No diagnosis with evidence is in the record; try: `diagnose`."
    return "\n".join(f"- {e.get('id')}: {words.sentence(e.get('claim'))} “{e.get('quote')}”" for e in cited)


def alternatives(i: Data) -> str:
    """What else it could have been, and what rules it out."""
    found = _of(i, "diagnosis")
    if not found:
        return "It has no diagnosis yet; try: `diagnose`."
    rows = [
        f"- {o.get('cause')}: {words.sentence(o.get('ruled_out_by'))}" for o in found.get("ruled_out") or ()
    ]
    held = f"Diagnosed ({found.get('confidence')} confidence): {words.sentence(found.get('root_cause'))}"
    ruled_out = "Ruled out:\n" + "\n".join(rows) if rows else "Nothing was ruled out."
    change = found.get("would_change")
    return f"{held}\n\n{ruled_out}" + (
        f"\n\nIt would change with: {words.sentence(change)}" if change else ""
    )


_KILLED = dict.fromkeys(("kill", "leader_kill", "quorum_loss"), "No: operator sent SIGKILL itself")
_LIVING = ("pause", "partition", "slow_disk", "disk_full", "overload", "network_delay")
"""Kinds of failures that end no process."""
_NOT_KILLED = "Nothing says so: operator injected a fault that ends no process"


def _nodes(of: Data) -> str:
    return words.listed(of.get("nodes") or ())


def oom(i: Data) -> str:
    """Whether it was the OOM killer, as far as anybody asked."""
    found, did = _of(i, "diagnosis"), _of(i, "injected")
    rows = [*(found.get("ruled_out") or ()), *(found.get("evidence") or ())]
    said = [row for row in rows if "oom" in str(row).lower() or "memory" in str(row).lower()]
    in_words = words.joined(
        f"{_KILLED.get(str(did.get('kind')), _NOT_KILLED)} ({did.get('kind')} of {_nodes(did)})."
        if did
        else "",
        *(words.sentence(row.get("ruled_out_by") or row.get("quote")) for row in said),
    )
    if not in_words and found.get("kind") in _LIVING:
        return f"Nothing says so: the diagnosis is {found['kind']} of {_nodes(found)}, and no process ended."
    return in_words or (
        "Not known: no record of the OOM killer is in this incident. Try: `dmesg -T | grep -i oom` or "
        f"`journalctl -k` on the machine of {words.listed(i.get('nodes') or ['the node'])}."
    )


def alerts(i: Data) -> str:
    """Who knew when, and the usual alert by its definition."""
    rows = [
        f"- {k.get('who')}: after {_s(k.get('seconds'))} ({k.get('how')})"
        if k.get("measured") is not False
        else f"- {k.get('who')} would fire after {_s(k.get('seconds'))}, by its definition ({k.get('how')})"
        for k in i.get("who_knew_when") or ()
    ]
    return "\n".join(rows) or "The record does not say who knew when."


def change(i: Data) -> str:
    """The actions that the diagnosis suggests."""
    actions = _of(i, "diagnosis").get("suggested_actions") or ()
    if not actions:
        return "No actions were suggested."
    since = (
        f"The incident is {i.get('state')}; when it was diagnosed, this was advised:\n\n" if _over(i) else ""
    )
    return since + "\n".join(f"- {words.sentence(action)}" for action in actions)


def _over(i: Data) -> bool:
    return i.get("seconds_open") is not None


def recovered(i: Data) -> str:
    """Whether it recovered, and by what."""
    undo, heal = _of(i, "undo"), i.get("heal")
    state = (
        f"State: {i.get('state')}, after {_s(i.get('seconds_open'))}."
        if i.get("seconds_open")
        else f"State: {i.get('state')}."
    )
    verified = {True: "Recovery was verified.", False: "Recovery was NOT verified."}
    return words.joined(
        state,
        words.sentence(f"Healed by: {heal}") if heal else "",
        verified.get(bool(undo.get("recovered")), "") if undo else "",
    )


def order(i: Data) -> str:
    """The timeline."""
    rows = [
        f"- {_s(e.get('seconds'))} {WHO.get(e.get('source'), e.get('source'))}: {e.get('text')}"
        for e in (i.get("timeline") or ())[:15]
    ]
    return "\n".join(rows) or "The timeline is empty."


def summary(i: Data) -> str:
    """A summary to paste: a line for each thing that is asked first."""
    found, led, marks, load = (_of(i, name) for name in ("diagnosis", "leader", "marks_s", "load"))
    known = [f"{name} {_s(marks[name])} later" for name in ("detected", "recovered") if marks.get(name)]
    lasted = f", {_s(i['seconds_open'])}" if i.get("seconds_open") else ""
    ids = words.listed(cited.get("id") for cited in found.get("evidence") or ())
    moves = _moves(led)
    failed = load.get("failed_operations")
    rows = (
        ("When", f"first signal {i.get('opened')}{f'; {words.listed(known)}' if known else ''}"),
        (
            "Cause",
            f"{words.sentence(found['root_cause'])} Confidence {found.get('confidence')}; {ids}."
            if found
            else "",
        ),
        ("Trigger", injected(i) if i.get("injected") else ""),
        (
            "Clients",
            f"{failed} operations failed in {_s(load.get('seconds_with_errors'))}; "
            f"before {words.load(load.get('before'))}; during {words.load(load.get('during'))}."
            if failed is not None and load.get("before") and load.get("during")
            else "",
        ),
        ("Leader", f"{' → '.join(moves)}{' throughout' if len(moves) == 1 else ''}." if moves else ""),
        ("Writes", lost(i)),
        (
            "Advised when it was diagnosed" if _over(i) else "Next",
            words.sentence(next(iter(found.get("suggested_actions") or ()), "")),
        ),
    )
    head = f"**{i.get('text')}** ({i.get('state')}{lasted})"
    told = "\n".join(f"- {name}: {said}" for name, said in rows if said)
    return f"{head}\n\n{told}\n- Incident: {i.get('id')}, {i.get('cluster')}."


def _moves(led: Data) -> list[str]:
    """Return who led, one after another."""
    path = [name for name in (led.get("before"), led.get("under_fault"), led.get("now")) if name]
    return [name for n, name in enumerate(path) if not n or name != path[n - 1]]


def _of(i: Data, name: str) -> Data:
    found = i.get(name)
    return found if isinstance(found, Mapping) else {}


def _s(value: Any) -> str:
    return words.seconds(value) or NOT_MEASURED


_ALL = (
    *(what, injected, leader, elected, lost, consistent, quorum, duration, blast, stall, predicted, sure),
    *(evidence_all, alternatives, oom, alerts, change, recovered, order, summary),
)
ANSWERS: Mapping[str, Callable[[Data], str]] = {answer.__name__: answer for answer in _ALL}
"""By the name of the question in questions.txt."""
