"""An alert of somebody else's monitoring, pasted or piped in: which, of what, and since when.

Takes what Alertmanager posts to a webhook (version 4), its API's list of alerts (v2), and one alert alone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_NODE_LABELS = ("node", "member", "pod", "instance", "name")
"""Labels that say what an alert is about, the plainest first."""


@dataclass(frozen=True, slots=True)
class PastedAlert:
    """What an alert says of itself: data, never an instruction."""

    name: str
    node: str | None
    since: str | None
    """RFC 3339, as it was written; None where it says none that can be read."""


def pasted_alert(text: str) -> PastedAlert | None:
    """Return the first alert in `text` that fires, else the first; None where there is no alert."""
    found = [alert for alert in _alerts(text) if isinstance(alert.get("labels"), Mapping)]
    if not found:
        return None
    firing = next((alert for alert in found if _state(alert) == "firing"), found[0])
    labels = firing["labels"]
    if not isinstance(labels.get("alertname"), str):
        return None
    node = next((labels[name] for name in _NODE_LABELS if isinstance(labels.get(name), str)), None)
    return PastedAlert(labels["alertname"], node, _time(firing.get("startsAt")))


def _alerts(text: str) -> list[Mapping[str, Any]]:
    starts = [at for mark in ("{", "[") if (at := text.find(mark)) >= 0]
    if not starts:
        return []
    try:
        value, _ = json.JSONDecoder().raw_decode(text, min(starts))
    except (ValueError, RecursionError):
        return []
    if isinstance(value, Mapping):
        value = value["alerts"] if isinstance(value.get("alerts"), list) else [value]
    return [alert for alert in value if isinstance(alert, Mapping)] if isinstance(value, list) else []


def _state(alert: Mapping[str, Any]) -> str:
    status = alert.get("status", "firing")
    state = status.get("state") if isinstance(status, Mapping) else status
    return "resolved" if state == "resolved" else "firing"


def _time(value: Any) -> str | None:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return value if at.tzinfo is not None else None
