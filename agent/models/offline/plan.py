"""From a request to the next reply: the demo, a plain order, or questions; all else is not supported."""

import re
from collections.abc import Mapping

from agent.models.offline import demo, words
from agent.models.offline.alert import PastedAlert, pasted_alert
from agent.models.offline.answers import ANSWERS
from agent.models.offline.narration import figures, tell
from agent.models.offline.questions import understand
from agent.models.offline.record import Record, Seen, Step
from agent.models.offline.words import given
from agent.orders import normalized, read_demo, read_order
from tools.faults.catalogue import CATALOGUE

HELP = """Orders, which act (plainly worded, and nothing else beside them):

- `run the chaos demo`, also `with fault pause on the leader`
- `start the cluster`, `start load`, `stop the load`, `stop the cluster`
- `kill etcd-2`, `pause the leader`, `inject network_delay on a follower`, `restart etcd-2`, `undo everything`

Questions, answered from the record:

- `what broke?`, `who led?`, `did the leader change?`, `was it the OOM killer?`, `what else could it be?`
- `how sure are you?`, `how do you know?`, `what does E7 say?`, `what was predicted?`
- `was anything lost?`, `how long?`, `blast radius?`, `why did writes stall?`
- `what would have told me?`, `what should I change?`, `a summary for Slack`
- `status`, `which version?`, `how far behind?`, `logs etcd-2`, `incidents`, `list faults`
- an alert, pasted as Alertmanager sends it (JSON)

For anything else set ANTHROPIC_API_KEY: then Claude answers."""

UNKNOWN = "Not supported offline; try: `help`. With ANTHROPIC_API_KEY set, Claude answers from the record."
NOTHING = "There is no incident in the record: nothing was detected here, and no earlier one is kept."
_READS = {"status": "cluster_status", "load": "load_status", "incidents": "incident_list"}
_OF_A_NODE = {"what", "oom", "else", "blast", "recovered", "duration", "injected"}
"""Questions whose answer is about the incident's nodes: one that names another node is told so."""
_NODE = re.compile(r"\b[a-z]+(?:[-_][a-z]+)*[-_]?\d+\b")
_ORDER_SAID = re.compile(
    r"^(?:please )?(?:kill|pause|freeze|partition|inject|restart|stop|start|heal|undo|restore)\b[^?]*$"
    r"|\bdemo\b"
)


def plan(record: Record) -> Step:
    """Return the next step for the latest request."""
    if record.demo is not None:
        return demo.next_step(record, record.demo)
    if alert := pasted_alert(record.request):
        return _explained(record, alert)
    broken = record.broken
    if order := read_order(record.request, broken.data.get("node") if broken else None):
        done = record.tried(order.tool)
        return (
            Step(f"I call {order.tool}.", order.tool, order.arguments) if done is None else Step(tell(done))
        )
    if read_demo(record.request) is not None:
        return Step("The session is read-only: /mode ask lets the demo act.")
    if re.fullmatch(
        r"(?:please )?(?:diagnose|(?:run|start|make) (?:a |the )?diagnosis)"
        r"(?: it| this| that| the (?:cluster|incident|outage))?(?: now| please| again)?"
        r"|(?:wait|watch) for (?:a |the )?detection",
        normalized(record.request).strip(" .!"),
    ):
        return _once(record, "diagnose" if "diag" in record.request.lower() else "wait_for_detection")
    questions = understand(record.request)
    if not questions:
        hint = (
            " An order is one plain act, such as `kill etcd-2`, `undo everything` or `run the chaos demo`."
            if _ORDER_SAID.search(record.request.lower())
            else ""
        )
        return Step(UNKNOWN + hint)
    replies = [_reply(record, question) for question in questions]
    waiting = next((step for step in replies if step.tool is not None), None)
    return waiting or Step("\n\n".join(step.say for step in replies))


