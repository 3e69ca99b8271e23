"""An incident with everything in it, hostile text included, as the store gives it back."""

from pathlib import Path

from tools.incidents.record import Incident
from tools.incidents.store import IncidentStore
from tools.observe.incident import FirstSeen
from tools.observe.signal import Signal, Source

OPENED = 1_800_000_000.0
HOSTILE = "<script>alert('x')</script> ${incident} | `code` [link](javascript:1)"


def full_incident(path: Path, *, verified: bool = True) -> Incident:
    """Return an incident made through the store: injected, detected, diagnosed, healed, recovered."""
    store = IncidentStore(path)
    try:
        name = store.open(
            cluster="etcd × process",
            text="etcd-2 is dead: its process ended",
            nodes=("etcd-2",),
            invariants=("store_up",),
            wall=OPENED,
        )
        process = Signal(
            Source.PROCESS, "exit", "etcd-2", "process 41 has ended", OPENED, OPENED, evidence="E4"
        )
        store.add(name, process)
        store.add(name, Signal(Source.CLIENT, "errors", None, HOSTILE, wall=OPENED + 1))
        store.knew(name, FirstSeen("kernel", 0.0, OPENED, "exit: process 41 has ended"))
        store.knew(name, FirstSeen("etcdMembersDown", 1200.0, None, "etcd-mixin: for 20m", measured=False))
        store.keep_diagnosis(name, _diagnosis(verified=verified), {}, wall=OPENED + 3)
        store.set_figures(name, _figures())
        store.heal(name, "etcd-2 was started again", wall=OPENED + 5)
        store.recover(name, wall=OPENED + 6.5)
        return store.get(name)
    finally:
        store.close()


def _diagnosis(*, verified: bool) -> dict[str, object]:
    return {
        "by": "rules",
        "observation": "etcd-2 ended.",
        "root_cause": "etcd-2 was killed.",
        "kind": "crash",
        "node": "etcd-2",
        "nodes": ["etcd-2"],
        "confidence": "high" if verified else "low",
        "evidence": [
            {"id": "E4", "claim": "the kernel saw its end", "quote": "process 41 has ended"},
            {"id": "E9", "claim": "clients saw it", "quote": HOSTILE},
        ],
        "ruled_out": [
            {"cause": "pause", "ruled_out_by": "its process is gone"},
            {"cause": "x", "ruled_out_by": "y"},
        ],
        "suggested_actions": ["Start etcd-2 again."],
        "would_change": "A process that runs.",
        "verified": verified,
        "problems": [] if verified else ["The quotation 'z' does not occur in E4."],
    }


def _figures() -> dict[str, object]:
    return {
        "load": {
            "before": {"ops_per_s": 300.0, "p50_ms": 4.5, "p99_ms": 20.25, "errors": 0},
            "during": {"ops_per_s": 212.5, "p50_ms": 5.0, "p99_ms": 950.0, "errors": 17},
            "after": {"ops_per_s": None, "p50_ms": None, "p99_ms": None, "errors": None},
            "acknowledged_writes": 2876,
            "acknowledged_writes_lost": 0,
            "longest_stall_s": 1.4,
        },
        "windows": [
            {
                "wall": OPENED - 10 + n,
                "operations": 300 - (90 if 10 <= n <= 13 else 0),
                "errors": 6 if 10 <= n <= 12 else 0,
                "p50_ms": 4.0,
                "p99_ms": 950.0 if 10 <= n <= 13 else 20.0,
            }
            for n in range(60)
        ],
        "marks": {
            "injected": OPENED - 0.02,
            "detected": OPENED + 0.01,
            "healed": OPENED + 5,
            "recovered": None,
        },
        "prediction": {"text": "2 of 3 voters stay.", "held": True},
        "injected": {"kind": "kill", "nodes": ["etcd-2"], "effect": "the process is gone"},
        "undo": {"healed": True, "recovered": True, "restored": True},
        "writes": {"acknowledged": 2876, "keys": 1000, "lost": 0, "changed": 0},
        "evidence": {
            "E4": {
                "source": "signal:process",
                "node": "etcd-2",
                "wall": OPENED,
                "text": "process 41 has ended",
            },
            "E9": {"source": "signal:client", "node": None, "wall": OPENED + 1, "text": HOSTILE},
        },
    }
