"""`make bench`: every figure of docs/performance.md that takes minutes, one after the other, as JSON lines.

`python -m tests.bench.NAME` measures one of them. The long ones (`soak`, `detection false_alarms`, `drill`)
are run by name.
"""

import subprocess
import sys

ROWS = (
    ("commands",),
    ("network",),
    ("load", "--seconds", "12"),
    ("detection", "kill", "--trials", "50"),
    ("detection", "cost"),
    ("answers",),
    ("turn",),
    ("view",),
    ("resume",),
)


def main() -> int:
    """Run each in a process of its own, so that none warms or disturbs another; returns how many failed."""
    failed = 0
    for name, *words in ROWS:
        print(f"# {name} {' '.join(words)}", file=sys.stderr, flush=True)
        failed += (
            subprocess.run([sys.executable, "-m", f"tests.bench.{name}", *words], check=False).returncode != 0
        )
    return failed


if __name__ == "__main__":
    sys.exit(main())
