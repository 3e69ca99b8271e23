"""`operator restore`: heal every open fault."""

from typing import TYPE_CHECKING

import click

from agent.commands.command import Result, command

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View


@click.command()
@command()
async def restore(setup: "Setup", view: "View") -> Result:
    """Heal every open fault in the journal. Can be run any number of times."""
    from agent.workbench import opened_workbench
    from tools.events import Notice, Progress
    from tools.faults.results import heals

    async with opened_workbench(setup, view) as workbench:
        view.show(Progress("Healing every open fault"))
        reports = await workbench.faults.restore()
    for report in reports:
        view.show(Notice(report.sentence, level="info" if report.ok else "warning"))
    if not reports:
        view.show(Notice("There is no open fault."))
    return {"ok": all(report.ok for report in reports), "faults": heals(reports)}
