"""`operator demo chaos`."""

from typing import TYPE_CHECKING

import click

from agent.commands.command import CLUSTER, LOAD, MODEL, Result, command
from agent.commands.parameters import DURATION, FAULT, TARGET, Number, TargetOption, WordedOption
from agent.exit_codes import ExitCode

if TYPE_CHECKING:
    from agent.demo.demo import Demo
    from agent.demo.gate import Pause
    from agent.demo.request import DemoRequest
    from agent.setup import Setup
    from agent.view.base import View


@click.group()
def demo() -> None:
    """Show what operator does, on a real cluster."""


@demo.command("chaos")
@command(*MODEL, *CLUSTER, *LOAD, interrupted="Demo interrupted", interrupted_code=ExitCode.FAILED)
@click.option(
    "--timeout", type=DURATION, default="30s", show_default=True, help="How long to wait for the detection."
)
@click.option("--fault", type=FAULT, default="kill", show_default=True, help="One that `fault list` shows.")
@click.option("--target", type=TARGET, cls=TargetOption)
@click.option(
    "--rate",
    type=Number(1, 20_000),
    cls=WordedOption,
    show_default="300",
    help="Operations per second of the load.",
)
@click.option("--seed", type=int, help="Repeats the random choices.")
@click.option(
    "--pause/--no-pause",
    default=None,
    cls=WordedOption,
    show_default="on a terminal",
    help="Wait for Enter between stages.",
)
@click.option("--keep", is_flag=True, help="Leave the cluster up.")
@click.option("--allow-quorum-loss", is_flag=True, help="Let the fault break quorum.")
async def chaos(
    setup: "Setup",
    view: "View",
    *,
    timeout: float,
    fault: str,
    target: str | None,
    rate: float | None,
    pause: bool | None,
) -> Result:
    """Start and load a cluster, break a store, detect, diagnose, heal."""
    from agent.chat.asking import press_enter
    from agent.demo.request import DemoRequest

    if not 0 < timeout <= 300:
        raise click.UsageError("--timeout must be above 0 and at most 5m.")
    pausing = view.interactive if pause is None else pause and view.interactive
    ask = (lambda text: press_enter(text, view.aside)) if pausing else None
    return await demo_chaos(setup, view, DemoRequest(fault, target, timeout, rate=rate), ask)


async def demo_chaos(
    setup: "Setup", view: "View", request: "DemoRequest", pause: "Pause | None" = None
) -> Result:
    """Run the chaos demo; returns its result, of one that was interrupted or whose model failed as well."""
    from agent.demo.demo import Demo
    from agent.sessions.opening import headless_session
    from tools.events import Failed, Notice

    async with headless_session(setup, view) as session:
        demo = Demo(session, request, pause)
        failed = await run_demo(demo, None, view)
        result = {**demo.result(), **failed}
        session.keep_result(result)
        told = any(not stage["ok"] and stage["n"] in demo.facts.failures for stage in result["stages"])
        if not (result["ok"] or failed or result["interrupted"] or told):
            view.show(Failed(result["error"]))  # no tool has told why
    if session.recorded:
        view.show(Notice(f"Ask more: operator --resume {session.id}"))
    if found := result["incident"]:
        view.show(Notice(f"Report: operator incidents report {found} --format html --to report.html"))
    return result


async def run_demo(demo: "Demo", text: str | None, view: "View") -> Result:
    """Run a demo to its end, healed in any case; returns what a failure adds to its result."""
    import asyncio

    from agent.errors import ModelError, ModelUnavailable
    from tools.events import Failed

    try:
        await demo.run(text)
    except asyncio.CancelledError:
        return {"ok": False, "error": "Demo interrupted"}
    except ModelError as error:
        view.show(Failed(str(error)))
        code = ExitCode.TRY_LATER if isinstance(error, ModelUnavailable) else ExitCode.FAILED
        return {"ok": False, "error": str(error), "exit_code": code}
    return {}
