"""diagnose, for whoever runs the session; submit_diagnosis, for the diagnostician alone."""

from dataclasses import replace

from pydantic import AwareDatetime, Field

from tools.diagnosis.base import Case, beside, case_of
from tools.diagnosis.examination import Diagnosing, Examination
from tools.diagnosis.schema import Findings
from tools.events import Diagnosed, Progress
from tools.observe.observed import Observed
from tools.tool import Effect, Params, Result, tool


def open_case(observed: Observed, incident: str | None = None, since: float | None = None) -> Case:
    """Return the case of `incident`, else of all since wall time `since`, else of the latest detection.

    Without any of them it is a check of the last minute.

    Raises UnknownIncident when there is none of that id.
    """
    made = observed.monitor.detections if observed.monitor else ()
    if incident is None and since is not None:
        detections = [each for each in made if each.wall >= since]
        return replace(case_of(detections), opened_wall=since)
    wanted = incident or (made[-1].incident if made else None)
    detections = [each for each in made if each.incident == wanted]
    if incident is not None and not detections:
        return Case(incident, None, observed.incidents.get(incident).opened)
    under_way = observed.monitor.open_incidents if observed.monitor else ()
    return case_of(detections, beside(made, wanted, under_way))


class DiagnoseParams(Params):
    """Which incident. There is no free text on purpose: nothing may reach the diagnostician but evidence."""

    incident: str | None = Field(
        None, description="Id of the incident; without it, the latest detection of this session."
    )
    since: AwareDatetime | None = Field(
        None, description="Look at what is known from this time on (RFC 3339): an alert's `startsAt`."
    )


@tool(Effect.READ)
async def diagnose(params: DiagnoseParams, session: Diagnosing) -> Result:
    """Let the diagnostician look, and keep what it found with the incident."""
    session.require_cluster()
    case = open_case(session, params.incident, params.since.timestamp() if params.since else None)
    session.emit(Progress(f"Diagnosing ({session.diagnostician.by}), from evidence alone"))
    found = await session.diagnosed(case)
    result = found.as_result()
    if case.incident is not None:
        if session.monitor is not None:
            await session.monitor.recorded()
        result = session.keep(case.incident, found)
    session.emit(Diagnosed(result))
    advice = "Tell the person the conclusion, its confidence, and the evidence ids it rests on."
    if not found.verified:
        advice += " It was not verified: say so, and name the problems."
    return Result(
        {"diagnosis": result, "incident": case.incident},
        next=advice,
        summary=f"{found.kind} of {', '.join(found.nodes) or 'no node'}, confidence {found.confidence}",
    )


@tool(Effect.READ)
async def submit_diagnosis(params: Findings, examination: Examination) -> Result:
    """Check the findings; the first submission with problems may be repaired once."""
    problems = examination.submit(params)
    if not problems:
        return Result({"accepted": True}, next="You are done: answer with one short sentence.")
    if examination.may_repair:
        return Result(
            {"accepted": False, "problems": list(problems)},
            ok=False,
            next="Repair exactly these problems and submit once more; gather more evidence if you need it.",
        )
    return Result(
        {"accepted": True, "lowered": True, "problems": list(problems)},
        next="It is kept with less confidence. You are done: answer with one short sentence.",
    )
