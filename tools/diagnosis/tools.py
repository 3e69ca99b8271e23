"""diagnose, for whoever runs the session; submit_diagnosis, for the diagnostician alone."""

from pydantic import Field

from tools.diagnosis.base import Case, case_of
from tools.diagnosis.blind import BlindWorkbench
from tools.diagnosis.schema import Diagnosis, Findings
from tools.events import Diagnosed, Progress
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger
from tools.tool import Effect, Params, Result, failure, tool
from tools.workbench import Workbench

RAW_CHARS = 4_000
"""Of each piece of cited evidence, what is kept with the incident for its report."""


def open_case(workbench: Workbench, incident: str | None = None) -> Case:
    """Return the case of `incident`, else of the latest detection, else of the last minute.

    Raises UnknownIncident when there is none of that id.
    """
    made = workbench.monitor.detections if workbench.monitor else ()
    wanted = incident or (made[-1].incident if made else None)
    detections = [each for each in made if each.incident == wanted]
    if incident is not None and not detections:
        return Case(incident, None, workbench.incidents.get(incident).opened)
    return case_of(detections)


class DiagnoseParams(Params):
    """Which incident. There is no free text on purpose: nothing may reach the diagnostician but evidence."""

    incident: str | None = Field(
        None, description="Id of the incident; without it, the latest detection of this session."
    )


@tool(Effect.READ)
async def diagnose(params: DiagnoseParams, workbench: Workbench) -> Result:
    """Let the diagnostician look, and keep what it found with the incident."""
    workbench.require_cluster()
    case = open_case(workbench, params.incident)
    workbench.emit(Progress(f"Diagnosing ({workbench.diagnostician.by}), from evidence alone"))
    found = await workbench.diagnostician.diagnose(case, workbench)
    result = found.as_result()
    if case.incident is not None:
        if workbench.monitor is not None:
            await workbench.monitor.recorded()
        keep(workbench.incidents, case.incident, found, workbench.ledger)
    workbench.emit(Diagnosed(result))
    advice = "Tell the person the conclusion, its confidence, and the evidence ids it rests on."
    if not found.verified:
        advice += " It was not verified: say so, and name the problems."
    return Result(
        {"diagnosis": result, "incident": case.incident},
        next=advice,
        summary=f"{found.kind} of {', '.join(found.nodes) or 'no node'}, confidence {found.confidence}",
    )


def keep(incidents: IncidentStore, incident: str, found: Diagnosis, ledger: Ledger) -> None:
    """Store a diagnosis with its incident, and the raw evidence that it cites beside it."""
    raw = {}
    for cited in found.evidence:
        item = ledger.get(cited.id)
        if item is not None:
            raw[cited.id] = {
                "source": item.source,
                "node": item.node,
                "wall": item.wall,
                "text": item.text[:RAW_CHARS],
            }
    with incidents.transaction():
        incidents.set_diagnosis(incident, found.as_result())
        incidents.set_figures(incident, {"evidence": raw})


@tool(Effect.READ, diagnostician_only=True)
async def submit_diagnosis(params: Findings, workbench: Workbench) -> Result:
    """Check the findings; the first submission with problems may be repaired once."""
    if not isinstance(workbench, BlindWorkbench):
        return failure(
            "submit_diagnosis is for the diagnostician's own conversation.", "Call diagnose instead."
        )
    problems = workbench.submit(params)
    if not problems:
        return Result({"accepted": True}, next="You are done: answer with one short sentence.")
    if workbench.may_repair:
        return Result(
            {"accepted": False, "problems": list(problems)},
            ok=False,
            next="Repair exactly these problems and submit once more; gather more evidence if you need it.",
        )
    return Result(
        {"accepted": True, "lowered": True, "problems": list(problems)},
        next="It is kept with less confidence. You are done: answer with one short sentence.",
    )
