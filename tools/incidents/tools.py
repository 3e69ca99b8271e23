"""incident_list: earlier and open incidents, for the model."""

import math
from typing import Any

from pydantic import AwareDatetime, Field

from tools.incidents.record import Incident, utc
from tools.incidents.report import marks
from tools.observe.incident import SeenIncident
from tools.observe.observed import Observed
from tools.tool import Effect, Params, Result, tool

_MEASURED = ("injected", "leader", "load", "writes", "writes_not_measured", "prediction", "undo")
"""What the heal of a fault of ours has measured; null for what nobody of ours injected."""
ALERT_EARLY_S = 60.0
"""An alert may say that it began so much before the first signal: clocks of two machines differ."""
ALERT_LATE_S = 1500.0
"""And so much after the recovery: etcd's own rules wait up to 20 min before they fire."""
MAX_LISTED = 50
MAX_ENTRIES = 40
"""Timeline entries of one incident that are told; the incident's report has all."""


class ListParams(Params):
    """Which incidents to tell of."""

    incident: str | None = Field(
        None, description="The id of one incident, or `last`, to get all that is known of it."
    )
    at: AwareDatetime | None = Field(
        None,
        description="Only incidents under way at this time (RFC 3339), an alert's `startsAt` for example.",
    )
    limit: int = Field(10, ge=1, le=MAX_LISTED, description="How many of the latest incidents to list.")


@tool(Effect.READ)
async def incident_list(params: ListParams, observed: Observed) -> Result:
    """List the latest incidents, or tell one whole."""
    if params.incident is not None:
        latest = observed.incidents.list(1)
        if params.incident == "last" and not latest:
            return Result({"incidents": []}, next="No incident was ever seen here.")
        found = observed.incidents.get(latest[0].id if params.incident == "last" else params.incident)
        return Result({"incident": detailed(found)}, node=found.nodes[0] if len(found.nodes) == 1 else None)
    incidents = observed.incidents.list(MAX_LISTED if params.at else params.limit)
    if params.at is not None:
        at = params.at.timestamp()
        incidents = [one for one in incidents if _under_way(one, at)]
        if not incidents:
            return Result(
                {"incidents": []}, next="Nothing was seen at that time; `diagnose` can look from it on."
            )
    if not incidents:
        return Result({"incidents": []}, next="No incident was ever seen here.")
    return Result(
        {"incidents": [brief(one) for one in incidents]},
        next="Call incident_list with an id to read that incident's timeline.",
    )


def _under_way(incident: SeenIncident, at: float) -> bool:
    """Whether it was open at wall time `at`, give or take how late others' alerts are."""
    return incident.opened - ALERT_EARLY_S <= at <= (incident.recovered or math.inf) + ALERT_LATE_S


def brief(incident: SeenIncident) -> dict[str, Any]:
    """One incident in a few fields."""
    known = incident if isinstance(incident, Incident) else None
    return {
        "id": incident.id,
        "state": incident.state.value,
        "opened": utc(incident.opened),
        "seconds_open": None
        if incident.recovered is None
        else round(incident.recovered - incident.opened, 3),
        "text": incident.text,
        "nodes": list(incident.nodes),
        "reopened": incident.reopened,
        "root_cause": (known.diagnosis or {}).get("root_cause") if known else None,
    }


def detailed(incident: SeenIncident) -> dict[str, Any]:
    """One incident with its timeline and who knew when, seconds counted from its first signal."""
    known = incident if isinstance(incident, Incident) else None
    shown = incident.signals[:MAX_ENTRIES]
    return {
        **brief(incident),
        "cluster": incident.cluster,
        "invariants": list(incident.invariants),
        "timeline": [{**signal.as_json(incident.opened), "text": signal.raw[:200]} for signal in shown],
        "timeline_cut": len(incident.signals) - len(shown),
        "who_knew_when": [{**knower.as_json(), "how": knower.how[:200]} for knower in incident.knew],
        **(_of_the_record(known) if known else {}),
    }


def _of_the_record(incident: Incident) -> dict[str, Any]:
    """What was done and concluded: not for who only observes, not even by the names of the fields."""
    return {
        "healed": None if incident.healed is None else round(incident.healed - incident.opened, 3),
        "heal": incident.heal_text or None,
        "diagnosis": incident.diagnosis,
        "marks_s": marks(incident),
        **{name: incident.figures.get(name) for name in _MEASURED},
    }
