"""Record the transcripts again by really doing what they tell: `python -m tests.replay.record [NAME…]`.

Each runs on a real etcd of three local processes in a state folder of its own, and takes 20 to 40 s.
"""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.commands.demo import demo_chaos
from agent.demo.demo import ordered
from agent.demo.request import DEFAULT_FAULT, DemoRequest
from agent.sessions.opening import open_session
from agent.setup import Setup
from agent.view.plain import PlainView
from tools.workbench import Choice

TRANSCRIPTS = Path(__file__).parent / "transcripts"

FOLLOW_UPS = (
    "what broke?",
    "did the leader change?",
    "was it the OOM killer?",
    "how sure are you?",
    "which store, and how do you know?",
    "what else could it have been?",
    "what was the blast radius?",
    "a summary for Slack",
    "why did writes stall?",
    "how long were clients affected?",
    "how would I have noticed?",
    "what should I change?",
    "was anything lost?",
    "stop the load",
    "was anything lost?",
    "is it healthy now?",
)


@dataclass(frozen=True, slots=True)
class Recording:
    """What is done for one transcript: the demo, or requests one after another."""

    demo: DemoRequest | None = None
    requests: tuple[str, ...] = ()
    yes: bool = True
    seed: int = 1


RECORDINGS: Mapping[str, Recording] = {
    "demo-kill-follower": Recording(DemoRequest(DEFAULT_FAULT, "follower")),
    "demo-kill-leader": Recording(DemoRequest(DEFAULT_FAULT, "leader"), seed=2),
    "demo-pause": Recording(DemoRequest("pause", "follower"), seed=3),
    "demo-nothing-injected": Recording(DemoRequest("none", "random", 4.0), seed=4),
    "follow-ups": Recording(requests=("run the chaos demo", *FOLLOW_UPS), seed=5),
    "step-by-step": Recording(
        requests=(
            "help",
            "what happened?",
            "status",
            "start the cluster",
            "start load",
            "kill the leader",
            "is it healthy now?",
            "what happened?",
            "restart it",
            "is it healthy now?",
            "write me a poem",
            "stop the load",
        ),
        seed=6,
    ),
    "nobody-to-ask": Recording(requests=("status", "start the cluster", "kill a store"), yes=False),
}


async def record(name: str, recording: Recording) -> Path:
    """Do it, and put the transcript where the tests find it."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        setup = Setup(
            command="demo chaos" if recording.demo else "chat",
            state_dir=state,
            offline=True,
            yes=recording.yes,
            seed=recording.seed,
            choice=Choice("etcd", "process"),
        )
        view = PlainView(sys.stderr, sys.stderr)
        try:
            if recording.demo:
                result = await demo_chaos(setup, view, recording.demo)
                if not result["ok"]:
                    raise SystemExit(f"{name}: the demo did not succeed, so its transcript is not kept")
            else:
                await _talk(setup, view, recording.requests)
        finally:
            await view.aclose()
        (made,) = (state / "sessions").glob("*.jsonl")
        if folder in made.read_text(encoding="utf-8"):
            raise SystemExit(f"{name}: the path of this machine's state folder got into the transcript")
        return Path(shutil.copyfile(made, TRANSCRIPTS / f"{name}.jsonl"))


async def _talk(setup: Setup, view: PlainView, requests: tuple[str, ...]) -> None:
    session = await open_session(setup, view)
    try:
        await session.open_cluster()
        for request in requests:
            demo = ordered(session, request)
            await (demo.run(request) if demo else session.ask(request))
    finally:
        await session.aclose()


def main() -> None:
    """Record those that are named, or all."""
    names = sys.argv[1:] or list(RECORDINGS)
    unknown = [name for name in names if name not in RECORDINGS]
    if unknown:
        raise SystemExit(f"no recording {', '.join(unknown)}: there are {', '.join(RECORDINGS)}")
    TRANSCRIPTS.mkdir(exist_ok=True)
    for name in names:
        path = asyncio.run(record(name, RECORDINGS[name]))
        print(f"{path.name}: {len(path.read_text(encoding='utf-8').splitlines())} lines")


if __name__ == "__main__":
    main()
