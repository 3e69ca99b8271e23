"""`operator drill`: many blind faults in a row, scored; and two runs compared."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.command_line.options import everywhere, placed, run_command

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View


@click.group(invoke_without_command=True)
@everywhere
@placed
@click.option("--trials", type=click.IntRange(1, 1000), default=10, show_default=True)
@click.option("--faults", metavar="A,B,…", help="Default: all that the drill knows, with its controls.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same faults.")
@click.option("--diagnostician", type=click.Choice(["rules", "claude"]), default="rules", show_default=True)
@click.pass_context
def drill(
    context: click.Context,
    /,
    trials: int,
    faults: str | None,
    seed: int,
    diagnostician: str,
    **_: Any,
) -> None:
    """Inject blind faults in random order, and score detection, diagnosis and healing."""
    if context.invoked_subcommand is not None:
        return

    async def work(setup: "Setup", view: "View") -> dict[str, Any]:
        from agent.drill.command import drill as drill_them

        return await drill_them(setup, view, trials, faults, diagnostician)

    run_command(
        context,
        "drill",
        work,
        interrupted="Drill interrupted",
        listing=True,
        seed=seed,
        allow_quorum_loss=True,
    )


@drill.command("compare")
@everywhere
@click.argument("a", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("b", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.pass_context
def compare(context: click.Context, /, a: Path, b: Path, **_: Any) -> None:
    """Say whether two drills (their JSON results) differ by more than chance."""

    async def work(_setup: "Setup", view: "View") -> dict[str, Any]:
        from agent.drill.command import compare_files

        return compare_files(view, _last_line(a), _last_line(b))

    run_command(context, "drill compare", work, listing=True)


def _last_line(path: Path) -> dict[str, Any]:
    """The result of a drill's output: the last line of `--output json` or `stream-json`."""
    lines = path.read_text(encoding="utf-8").strip().splitlines()
    try:
        found = json.loads(lines[-1]) if lines else None
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict) or "trials" not in found:
        raise click.ClickException(f"{path} is no result of a drill: run it with --output json.")
    return found
