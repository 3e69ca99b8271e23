"""read_logs, read_metrics and timeline: bounded looks at what was written, measured and seen."""

from collections.abc import Sequence

from pydantic import Field

from subjects import clock
from subjects.base import Metric
from tools.evidence.chronicle import Span, client_effect, entries, entry_json, load_windows
from tools.incidents.record import utc
from tools.observe.observed import Observed
from tools.tool import Effect, Params, Result, failure, tool

READ_LINES = 4000
"""Lines of a log that are looked through for one call."""
LINE_CHARS = 400
EVIDENCE_CHARS = 3000
"""The most of one piece of evidence that is returned."""
MAX_METRICS = 60


class LogParams(Params):
    """Which lines."""

    node: str = Field(description="Name of the node.")
    since_s: float = Field(60.0, gt=0, le=86_400, description="Only lines of the last so many seconds.")
    contains: str = Field(
        "", max_length=200, description="Only lines with this text in them; case is ignored."
    )
    limit: int = Field(40, ge=1, le=200, description="At most so many lines; the latest are kept.")


@tool(Effect.READ)
async def read_logs(params: LogParams, observed: Observed) -> Result:
    """Read the end of a node's own log."""
    node = observed.require_node(params.node)
    found = await observed.require_cluster().nodes.logs(
        node, clock.earliest(clock.wall() - params.since_s), READ_LINES
    )
    wanted = params.contains.lower()
    matching = [line.text for line in found if wanted in line.text.lower()]
    # Where our own state folder lies says nothing of the database, and something of this machine.
    shown = [_cut(_without(text, observed.own_folder)) for text in matching[-params.limit :]]
    data = {
        "node": node,
        "lines": len(shown),
        "lines_matching": len(matching),
        "earlier_lines_cut": len(matching) - len(shown),
        "lines_in_span": len(found),
    }
    hint = ""
    if not shown:
        hint = (
            "Nothing matched: widen since_s or leave out contains. A silent log can mean a node that stopped."
        )
    elif len(matching) > len(shown):
        hint = "Earlier lines were cut: narrow with contains, or raise limit."
    shown_as = f"{len(shown)} of {len(matching)} lines of the last {params.since_s:g} s"
    return Result(data, next=hint, pasted="\n".join(shown), summary=shown_as, node=node)


class MetricParams(Params):
    """Which metrics."""

    node: str = Field(description="Name of the node.")
    names: list[str] = Field(
        min_length=1, max_length=10, description="Beginnings of metric names, e.g. etcd_network_active_peers."
    )


@tool(Effect.READ)
async def read_metrics(params: MetricParams, observed: Observed) -> Result:
    """Read a node's own metrics whose name begins so."""
    node = observed.require_node(params.node)
    found = await observed.require_cluster().subject.metrics(node, params.names)
    samples = [metric for metric in found if not metric.name.endswith("_bucket")]
    if not samples:
        return failure(
            f"{node} has no metric whose name begins with {' or '.join(params.names)}.",
            "Try a shorter beginning, e.g. etcd_server_ or etcd_disk_.",
        )
    hint = "Counters only grow since the node started: read again to see whether they still do."
    cut = len(samples) - MAX_METRICS
    if cut > 0:
        hint = "Some were cut: give longer beginnings."
    data = {
        "node": node,
        "metrics": {_label(metric): metric.value for metric in samples[:MAX_METRICS]},
        "metrics_cut": max(0, cut),
        "histogram_buckets_left_out": len(found) - len(samples),
    }
    return Result(data, next=hint, summary=f"{min(len(samples), MAX_METRICS)} samples", node=node)


class TimelineParams(Params):
    """Which span, and of whom."""

    incident: str | None = Field(
        None, description="Id of an incident: seconds then count from its first signal, else back from now."
    )
    from_s: float = Field(-30.0, description="Begin of the span in seconds: negative is before that time.")
    to_s: float = Field(120.0, description="End of the span in seconds.")
    sources: list[str] = Field(
        default_factory=list,
        max_length=12,
        description="Only process, connection, self, peers, control, client, monitor or a tool's name.",
    )
    node: str | None = Field(None, description="Only what concerns this node.")
    load: bool = Field(False, description="Add the load's one-second windows in the span.")
    evidence: list[str] = Field(
        default_factory=list,
        max_length=10,
        description="Only these evidence ids, e.g. E7, each with its text.",
    )
    limit: int = Field(60, ge=1, le=200, description="At most so many entries; the earliest are kept.")


@tool(Effect.READ)
async def timeline(params: TimelineParams, observed: Observed) -> Result:
    """Tell in order what was seen, and what clients felt."""
    if params.evidence:
        return _pieces(observed, params.evidence)
    if params.node is not None:
        observed.require_node(params.node)
    if observed.monitor is not None:
        await observed.monitor.recorded()
    incident = observed.incidents.get(params.incident) if params.incident else None
    zero = incident.opened if incident else clock.wall()
    span = Span(zero, params.from_s, params.to_s)
    if span.since >= span.until:
        return failure(
            "from_s must be before to_s.", "Without an incident, seconds count from now: use -60 to 0."
        )
    found = entries(observed, incident, span, sources=params.sources, node=params.node)
    shown = found[: params.limit]
    data: dict[str, object] = {
        "seconds_count_from": "the incident's first signal" if incident else "now",
        "entries": [entry_json(entry, zero) for entry in shown],
        "entries_cut": len(found) - len(shown),
    }
    if observed.load is not None:
        data["clients"] = client_effect(observed.load.windows, span)
        if params.load:
            data["load_windows"] = load_windows(observed.load.windows, span)
    hint = "" if found else "Nothing in that span: widen from_s and to_s, or leave out sources and node."
    shown_as = f"{len(shown)} of {len(found)} entries"
    return Result(
        data, next=hint or "Cite an entry by its own evidence id.", summary=shown_as, node=params.node
    )


def _without(text: str, folder: str) -> str:
    return text.replace(folder, "…") if folder else text


def _pieces(observed: Observed, ids: Sequence[str]) -> Result:
    """Return pieces of evidence by their ids, whole as far as a result may be long."""
    found = [item for name in ids if (item := observed.ledger.get(name.upper())) is not None]
    missing = [name for name in ids if name.upper() not in {item.id for item in found}]
    if not found:
        return failure(
            f"There is no evidence {', '.join(missing)} in this session.", "timeline lists what there is."
        )
    shown_as = {
        item.id: {
            "source": item.source,
            "node": item.node,
            "at": utc(item.wall),
            "text": item.text[:EVIDENCE_CHARS],
        }
        for item in found
    }
    return Result({"evidence": shown_as, "missing": missing}, summary=", ".join(shown_as))


def _cut(text: str) -> str:
    return text if len(text) <= LINE_CHARS else f"{text[:LINE_CHARS]}… [line cut: {len(text)} characters]"


def _label(metric: Metric) -> str:
    labels = ",".join(f"{name}={value}" for name, value in sorted(metric.labels.items()))
    return f"{metric.name}{{{labels}}}" if labels else metric.name
