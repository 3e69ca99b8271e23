"""Any input at each seam: `python -m tests.bench.fuzz [SECONDS]` prints what it tried and found, as JSON."""

import json
import sys
import time
import warnings

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.standins.seams import SEAMS


def tried(name: str, seconds: float) -> dict[str, object]:
    """Try inputs at one seam for so long; returns how many, and the first failure if there was one."""
    seam, strategies = SEAMS[name]
    until, count = time.monotonic() + seconds, 0

    def counted(values: tuple[object, ...]) -> None:
        nonlocal count
        count += 1
        seam(*values)

    run = settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))(
        given(st.tuples(*strategies))(counted)
    )
    while time.monotonic() < until:
        try:
            run()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what was looked for
            return {"seam": name, "inputs": count, "found": f"{type(error).__name__}: {error}"[:500]}
    return {"seam": name, "inputs": count, "found": None}


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 300.0
    warnings.simplefilter("ignore")
    rows = [tried(name, seconds / len(SEAMS)) for name in SEAMS]
    print(json.dumps({"seconds": seconds, "seams": rows}, indent=1))
    sys.exit(any(row["found"] for row in rows))


if __name__ == "__main__":
    main()
