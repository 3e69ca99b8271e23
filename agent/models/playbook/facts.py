"""What the record holds about the latest failure, and which read would tell more."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.models.playbook.record import Record, Seen
from agent.models.playbook.step import Step

HEALS = ("store_restart", "fault_heal")


@dataclass(frozen=True, slots=True)
class Facts:
    """A view on the record: everything about the failure that was talked of last."""

    record: Record

    @property
    def fault(self) -> Seen | None:
        """What was injected in this session last."""
        return next((seen for seen in reversed(self.record.seen) if seen.injected), None)

    @property
    def diagnosis(self) -> tuple[Mapping[str, Any], str | None]:
        """The latest diagnosis, as `diagnose` returned it, and its evidence id; empty if there is none."""
        seen = self.record.last("diagnose")
        found = seen.data.get("diagnosis") if seen else None
        if seen and isinstance(found, Mapping):
            return found, seen.evidence
        incident, evidence = self.incident
        found = incident.get("diagnosis")
        return (found, evidence) if isinstance(found, Mapping) else ({}, None)

    @property
    def incident(self) -> tuple[Mapping[str, Any], str | None]:
        """The whole incident as `incident_list` told it and its evidence id; empty if it wasn't asked."""
        wanted = self.incident_id
        for seen in reversed(self.record.seen):
            found = seen.data.get("incident") if seen.tool == "incident_list" and seen.ok else None
            if isinstance(found, Mapping) and wanted in {None, found.get("id")}:
                return found, seen.evidence
        return {}, None

    @property
    def incident_id(self) -> str | None:
        """The incident that is talked of: the one of this session, else the latest that is listed."""
        for seen in reversed(self.record.seen):
            if not seen.ok:
                continue
            named = seen.data.get("incident")
            if seen.tool in {"wait_for_detection", "diagnose"} and isinstance(named, str):
                return named
            if seen.tool == "incident_list" and (listed := seen.data.get("incidents")):
                return str(listed[0].get("id"))
        return None

    @property
    def clients(self) -> tuple[Mapping[str, Any], str | None]:
        """What clients felt around the incident, and its evidence id; empty if that is not recorded."""
        for seen in reversed(self.record.seen):
            found = seen.data.get("clients") if seen.tool == "timeline" and seen.ok else None
            if isinstance(found, Mapping) and seen.arguments.get("incident") == self.incident_id:
                return found, seen.evidence
        return {}, None

    def look_at_clients(self) -> Step | None:
        """Return the read that brings what clients felt; None when nothing more is to be had."""
        if self.clients[0] or self.incident_id is None or self.record.tried("timeline"):
            return None
        return Step(
            "I look at what clients felt around it.",
            "timeline",
            {"incident": self.incident_id, "from_s": -10, "to_s": 60, "sources": ["client"]},
        )

    def look_up(self) -> Step | None:
        """Return the read that brings the whole incident; None when nothing more is to be had."""
        if self.incident[0] or self._asked_in_vain:
            return None
        if self.incident_id is not None:
            return Step("I look it up in the record.", "incident_list", {"incident": self.incident_id})
        if self.record.tried("incident_list"):
            return None
        return Step("I look for it in the record of incidents.", "incident_list", {"limit": 1})

    @property
    def _asked_in_vain(self) -> bool:
        asked = [seen for seen in self.record.since if seen.tool == "incident_list"]
        return len(asked) >= 2 or any(not seen.ok for seen in asked)
