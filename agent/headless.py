"""`operator demo chaos` and `operator -p`: a session without a prompt."""

import asyncio
from typing import Any

from agent.demo.director import Demo, Wish
from agent.demo.result import demo_result
from agent.running import FAILED
from agent.sessions.opening import open_session
from agent.sessions.session import Session
from agent.setup import Setup
from agent.view.base import View
from tools.events import Notice
from tools.uncancelled import uncancelled


async def demo_chaos(setup: Setup, view: View, wish: Wish) -> dict[str, Any]:
    """Run the chaos demo; returns its result, of an interrupted one as well."""
    session = await open_session(setup, view)
    try:
        await session.open_cluster()
        await session.check_wish(wish.fault, wish.target)
        demo = Demo(session, wish)
        try:
            result = await demo.run()
        except asyncio.CancelledError:
            # By now all is restored: an interrupted demo's result tells that, too.
            result = {**demo_result(session, demo.facts), "error": "Demo interrupted"}
        session.keep_result(result)
    finally:
        await _close(session, view)
    view.show(Notice(_go_on(session.id, result)))
    return result


def _go_on(session: str, result: dict[str, Any]) -> str:
    """Say what can be done with what was recorded."""
    found = result["incident"]
    report = f" · Report: operator incidents report {found} --format html" if found else ""
    return f"Ask on: operator --resume {session}{report}"


async def one_request(setup: Setup, view: View, prompt: str, resume: str | None) -> dict[str, Any]:
    """Answer one request; what needs a person's consent is refused unless `--yes` gave it."""
    session = await open_session(setup, view)
    try:
        await session.open_cluster()
        if resume is not None:
            view.show(Notice(await session.resume(resume)))
        end = await session.ask(prompt)
        refusals = session.door.permissions.refusals
        usage = session.conversation.budget
        result: dict[str, Any] = {
            "ok": end.reason == "answered" and not refusals,
            "command": "prompt",
            "driver": session.conversation.model.driver,
            "model": session.conversation.model.name,
            "text": end.text,
            "reason": end.reason,
            "detail": end.detail,
            "calls": end.calls,
            "refused_calls": refusals,
            "cost_usd": usage.cost_usd,
            "session": session.id,
        }
        if session.demo is not None:
            result["demo"] = demo_result(session, session.demo.facts)
            result["ok"] = result["ok"] and result["demo"]["ok"]
        if refusals:
            text = f"{refusals} call(s) that act were refused: nobody could be asked. --yes allows them."
            view.show(Notice(text, level="warning"))
        if not result["ok"]:
            result["exit_code"] = FAILED
        return result
    finally:
        await _close(session, view)


async def _close(session: Session, view: View) -> None:
    """Close the session whatever happens, and tell what it left."""
    told: list[str] = []

    async def closing() -> None:
        told.append(await session.aclose())

    try:
        await uncancelled(closing())
    finally:
        for text in filter(None, told):
            view.show(Notice(text))
