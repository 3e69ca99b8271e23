"""`operator -p PROMPT`: one request, answered without anybody to ask."""

from typing import TYPE_CHECKING, Any

from agent.commands.command import Result

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View


async def one_request(setup: "Setup", view: "View", prompt: str, resume: str | None) -> Result:
    """Answer one request; what needs a person's consent is refused unless `--yes` gave it."""
    from agent.commands.demo import run_demo
    from agent.demo.demo import ordered
    from agent.ending import TurnEnd
    from agent.sessions.opening import headless_session
    from tools.events import Notice

    async with headless_session(setup, view) as session:
        if resume is not None:
            view.show(Notice(await session.resume(resume)))
        demo, failed = ordered(session, prompt), dict[str, Any]()
        if demo is not None:
            failed = await run_demo(demo, prompt, view)
            end = demo.end or TurnEnd("failed", detail=str(failed.get("error", "")))
        else:
            end = await session.ask(prompt)
        refusals = session.gate.permissions.refusals
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
        if demo is not None:
            result["demo"] = demo.result()
            result["ok"] = result["ok"] and result["demo"]["ok"]
        result |= failed
        if refusals:
            text = f"{refusals} call(s) that act were refused: nobody could be asked. --yes allows them."
            view.show(Notice(text, level="warning"))
        return result
