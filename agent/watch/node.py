"""One node, looked into: all views of it, its open faults, its incidents and the end of its log."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.events import Verbatim
from agent.view.words import size
from subjects import clock
from subjects.base import Cluster
from subjects.errors import SubjectError
from subjects.untrusted import NotJson, read_object
from tools.cluster import lifecycle
from tools.errors import UnknownNode
from tools.events import Event, Table
from tools.faults.journal import Journal, Record
from tools.incidents.record import Incident
from tools.incidents.store import IncidentStore

LOG_LINES = 8
INCIDENTS = 5

_LABELS = {
    "exit_code": "exit code",
    "clients_reach_it": "client port",
    "says_of_itself": "health",
    "health_port": "health port",
    "peers_connected_to_it": "peers connected",
    "control_plane_says": "control plane",
    "heartbeat_age_s": "last heartbeat",
    "raft_index": "raft index",
    "lag": "entries behind",
    "db_bytes": "database",
    "disk_free_bytes": "disk free",
    "quota_bytes": "quota",
    "in_use_bytes": "in use",
    "seen_s_ago": "seen",
}


@dataclass(frozen=True, slots=True)
class NodeReport:
    """What is known of one node."""

    name: str
    fields: Mapping[str, Any]
    faults: tuple[Record, ...]
    incidents: tuple[Incident, ...]
    """The latest that name it, newest first."""
    log: tuple[str, ...]

    def drawn(self) -> Iterator[Event]:
        """Yield it as tables and text."""
        rows = [
            (_LABELS.get(key, key.replace("_", " ")), _shown(key, value))
            for key, value in self.fields.items()
        ]
        rows += [("open fault", f"{each.id}: {each.kind}, {each.state}") for each in self.faults]
        rows += [("incident", f"{each.id}: {each.text} ({each.state})") for each in self.incidents]
        yield Table("", ("", ""), tuple(rows))
        if self.log:
            yield Verbatim("\n".join(("Last log lines:", *map(readable, self.log))))

    def result(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "node": dict(self.fields),
            "faults": [{"fault": f.id, "kind": f.kind, "state": str(f.state)} for f in self.faults],
            "incidents": [{"id": i.id, "text": i.text, "state": str(i.state)} for i in self.incidents],
            "log": list(self.log),
        }


async def node_report(
    cluster: Cluster, name: str, incidents: IncidentStore, journal: Journal | None = None
) -> NodeReport:
    """Look into one node of the cluster now; UnknownNode if it is no member any more."""
    snapshot = await cluster.subject.observe()
    nodes = lifecycle.describe(cluster, snapshot)["nodes"]
    described = nodes if isinstance(nodes, list) else []
    fields = next((each for each in described if each["name"] == name), None)
    if fields is None:
        raise UnknownNode(name, tuple(node.name for node in snapshot.nodes))
    try:
        lines = await cluster.nodes.logs(name, clock.earliest(clock.wall() - 3600), LOG_LINES)
    except SubjectError:  # a cluster that is only watched by its endpoints has no logs for us
        lines = []
    opened = journal.open_faults() if journal is not None else []
    return NodeReport(
        name,
        fields,
        tuple(each for each in opened if each.cluster == cluster.id and name in each.nodes),
        tuple(
            [each for each in incidents.list() if each.cluster == cluster.id and name in each.nodes][
                :INCIDENTS
            ]
        ),
        tuple(line.text for line in lines),
    )


def readable(line: str) -> str:
    """Return a line of a log as people read it: of JSON (etcd's form) the time, level, message and fields."""
    try:
        said = read_object(line)
    except NotJson:
        return line
    if "msg" not in said:
        return line
    first = (str(said.get("ts", ""))[11:23], str(said.get("level", "")), str(said["msg"]))
    rest = (f"{name}={value}" for name, value in said.items() if name not in ("ts", "level", "msg", "caller"))
    return " ".join(part for part in (*first, *rest) if part)


def _shown(key: str, value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if key.endswith("_bytes"):
            return size(value)
        case float() if key.endswith("_s_ago"):
            return f"{value:.1f} s ago"
        case float() if key.endswith("_s"):
            return f"{value:.1f} s"
        case Mapping():
            connected = [str(peer) for peer, yes in value.items() if yes]
            lost = [str(peer) for peer, yes in value.items() if not yes]
            words = [", ".join(connected)] if connected else []
            words += [f"not {', '.join(lost)}"] if lost else []
            return "; ".join(words)
        case _:
            return str(value)
