"""How long commands take, whole processes from outside: `--help`, and the demo from nothing to nothing.

`python -m tests.bench.commands [--demos N]` prints JSON. Medians; the machine and its load stand beside.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from tests.bench.machine import describe

OPERATOR = (sys.executable, "-m", "agent")


def timed(*words: str) -> tuple[float, str]:
    """Return the wall seconds of one run and what it printed."""
    began = time.monotonic()
    ran = subprocess.run([*OPERATOR, *words], capture_output=True, text=True, check=False)
    return time.monotonic() - began, ran.stdout


def demos(count: int) -> dict[str, Any]:
    """Run the demo with that many seeds; each from nothing running."""
    results, walls = [], []
    for seed in range(1, count + 1):
        with tempfile.TemporaryDirectory() as state:
            wall, out = timed(
                "demo", "chaos", "--no-pause", "--offline", "--subject", "etcd", "--seed", str(seed),
                "--output", "json", "--state-dir", state,
            )  # fmt: skip
        walls.append(wall)
        results.append(json.loads(out.splitlines()[-1]))
    detected = [r["detection"]["seconds"] for r in results if r["detection"]["seconds"] is not None]
    named = [r["diagnosis"] is not None and r["diagnosis"]["node"] == r["fault"]["node"] for r in results]
    return {
        "runs": count,
        "ok": sum(r["ok"] for r in results),
        "restored": sum(r["restored"] for r in results),
        "named_the_right_member": sum(named),
        "wall_s": {"median": round(statistics.median(walls), 2), "max": round(max(walls), 2)},
        "detection_s": {
            "median": statistics.median(detected) if detected else None,
            "max": max(detected, default=None),
        },
        "up_s_median": statistics.median(r["stages"][0]["seconds"] for r in results),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demos", type=int, default=10)
    given = parser.parse_args()
    helps = [timed("--help")[0] for _ in range(6)][1:]
    found = {
        "workbench": "commands",
        "machine": describe(),
        "help_wall_s": {"median": round(statistics.median(helps), 4), "runs": len(helps)},
        "demo": demos(given.demos) if given.demos else None,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
