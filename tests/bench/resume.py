"""What bringing a long session back costs: a transcript of 5,000 lines, read, repaired and filed.

    python -m tests.bench.resume

prints JSON. The lines are those of a recorded session, over and over, under ids of their own.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from agent.sessions.earlier import earlier
from agent.transcript.file import Transcript
from agent.transcript.reading import Header, read
from tests.bench.machine import describe
from tests.replay.record import TRANSCRIPTS

LINES = 5_000
RUNS = 5
SOURCE = TRANSCRIPTS / "follow-ups.jsonl"


def long_session(folder: Path) -> Path:
    """Write a session of LINES lines."""
    recorded = list(read(SOURCE))
    transcript = Transcript.create(folder, Header("long", time.time(), "0", "playbook", None))
    with transcript.path.open("a", encoding="utf-8") as file:
        for n in range(LINES - 1):
            entry = recorded[n % len(recorded)]
            text = json.dumps({**entry.data, "t": float(n)}, ensure_ascii=False)
            file.write(f"{text.replace('toolu_offline_', f'toolu_{n // len(recorded)}_')}\n")
    transcript.close()
    return transcript.path


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = long_session(Path(folder))
        walls = []
        for _ in range(RUNS):
            began = time.perf_counter()
            found = earlier(path)
            walls.append(time.perf_counter() - began)
        return {
            "workbench": "resume",
            "lines": LINES,
            "megabytes": round(path.stat().st_size / 1e6, 1),
            "messages": len(found.messages),
            "evidence": len(found.evidence),
            "seconds_median": round(statistics.median(walls), 3),
            "seconds_max": round(max(walls), 3),
            "limit_seconds": 0.5,
            "machine": describe(),
        }


def main() -> None:
    print(json.dumps(measure(), indent=2))


if __name__ == "__main__":
    main()
