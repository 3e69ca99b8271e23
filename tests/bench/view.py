"""What the terminal view costs: CPU for streamed Markdown, and the first prompt. Prints JSON."""

import asyncio
import io
import json
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

COLUMNS, LINES = 100, 30
CHARACTERS_PER_TOKEN = 4
TOKENS_PER_S = 80
"""A model's usual pace: it says how many frames fall into a text."""

PROMPT_WITH_ANTHROPIC_BEHIND = """
import asyncio, importlib, sys
from pathlib import Path
from agent.chat.repl import Repl
from agent.view.open import open_view

async def opening(ask):
    await asyncio.to_thread(importlib.import_module, "anthropic")
    await asyncio.Event().wait()

asyncio.run(Repl(open_view(), opening, Path(sys.argv[1]) / "history").run())
"""


def sample(size: int) -> str:
    """An answer of `size` characters with every kind of block."""
    block = (
        "## What happened\n\nThe process of **etcd-2** ended with `137` at 12:00:01; its peers lost it "
        "within 0.2 s, and clients saw *connection refused* for one election. The evidence says:\n\n"
        "- E7: the kernel says it died of SIGKILL\n- E8: the peers report no active connection\n"
        '- E9: 12 of 300 operations failed\n\n```\n{"level":"warn","msg":"lost the TCP streaming"}\n```\n\n'
        "| when | ops/s | p99 ms |\n|---|--:|--:|\n| before | 300 | 4.0 |\n| during | 241 | 880 |\n\n"
        "1. Restart etcd-2\n2. Look for the OOM killer\n\n> Nothing acknowledged was lost.\n\n"
    )
    return (block * (size // len(block) + 1))[:size]


def stream(size: int, piece: int = CHARACTERS_PER_TOKEN) -> dict[str, Any]:
    """Stream `size` characters at a model's pace on a virtual clock; return CPU seconds and frames."""
    from agent.events import Text
    from agent.view.terminal import TerminalView

    class Sink(io.StringIO):
        frames = 0

        def write(self, text: str) -> int:
            Sink.frames += 1
            return len(text)

    now = [0.0]
    view = TerminalView(Sink(), size=lambda: (COLUMNS, LINES), clock=lambda: now[0])
    text = sample(size)
    began = time.process_time()
    for at in range(0, size, piece):
        now[0] += 1 / TOKENS_PER_S
        view.show(Text(text[at : at + piece]))
    view.show(Text("", done=True))
    return {"characters": size, "cpu_s": round(time.process_time() - began, 3), "frames": Sink.frames}


def megabyte() -> dict[str, Any]:
    """Stream a megabyte; return the most memory that was held."""
    tracemalloc.start()
    figures = stream(1_000_000, 256)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {**figures, "cpu_s": None, "peak_bytes": peak}  # CPU under tracemalloc is no figure


async def first_prompt(runs: int = 5) -> dict[str, Any]:
    """Start the REPL in a pseudo-terminal; return the median seconds until its prompt is there."""
    import tempfile

    import pexpect

    took: list[float] = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            chat = pexpect.spawn(sys.executable, ["-c", PROMPT_WITH_ANTHROPIC_BEHIND, folder], timeout=20)
            await asyncio.to_thread(chat.expect, "\u203a ".encode())
            took.append(time.monotonic() - began)
            chat.close(force=True)
    return {"runs": runs, "median_s": round(sorted(took)[runs // 2], 3)}


def main() -> None:
    figures = {
        "stream_5_6_kB": stream(5_600),
        "stream_22_6_kB": stream(22_600),
        "stream_1_MB": megabyte(),
        "first_prompt": asyncio.run(first_prompt()),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()
