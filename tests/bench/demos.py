"""The demo with each fault, one after the other: `python -m tests.bench.demos` prints JSON.

`--subject tikv` runs on the stand-ins of tests/conformance/clusters.py, `--runtime docker` on images of them,
which the conformance suite builds. What the environment names goes before them: OPERATOR_PD_SERVER and
OPERATOR_TIKV_SERVER, or PD_IMAGE and TIKV_IMAGE. `--load go-ycsb` with OPERATOR_GO_YCSB has the real go-ycsb
be the client; it keeps no record of its writes. Exit code 1 when one was not restored, not told or told
wrongly, lost an acknowledged write, or did not do what was predicted.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.bench import machine
from tests.conformance.clusters import CLUSTERS, Kind
from tests.e2e.programs import operator
from tools.faults.catalogue import CATALOGUE

ALL = [name for name in CATALOGUE if name != "none"]


async def run(kind: Kind, fault: str, client: str) -> dict[str, Any]:
    """Run one demo; returns what its result says, and whether all of that is as it should be."""
    words: tuple[str, ...] = (
        "demo",
        "chaos",
        "--no-pause",
        "--offline",
        "--subject",
        kind.subject,
        "--runtime",
        kind.runtime,
        "--load",
        client,
    )
    if fault == "quorum_loss":
        words += ("--allow-quorum-loss",)
    with tempfile.TemporaryDirectory() as folder:
        ran = await operator(
            Path(folder), *words, "--fault", fault, "--output", "stream-json", env=kind.environment
        )
    if not ran.out or "fault" not in ran.result:  # refused: this runtime can't, or it went no further
        said = ran.result.get("error") if ran.out else ran.err.strip().splitlines()[-1:]
        return {"fault": fault, "exit_code": ran.code, "error": said, "ok": False}
    result = ran.result
    injected, detection = result["fault"] or {}, result["detection"] or {}
    diagnosis, load = result["diagnosis"] or {}, result["load"] or {}
    asked = (injected.get("node") or "").split(", ")
    right = diagnosis.get("kind") in injected.get("diagnoses_that_are_right", ())
    figures = {
        "fault": fault,
        "exit_code": ran.code,
        "node": injected.get("node"),
        "restored": result["restored"],
        "detected_s": detection.get("seconds"),
        "diagnosis": [diagnosis.get(each) for each in ("kind", "nodes", "confidence")],
        "right": right and diagnosis.get("nodes") == [each for each in asked if each],
        "predictions": {each["what"]: each["held"] for each in injected.get("compared") or ()},
        "prediction_held": injected.get("prediction_held"),
        "acknowledged_writes": load.get("acknowledged_writes"),
        "acknowledged_writes_lost": load.get("acknowledged_writes_lost"),
        "longest_stall_s": load.get("longest_stall_s"),
        "p99_ms": [(load.get(each) or {}).get("p99_ms") for each in ("before", "during", "after")],
    }
    figures["ok"] = (
        ran.code == 0 and figures["right"] and figures["prediction_held"] is not False
        and figures["acknowledged_writes_lost"] == (0 if client != "go-ycsb" else None)
    )  # fmt: skip
    return figures


async def main() -> int:
    """Read the options, run the demos; returns how many were not as they should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject", default="etcd")
    parser.add_argument("--runtime", default="process")
    parser.add_argument("--faults", default=",".join(ALL))
    parser.add_argument("--load", default="auto")
    given = parser.parse_args()
    kind = next(each for each in CLUSTERS if (each.subject, each.runtime) == (given.subject, given.runtime))
    theirs = {
        name: os.environ[name] for name in kind.environment if name != "PYTHONPATH" and name in os.environ
    }
    kind = replace(kind, environment={**kind.environment, **theirs})
    rows = []
    for fault in given.faults.split(","):
        rows.append(await run(kind, fault, given.load))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(
        json.dumps(
            {
                "bench": "demos",
                "on": str(kind),
                "instead_of_stand_ins": theirs,
                "load": given.load,
                "demos": rows,
                "machine": machine.describe(),
            }
        )
    )
    return sum(not row["ok"] for row in rows)


if __name__ == "__main__":
    sys.exit(min(1, asyncio.run(main())))
