"""`operator drill`: many blind faults in a row, scored; and two runs compared."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.commands.command import CLUSTER, LOAD, MODEL, Result, command
from agent.commands.parameters import WordedOption
from subjects.errors import BadSetup

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View

_RESULT = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group(invoke_without_command=True)
@command(*MODEL, *CLUSTER, *LOAD, interrupted="Drill interrupted", listing=True)
@click.option(
    "--trials", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many faults in a row."
)
@click.option(
    "--faults",
    metavar="A,B,…",
    cls=WordedOption,
    show_default="all that work here, and controls",
    help="Which faults; none is a control.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same faults.")
@click.option(
    "--diagnostician",
    type=click.Choice(["rules", "claude"]),
    default="rules",
    show_default=True,
    help="Who diagnoses.",
)
async def drill(
    setup: "Setup", view: "View", *, trials: int, faults: str | None, diagnostician: str
) -> Result:
    """Inject faults in a row, diagnose them blind, and score it.

    The order is random; the seed repeats it. Detection, diagnosis and healing are scored.
    """
    from agent.drill.plan import DEFAULT_FAULTS, DrillSettings, checked
    from agent.drill.run import run_drill
    from agent.workbench import opened_workbench
    from tools.cluster import lifecycle
    from tools.errors import ToolError
    from tools.events import Notice

    try:
        names = checked([name.strip() for name in faults.split(",")]) if faults else DEFAULT_FAULTS
    except ToolError as error:
        raise click.UsageError(f"{error} {error.next}") from error
    async with opened_workbench(setup, view) as workbench:
        workbench.allow_quorum_loss = True  # a drill is asked for by a person, by name; no model starts one
        if diagnostician == "claude":
            from agent.diagnostician import ClaudeDiagnostician
            from agent.sessions.choosing import choose_claude

            workbench.diagnostician = ClaudeDiagnostician(choose_claude(setup), view.show)
        try:
            await workbench.faults.restore(orphans_only=True)
            await lifecycle.find(workbench)
            await lifecycle.start(workbench)
            return await run_drill(workbench, DrillSettings(trials, names, setup.seed or 0))
        finally:
            await workbench.faults.heal_own()
            if left := await lifecycle.leave(workbench, keep=setup.keep):
                view.show(Notice(left))


@drill.command("compare")
@command(listing=True)
@click.argument("a", type=_RESULT)
@click.argument("b", type=_RESULT)
@click.option("--to", type=click.Path(path_type=Path, dir_okay=False), help="Write an HTML page there.")
async def compare(_setup: "Setup", view: "View", *, a: Path, b: Path, to: Path | None) -> Result:
    """Say whether two drills differ by more than chance.

    A and B are results of drills: a result.json, or what `--output json` printed.
    """
    from agent.drill.compare import compare as compare_results
    from agent.drill.page import compared, comparison_page, difference_rows
    from tools.events import Notice, Table

    first, second = read_result(a), read_result(b)
    result = compare_results(first, second)
    rows = tuple(row[:5] for row in difference_rows(result))
    view.show(Table("Two drills compared", ("", "A", "B", "p", "verdict"), rows))
    view.show(Notice("\n".join(compared(result, name) for name in ("a", "b"))))
    if to is None:
        return result
    to.write_text(comparison_page(result, first, second), encoding="utf-8")
    view.show(Notice(f"The page is in {to}."))
    return {**result, "file": str(to)}


def read_result(path: Path) -> dict[str, Any]:
    """Return the result of a drill: the last line of `--output json` or `stream-json`; else BadSetup."""
    from agent.drill.compare import compare
    from agent.drill.tables import fault_rows
    from subjects.untrusted import NotJson, read_object, read_text

    lines = read_text(path.read_bytes()).strip().splitlines()
    try:
        found = read_object(lines[-1]) if lines else {}
    except NotJson:
        found = {}
    try:
        compare(found, found)  # reads all that is compared, and is cheap
        fault_rows(found)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise BadSetup(f"{path} is no result of a drill: run it with --output json.") from error
    return found
