"""SIGKILL of operator during each fault of the demo: `python -m tests.bench.kill9 --trials 20` prints JSON.

The real demo, on a real cluster that is up; killed at a random moment while the fault is in force. Goal: a
healthy cluster within 2 s of the kill, nothing of operator left but the cluster, every time.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from subjects.state import StateFolder
from tests.standins.embedded import bring_up, take_down
from tests.standins.killed_demo import HEALED_S, IN_FORCE, Left, kill_at
from tools.faults.catalogue import CATALOGUE


async def trials(state: StateFolder, fault: str, count: int, seed: int) -> list[Left]:
    moments = random.Random(seed)
    done = []
    for n in range(count):
        left = await kill_at(state, IN_FORCE, fault, moments.uniform(0.0, 1.0))
        print(f"{fault} {n + 1}/{count}: healthy after {left.healthy_s} s", file=sys.stderr, flush=True)
        done.append(left)
    return done


def summary(done: list[Left]) -> dict[str, Any]:
    times = sorted(left.healthy_s for left in done)
    return {
        "trials": len(done),
        "ok": sum(left.ok for left in done),
        "healthy_p50_s": times[len(times) // 2],
        "healthy_max_s": times[-1],
        "nothing_left_max_s": max(left.gone_s for left in done),
        "left_open": sum(left.open_faults for left in done),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--trials", type=int, default=3)
    options.add_argument("--faults", default=",".join(CATALOGUE))
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = bring_up(Path(folder))
        try:
            found = {
                fault: summary(asyncio.run(trials(state, fault, given.trials, given.seed)))
                for fault in given.faults.split(",")
            }
        finally:
            take_down(state)
    ok = all(each["ok"] == each["trials"] for each in found.values())
    print(json.dumps({"workbench": "kill9", "goal_s": HEALED_S, "faults": found, "ok": ok}, indent=2))
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
