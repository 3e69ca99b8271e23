"""`make live`: the demo and three follow-up questions with Claude itself. Needs a key; never part of CI.

OPERATOR_MODEL chooses the model; it costs cents, and stops at three dollars. Prints what the chat would
show, what it cost, and where the transcript is, which may become a fixture for tests/replay.
"""

import sys
from typing import Any

from agent.demo.demo import Demo
from agent.demo.request import DemoRequest
from agent.models.providers import credentials_found, setup_help
from agent.running import run
from agent.sessions.opening import open_session
from agent.sessions.session import Session
from agent.setup import Setup
from agent.view.base import View
from tools.events import Notice
from tools.workbench import Choice

QUESTIONS = (
    "Why did writes stall, or why did they not?",
    "Which store was it, and how do you know?",
    "Was anything lost?",
)
SETUP = Setup(command="live", max_cost_usd=3.0, choice=Choice("etcd", "process"))


async def live(view: View) -> dict[str, Any]:
    """Run it; whatever goes wrong, the cluster is healed and stopped and the transcript named."""
    session = await open_session(SETUP, view)
    try:
        return await _talk(session)
    finally:
        used = session.status()
        told = await session.aclose()
        cost = "at an unknown price" if used.cost_usd is None else f"for ${used.cost_usd:.2f}"
        view.show(Notice(f"{told} {used.tokens:,} tokens of {used.model} {cost}."))
        view.show(Notice(f"The transcript is {session.transcript.path}."))


async def _talk(session: Session) -> dict[str, Any]:
    demo = Demo(session, DemoRequest())
    await demo.run()
    result = demo.result()
    session.keep_result(result)
    ends = [await session.ask(question) for question in QUESTIONS]
    answered = [end.reason == "answered" for end in ends]
    by_claude = (result["diagnosis"] or {}).get("by") == "claude"
    return {**result, "ok": result["ok"] and by_claude and all(answered), "answered": answered}


if __name__ == "__main__":
    if not credentials_found():
        sys.exit(f"No credentials for Claude were found. {setup_help()}")
    sys.exit(run(SETUP, live))
