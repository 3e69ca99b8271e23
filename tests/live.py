"""`make live`: the demo and three follow-up questions with Claude itself. Needs a key; never part of CI.

Prints what the chat would show, and where the transcript is, which may become a fixture for tests/replay.
"""

import asyncio
import sys

from agent.demo import Demo, Wish
from agent.models.providers import credentials_found, setup_help
from agent.opening import open_session
from agent.setup import Setup
from agent.view.open import open_view
from tools.events import Notice
from tools.workbench import Choice

QUESTIONS = (
    "Why did writes stall, or why did they not?",
    "Which store was it, and how do you know?",
    "Was anything lost?",
)


async def live() -> int:
    """Run it; returns the exit code."""
    if not credentials_found():
        sys.exit(f"No credentials for Claude were found. {setup_help()}")
    view = open_view("text")
    session = await open_session(Setup(command="live", choice=Choice("etcd", "process")), view)
    try:
        result = await Demo(session, Wish()).run()
        session.keep_result(result)
        ends = [await session.ask(question) for question in QUESTIONS]
    finally:
        told = await session.aclose()
        view.show(Notice(f"{told} The transcript is {session.transcript.path}."))
        await view.aclose()
    return 0 if result["ok"] and all(end.reason == "answered" for end in ends) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(live()))
