"""What an earlier session left: its history, its evidence, the last it saw of the cluster."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.history import rebuild
from agent.models.base import Message
from agent.transcript.event_entries import from_entry
from agent.transcript.reading import Entry, Header, read, read_header
from tools.observe.ledger import Evidence
from tools.observe.signal import Signal


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier session left."""

    header: Header
    messages: Sequence[Message]
    """Its history, repaired where a crash cut it."""
    evidence: Sequence[Evidence]
    """Under the ids that it had; texts as far as they were sent to the model."""
    cluster: Mapping[str, Any]
    """The last snapshot of the cluster that it saw; empty if it saw none."""
    asked: str
    """What the person asked last."""
    ended: float
    """Wall time of its last entry."""
    damaged: Sequence[int] = ()
    """Lines of its transcript that could not be read, and were left out."""


def earlier(path: Path) -> Earlier:
    """Read a session back. Raises BadTranscript."""
    header = read_header(path)
    damaged: list[int] = []
    entries = list(read(path, damaged.append))
    return Earlier(
        header,
        rebuild(entry.data for entry in entries).messages,
        tuple(_evidence(header, entries)),
        _last_snapshot(entries),
        next(
            (e.data["text"] for e in reversed(entries) if e.type == "user" and e.data.get("by") == "person"),
            "",
        ),
        header.made + (entries[-1].t if entries else 0.0),
        damaged,
    )


def _evidence(header: Header, entries: Sequence[Entry]) -> Iterator[Evidence]:
    # A past wall time on the present monotonic clock: before this boot it is negative, and still in order.
    offset = time.monotonic() - time.time()
    for entry in entries:
        wall = header.made + entry.t
        event = from_entry(entry.data) if entry.type == "event" else None
        if entry.type == "outcome" and entry.data.get("evidence"):
            evidence_id, data = str(entry.data["evidence"]), entry.data
            text = str(data.get("text", "")).removeprefix(f"[{evidence_id}] ")
            node = (data.get("data") or {}).get("node")
            yield Evidence(
                evidence_id,
                str(data.get("tool")),
                text,
                wall + offset,
                wall,
                node if isinstance(node, str) else None,
                ok=bool(data.get("ok")),
            )
        elif isinstance(event, Signal) and event.evidence:
            source = f"signal:{event.source}"
            yield Evidence(event.evidence, source, event.raw, wall + offset, wall, event.node)


def _last_snapshot(entries: Sequence[Entry]) -> Mapping[str, Any]:
    for entry in reversed(entries):
        if entry.type == "outcome" and entry.data.get("tool") in {"cluster_status", "cluster_start"}:
            data = entry.data.get("data")
            if isinstance(data, Mapping) and data.get("state"):
                return data
    return {}
