"""The chaos demo as a state machine over the results so far: what was done last says what comes next."""

from agent.models.playbook.narration import tell
from agent.models.playbook.record import Record, Seen
from agent.models.playbook.settings import Settings, given, settings
from agent.models.playbook.step import Step
from agent.models.playbook.words import joined

_INJECT = ("store_kill", "fault_inject")
_HEAL = ("store_restart", "fault_heal")


def next_step(record: Record) -> Step:
    """Return the next step of the demo that was asked for last."""
    wanted = settings(record.request)
    if not record.since:
        return Step("First a look at the cluster.", "cluster_status")
    last = record.since[-1]
    told = tell(last)
    match last.tool:
        case "cluster_status":
            return _after_status(told, last, wanted)
        case "cluster_start" if last.ok:
            return _load(told, wanted)
        case "load_start":
            return _inject(told, record, wanted)
        case "store_kill" | "fault_inject" if last.ok:
            text = joined(told, "Now the monitor has to see it; it does not know what was done.")
            return Step(text, "wait_for_detection", given(timeout_s=wanted.timeout_s))
        case "wait_for_detection":
            return Step(joined(told, "Next, a diagnosis from evidence alone."), "diagnose")
        case "diagnose":
            return _heal(told, record)
        case "store_restart" | "fault_heal":
            return _end(told, last)
        case _:
            return _give_up(told, record)


def _after_status(told: str, last: Seen, wanted: Settings) -> Step:
    if last.ok and last.data.get("state") == "healthy":
        return _load(told, wanted)
    return Step(joined(told, "I start it."), "cluster_start")


def _load(told: str, wanted: Settings) -> Step:
    text = joined(told, "Next, load, and the baseline that later figures are compared with.")
    return Step(text, "load_start", given(workload=wanted.workload, rate=wanted.rate))


def _inject(told: str, record: Record, wanted: Settings) -> Step:
    load = record.tried("load_start")
    without = "" if load and load.ok else "I go on without load: there will be no figures of it."
    if wanted.kills:
        return Step(joined(told, without, "Now I kill a store."), "store_kill", given(node=wanted.target))
    return Step(
        joined(told, without, f"Now I inject the fault {wanted.fault}."),
        "fault_inject",
        given(fault=wanted.fault, node=wanted.target),
    )


def _heal(told: str, record: Record) -> Step:
    injected = record.last(*_INJECT, since=True)
    if injected is None:
        return _give_up(told, record)
    if injected.tool == "store_kill":
        return Step(
            joined(told, "I start the store again."), "store_restart", given(node=injected.data.get("node"))
        )
    return Step(joined(told, "I undo the fault."), "fault_heal", given(fault=injected.data.get("fault")))


def _end(told: str, last: Seen) -> Step:
    if not last.ok:
        return Step(joined(told, "The host heals what is still open before the program ends."))
    answered = "Ask me why it failed, how I know, what was lost, or how you would have noticed."
    return Step(joined(told, "That was the demo.", answered))


def _give_up(told: str, record: Record) -> Step:
    if record.last(*_INJECT, since=True) and not record.tried(*_HEAL):
        return _heal(told, record)
    return Step(joined(told, "I stop here: the next step of the demo needs this one."))
