"""`operator -p PROMPT`: one request, answered without anybody to ask."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.commands.command import Result
    from agent.setup import Setup
    from agent.view.base import View


async def one_request(setup: "Setup", view: "View", prompt: str, resume: str | None) -> "Result":
    """Answer one request; what needs a person's consent is refused unless `--yes` gave it."""
    from agent.demo.result import demo_result
    from agent.sessions.opening import headless_session
    from tools.events import Notice

    async with headless_session(setup, view) as session:
        if resume is not None:
            view.show(Notice(await session.resume(resume)))
        end = await session.ask(prompt)
        refusals = session.door.permissions.refusals
        result: Result = {
            "ok": end.reason == "answered" and not refusals,
            "driver": session.conversation.model.driver,
            "model": session.conversation.model.name,
            "text": end.text,
            "reason": end.reason,
            "detail": end.detail,
            "calls": end.calls,
            "refused_calls": refusals,
            "cost_usd": session.conversation.budget.cost_usd,
            "session": session.id,
        }
        if session.demo is not None:
            result["demo"] = demo_result(session, session.demo.facts)
            result["ok"] = result["ok"] and result["demo"]["ok"]
        if refusals:
            text = f"{refusals} call(s) that act were refused: nobody could be asked. --yes allows them."
            view.show(Notice(text, level="warning"))
        return result
