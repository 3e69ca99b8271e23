"""The chaos demo as a state machine over the results so far: the last result says what comes next."""

from collections.abc import Mapping
from typing import Any

from agent.demo.request import DemoRequest
from agent.models.offline.narration import tell
from agent.models.offline.record import HEALS, Record, Seen, Step
from agent.models.offline.words import given, joined

LOAD_TRIES = 3
HOST_HEALS = "What is still open is healed before the demo ends."


def next_step(record: Record, wanted: DemoRequest) -> Step:
    """Return the next step of the demo that was asked for last."""
    if not record.since:
        return Step("Checking the cluster first.", "cluster_status")
    last = record.since[-1]
    so_far = tell(last)
    if last.declined:
        broken = any(seen.injected for seen in record.since)
        return Step(joined(so_far, HOST_HEALS if broken else ""))
    match last.tool:
        case "cluster_status":
            return _after_status(so_far, last, wanted)
        case "cluster_start" if last.ok:
            return _load(so_far, wanted)
        case "load_start" if not last.ok:
            return Step(joined(so_far, "I see whether a load runs already."), "load_status")
        case "load_start" if last.data.get("steady") is False:
            return _less_load(so_far, record)
        case "load_stop":
            return Step(joined(so_far, "Again, with half the load."), "load_start", _halved(record, wanted))
        case "load_start" | "load_status":
            return _inject(so_far, last, wanted)
        case "store_kill" | "fault_inject" if last.injected:
            text = joined(so_far, "Now the monitor has to see it; it does not know what was done.")
            return Step(text, "wait_for_detection", given(timeout_s=wanted.timeout_s))
        case "wait_for_detection":
            return Step(joined(so_far, "Next, a diagnosis from evidence alone."), "diagnose")
        case "store_restart" | "fault_heal":
            return _end(so_far, last)
        case _:
            return _heal_or_stop(so_far, record)


def _after_status(so_far: str, last: Seen, wanted: DemoRequest) -> Step:
    if last.ok and last.data.get("state") == "healthy":
        return _load(so_far, wanted)
    return Step(joined(so_far, "I start it."), "cluster_start")


def _load(so_far: str, wanted: DemoRequest) -> Step:
    text = joined(so_far, "Next, load, and the baseline that later figures are compared with.")
    return Step(text, "load_start", given(workload=wanted.workload, rate=wanted.rate))


def _less_load(so_far: str, record: Record) -> Step:
    """Try what the machine may carry; without a steady baseline nothing is broken, since nothing is shown."""
    if sum(seen.tool == "load_start" for seen in record.since) < LOAD_TRIES:
        return Step(joined(so_far, "Stopping the load."), "load_stop", {"verify": False})
    return Step(
        joined(
            so_far,
            "I break nothing: what a fault does could not be told from what this machine does without one.",
            "Try again when less runs beside it.",
        )
    )


def _halved(record: Record, wanted: DemoRequest) -> Mapping[str, Any]:
    last = next(seen for seen in reversed(record.since) if seen.tool == "load_start")
    return given(workload=wanted.workload, rate=float(last.data["rate_per_s"]) / 2)


def _inject(so_far: str, last: Seen, wanted: DemoRequest) -> Step:
    running = last.tool == "load_start" or last.data.get("running")
    without = "" if running else "I go on without load: there will be no figures of it."
    tool, arguments = wanted.injection
    what = "I kill a store" if tool == "store_kill" else f"I inject the fault {wanted.fault}"
    return Step(joined(so_far, without, f"Now {what}."), tool, arguments)


def _heal_or_stop(so_far: str, record: Record) -> Step:
    """Undo what was broken, if something was and that was not tried yet; else the demo can't go on."""
    broken = next((seen for seen in reversed(record.since) if seen.injected), None)
    if broken is None or record.tried(*HEALS):
        return Step(joined(so_far, "I stop here: the next step of the demo needs this one."))
    if broken.tool == "store_kill":
        text = joined(so_far, "I start the store again.")
        return Step(text, "store_restart", given(node=broken.data.get("node")))
    return Step(joined(so_far, "I undo the fault."), "fault_heal", given(fault=broken.data.get("fault")))


def _end(so_far: str, last: Seen) -> Step:
    if not last.ok:
        return Step(joined(so_far, HOST_HEALS))
    answered = "Ask what broke, how sure I am, what was lost, or for a summary."
    return Step(joined(so_far, "That was the demo.", answered))