def _reply(record: Record, question: str) -> Step:
    match question:
        case "help":
            return Step(HELP)
        case "faults":
            rows = "\n".join(f"- {kind}: {fault.meaning}" for kind, fault in CATALOGUE.items())
            return Step(f"The faults, of which `operator doctor` says which work here:\n\n{rows}")
        case "evidence":
            ids = [name.upper() for name in re.findall(r"\b[a-z]\d+\b", record.request.lower())]
            return _once(record, "timeline", evidence=ids)
        case "logs":
            return _logs(record)
        case "open_faults":
            return Step("`operator fault list` shows open faults; `/restore` in the chat heals them.")
        case "report":
            return Step("`operator incidents report --format html --to report.html` writes the report.")
        case "figures":
            seen = record.tried("cluster_status")
            if seen is not None and seen.ok and seen.data.get("nodes"):
                return Step(f"Each node's own word ({seen.evidence}):\n\n{figures(seen.data)}")
            return _once(record, "cluster_status")
        case "incidents" | "status" | "load":
            return _once(record, _READS[question])
    found = _incident(record)
    if isinstance(found, Step):
        return found
    incident, cite = found
    return Step(f"{_elsewhere(record, question, incident)}{ANSWERS[question](incident)}{cite}")


def _elsewhere(record: Record, question: str, incident: Mapping[str, object]) -> str:
    """Say that the incident is not about the node that was named, lest the answer is taken for its own."""
    named = list(dict.fromkeys(_NODE.findall(normalized(record.request))))
    nodes = incident.get("nodes")
    if question not in _OF_A_NODE or not named or not isinstance(nodes, list) or set(named) & set(nodes):
        return ""
    verb = "is" if len(named) == 1 else "are"
    return f"{words.listed(named)} {verb} not among this incident's nodes ({words.listed(nodes) or 'none'}). "


def _explained(record: Record, alert: PastedAlert) -> Step:
    """Start at an alert's time and node: the incident that was under way then, else a look at what is now."""
    about = f"{alert.name}{f' ({alert.node})' if alert.node else ''}"
    listed = next((seen for seen in record.since if seen.tool == "incident_list"), None)
    if listed is None:
        text = f"The alert {about}: looking up the incident of that time."
        return Step(text, "incident_list", given(at=alert.since))
    whole = next((seen for seen in record.since if "incident" in seen.arguments), None)
    if whole is not None and isinstance(found := whole.data.get("incident"), dict):
        return Step(
            f"The alert {about} is of incident {found.get('id')}. {ANSWERS['what'](found)} ({whole.evidence})"
        )
    first = next(iter(listed.data.get("incidents") or ()), None)
    if isinstance(first, dict) and whole is None:
        return Step("I read that incident.", "incident_list", {"incident": first.get("id")})
    done = record.tried("diagnose")
    if done is None:
        return Step("No incident was seen at that time. I look now.", "diagnose", given(since=alert.since))
    return Step(f"The alert {about}, of which no incident is known. {tell(done)}")


def _incident(record: Record) -> Step | tuple[dict[str, object], str]:
    """Return the whole incident as the tool tells it now, and its citation; else the read that brings it."""
    seen = next(
        (
            each
            for each in reversed(record.since)
            if each.tool == "incident_list" and "incident" in each.arguments
        ),
        None,
    )
    if seen is None:
        return Step("Reading the incident.", "incident_list", {"incident": record.incident})
    found = seen.data.get("incident")
    if not seen.ok or not isinstance(found, dict):
        return Step(NOTHING if seen.ok else tell(seen))
    return found, f" ({seen.evidence})" if seen.evidence else ""


def _logs(record: Record) -> Step:
    named = _NODE.search(record.request.lower())
    node = named[0] if named else ""
    if not node and re.search(
        r"\b(?:dead|killed|broken|failed|crashed|that|its|it)\b", record.request.lower()
    ):
        found = _incident(record)
        if isinstance(found, Step):
            return found
        node = str(next(iter(found[0].get("nodes") or ()), ""))  # type: ignore[call-overload]
    if not node:
        return Step("Of which node? Try: `logs etcd-2`.")
    return _once(record, "read_logs", node=node, since_s=600.0, limit=20)


def _once(record: Record, tool: str, **arguments: object) -> Step:
    """Call one tool that only reads, then tell what it returned."""
    done: Seen | None = record.tried(tool)
    return Step("Checking.", tool, given(**arguments)) if done is None else Step(tell(done))
