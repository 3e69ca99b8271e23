"""Incidents as Prometheus alerts: one per incident and broken invariant, firing until it has recovered."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.incidents.record import Incident, utc
from tools.observe.incident import State

FIRING_FOR_S = 300.0
"""How far ahead the end of a firing alert lies: five times the time between two sends. Prometheus gives four
times its own, so that an alert resolves by itself some minutes after its sender has died."""

RESOLVED_FOR_S = 900.0
"""For how long a resolved alert is sent on, for an Alertmanager that was away; as long as Prometheus does."""

MAX_VALUE_CHARS = 2_000
"""The longest annotation: receivers such as chat systems refuse messages of more than a few thousand."""

NAMES: Mapping[str, tuple[str, str]] = {
    "store_up": ("OperatorNodeDown", "warning"),
    "quorum": ("OperatorQuorumLost", "critical"),
    "has_leader": ("OperatorNoLeader", "critical"),
    "leader_stable": ("OperatorLeaderUnstable", "warning"),
    "replication_caught_up": ("OperatorReplicationLagging", "warning"),
    "peers_connected": ("OperatorPeersDisconnected", "warning"),
    "client_errors": ("OperatorClientErrors", "critical"),
    "client_latency": ("OperatorClientLatencyHigh", "warning"),
    "client_throughput": ("OperatorClientThroughputLow", "warning"),
    "disk_space": ("OperatorDiskSpace", "critical"),
    "data_intact": ("OperatorDataCorrupt", "critical"),
}
"""An invariant → the alert's name and severity."""

_OTHER = ("OperatorIncident", "warning")
_OF_THE_CLUSTER = frozenset(
    {"quorum", "has_leader", "leader_stable", "client_errors", "client_latency", "client_throughput"}
)
"""Invariants of the cluster as a whole: their alerts have no `node` label."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as Alertmanager's API v2 takes it. Two with the same labels are one alert."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts: float
    """Seconds since the epoch."""
    ended: float | None = None
    """Seconds since the epoch; None while it fires."""

    def as_json(self, now: float) -> dict[str, Any]:
        """Return it as JSON; one that fires ends FIRING_FOR_S from `now`, unless it is sent again."""
        return {
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "startsAt": utc(self.starts),
            "endsAt": utc(now + FIRING_FOR_S if self.ended is None else max(self.ended, self.starts)),
        }


@dataclass(slots=True)
class AlertBook:
    """The alerts of one watch: what fires, and what was resolved a short while ago.

    Labels are those of an alert's first moment: an incident that grows changes annotations only, or another
    alert would fire beside the first. The incident's id is an annotation, as every id is another series.
    """

    cluster: str
    """The `cluster` label."""
    _alerts: dict[tuple[str, str], Alert] = field(default_factory=dict)
    """By incident and invariant."""
    _resolved: dict[tuple[str, str], float] = field(default_factory=dict)
    """When each was seen resolved, on the monotonic clock."""

    def take(self, incident: Incident) -> None:
        """Bring the alerts of an incident up to date."""
        ended = incident.recovered if incident.state is State.RECOVERED else None
        for invariant in incident.invariants or ("",):
            key = (incident.id, invariant)
            known = self._alerts.get(key)
            labels = known.labels if known else self._labels(incident, invariant)
            self._alerts[key] = Alert(labels, _annotations(incident), incident.opened, ended)
            if ended is None:
                self._resolved.pop(key, None)
            else:
                self._resolved.setdefault(key, time.monotonic())

    def current(self) -> tuple[Alert, ...]:
        """Return what is to be sent now; forgets what was resolved longer than RESOLVED_FOR_S ago.

        Of several alerts with the same labels it is the one that fires, or else the newest.
        """
        over = time.monotonic() - RESOLVED_FOR_S
        for key in [key for key, at in self._resolved.items() if at < over]:
            del self._alerts[key], self._resolved[key]
        chosen: dict[tuple[tuple[str, str], ...], Alert] = {}
        for alert in sorted(self._alerts.values(), key=lambda each: (each.ended is None, each.starts)):
            chosen[tuple(sorted(alert.labels.items()))] = alert
        return tuple(chosen.values())

    def _labels(self, incident: Incident, invariant: str) -> dict[str, str]:
        name, severity = NAMES.get(invariant, _OTHER)
        labels = {"alertname": name, "cluster": self.cluster, "severity": severity, "source": "operator"}
        if incident.nodes and invariant not in _OF_THE_CLUSTER:
            labels["node"] = incident.nodes[0]
        return labels


def _annotations(incident: Incident) -> dict[str, str]:
    found = incident.diagnosis or {}
    lines = {
        "summary": incident.text,
        "nodes": ", ".join(incident.nodes),
        "incident": incident.id,
        "description": str(found.get("observation") or ""),
        "diagnosis": str(found.get("root_cause") or ""),
        "kind": str(found.get("kind") or ""),
        "confidence": str(found.get("confidence") or ""),
        "evidence": ", ".join(dict.fromkeys(str(each.get("id")) for each in found.get("evidence") or ())),
        "suggested_actions": "; ".join(str(each) for each in found.get("suggested_actions") or ()),
    }
    return {name: text[:MAX_VALUE_CHARS] for name, text in lines.items() if text}
