"""wait_for_detection: a bounded wait for what the monitor finds, with a live countdown."""

import asyncio
import math
import time
from typing import Any

from pydantic import Field

from tools.detection.monitor import Monitor
from tools.detection.watched import Awaited, Watched
from tools.errors import ToolError
from tools.events import Progress
from tools.observe.signal import Detection, Signal
from tools.tool import Effect, Params, Result, tool

TICK_S = 0.25
"""Between two steps of the countdown."""

GATHER_S = 0.3
"""After a detection, time for other witnesses to speak, so that the answer has more than the first word.
The detection's own time is not moved by it."""

OLD_S = 10.0
"""A detection that nobody asked for in that time, and whose incident is over, is not what is waited for."""

QUIET_S = 5.0
"""How long is watched that no alarm comes where none is due: what is planned is covered for 3 s after it, so
that a false alarm would come in that time."""

JUST_NOW_S = 60.0
"""An injection of longer ago says nothing of what is waited for now."""


class WaitParams(Params):
    """How long to wait."""

    timeout_s: float = Field(30.0, gt=0, le=300, description="Seconds to wait at most.")


@tool(Effect.READ)
async def wait_for_detection(params: WaitParams, watched: Watched) -> Result:
    """Wait until the monitor detects something it has not reported here yet."""
    watched.require_cluster()
    monitor = watched.monitor
    if monitor is None:
        raise ToolError("Nothing is being watched.", "Start a cluster with cluster_start.")
    began = time.monotonic()
    due = _alarm_is_due(watched.awaited)
    bound_s = params.timeout_s if due else min(params.timeout_s, QUIET_S)
    detection = await _wait(monitor, bound_s, watched, "detection" if due else "an alarm that is not due")
    waited_s = time.monotonic() - began
    if detection is None:
        text = f"No detection within {bound_s:g} s{'' if due else ', and none was due'}"
        watched.emit(Progress(text, waited_s, bound_s, done=True))
        return Result(
            summary=text,
            data={
                "detected": False,
                "alarm_due": due,
                "waited_s": round(waited_s, 3),
                "broken_invariants": list(monitor.broken),
            },
            next="Look with cluster_status; go on with the diagnosis from what it shows."
            if due
            else "That is as it should be: say so, and go on with the diagnosis.",
        )
    # Without the wait: beside a detection it would be read as the time from the fault to it.
    watched.emit(Progress(f"Detected: {detection.text}", done=True))
    await asyncio.sleep(GATHER_S)
    together = [made for made in monitor.detections if made.incident == detection.incident]
    together = [made for made in together if made.at >= detection.at]
    monitor.reported = max(made.at for made in together)
    await monitor.recorded()
    return _result(monitor, detection, together, waited_s, _after_fault(watched.awaited, detection), due=due)


def _alarm_is_due(awaited: Awaited | None) -> bool:
    """Tell whether silence would be a failure; what was done long ago says nothing of what comes now."""
    return awaited is None or awaited.alarm_due or time.monotonic() - awaited.at > JUST_NOW_S


async def _wait(monitor: Monitor, timeout_s: float, watched: Watched, what: str) -> Detection | None:
    """Wait in short steps, telling how far it is."""
    began = time.monotonic()
    after = _cursor(monitor)
    while True:
        elapsed_s = time.monotonic() - began
        left_s = timeout_s - elapsed_s
        if left_s <= 0:
            return None
        detection = await monitor.wait(after, min(TICK_S, left_s))
        if detection is not None:
            return detection
        watched.emit(Progress(f"Waiting for {what}", time.monotonic() - began, timeout_s))


def _cursor(monitor: Monitor) -> float:
    """Return the time after which detections are news: not reported yet, and not an incident long over."""
    news = monitor.reported
    for made in monitor.detections:
        over = made.incident not in monitor.open_incidents and time.monotonic() - made.at > OLD_S
        if made.at <= monitor.reported or over:
            news = max(news, made.at)
    return math.nextafter(news, math.inf)


def _after_fault(awaited: Awaited | None, first: Detection) -> dict[str, float]:
    """Return how long after the fault it was seen; nothing if none came before it.

    The monitor has detected by now: that it is compared with a fault here changes nothing it says.
    """
    if awaited is None or awaited.at > first.at:
        return {}
    return {
        "first_signal_after_fault_s": round(min(s.at for s in first.signals) - awaited.at, 4),
        "detected_after_fault_s": round(first.at - awaited.at, 4),
    }


def _result(
    monitor: Monitor,
    first: Detection,
    together: list[Detection],
    waited_s: float,
    after_fault: dict[str, float],
    *,
    due: bool,
) -> Result:
    nodes = list(dict.fromkeys(node for made in together for node in made.nodes))
    began = min(signal.at for signal in first.signals)
    seen = [signal for signal in monitor.signals if signal.at >= began]
    texts = [monitor.name(first.incident) or first.text, *(made.text for made in together[1:])]
    seen_text = "; ".join(dict.fromkeys(texts))
    broken = dict.fromkeys(name for made in together for name in made.invariants)
    return Result(
        {
            "detected": True,
            "alarm_due": due,
            "text": seen_text,
            "nodes": nodes,
            **after_fault,
            "waited_s": round(waited_s, 3),
            "incident": first.incident,
            "broken_invariants": list(dict.fromkeys((*broken, *monitor.broken))),
            "signals": [_signal(signal, began) for signal in seen[:20]],
            "signals_cut": max(0, len(seen) - 20),
        },
        summary=seen_text,
        next="Call diagnose to find out what happened from the evidence.",
        node=nodes[0] if len(nodes) == 1 else None,
    )


def _signal(signal: Signal, began: float) -> dict[str, Any]:
    return {
        "source": signal.source.value,
        "kind": signal.kind,
        "node": signal.node,
        "after_first_s": round(signal.at - began, 4),
        "evidence": signal.evidence,
        "raw": signal.raw[:200],
    }
