"""Where loads keep what they measured: a folder a run, the oldest removed."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

KEPT_RUNS = 20
_PREFIX = "run-"


def new_folder(state_root: Path) -> Path:
    """Return a path for a new run under `load/`; only the latest runs are kept beside it."""
    root = state_root / "load"
    earlier = sorted(path for path in root.glob(f"{_PREFIX}*") if path.is_dir())
    for path in earlier[: -(KEPT_RUNS - 1)]:
        shutil.rmtree(path, ignore_errors=True)
    return root / f"{_PREFIX}{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
