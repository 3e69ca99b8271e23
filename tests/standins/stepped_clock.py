"""`operator` whose wall clock is set while it runs: `python -m tests.standins.stepped_clock FILE SECONDS …`.

From when FILE exists, the wall clock of this process is SECONDS further; the monotonic one goes on.
"""

import sys
import time
from pathlib import Path

from agent.__main__ import main

_real = time.time


def step(file: Path, seconds: float) -> None:
    """Set the clock by `seconds` once `file` is there."""
    time.time = lambda: _real() + (seconds if file.exists() else 0.0)


if __name__ == "__main__":
    step(Path(sys.argv[1]), float(sys.argv[2]))
    sys.argv[1:] = sys.argv[3:]
    main()
