"""Demos on bad days, drawn: `python -m tests.bench.bad_day [DAYS] [SEED]` prints what came of each, as JSON.

A disk that fills, a wall clock that is set by hours, a terminal that closes, each at a random moment. Goal:
always healed, nothing left running, no untrue result.
"""

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.standins.bad_day import Day, live, state_folder


def main() -> None:
    days = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rows = []
    for number in range(seed, seed + days):
        day = Day.drawn(number)
        with tempfile.TemporaryDirectory() as folder, state_folder(Path(folder)) as (state, small):
            came = live(day, state, small=small)
        rows.append({"seed": number, "day": asdict(day), **came})
        print(f"{number}: {came['happened']} → {came['wrong'] or 'right'}", file=sys.stderr, flush=True)
    bad = [row["seed"] for row in rows if row["wrong"]]
    print(json.dumps({"workbench": "bad_day", "days": days, "wrong": bad, "rows": rows}, indent=2))
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
