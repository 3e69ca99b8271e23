"""`operator drill`: a cluster of its own (or the one that is up), the drill, and the world as it was."""

from typing import Any

from agent.drill.compare import compare
from agent.drill.plan import DEFAULT_FAULTS, DrillSettings, checked
from agent.drill.run import run_drill
from agent.setup import Setup
from agent.view.base import View
from agent.workbench import close_workbench, make_workbench
from subjects.state import open_state
from tools.cluster import lifecycle
from tools.events import Notice, Table


async def drill(
    setup: Setup, view: View, trials: int, faults: str | None, diagnostician: str
) -> dict[str, Any]:
    """Run a drill; returns its result. ToolError names the faults there are for one that there is not."""
    names = checked(faults.split(",")) if faults else DEFAULT_FAULTS
    workbench = make_workbench(open_state(setup.state_dir), setup, view.show)
    try:
        if diagnostician == "claude":
            from agent.diagnostician import ClaudeDiagnostician
            from agent.sessions.opening import choose_claude

            workbench.diagnostician = ClaudeDiagnostician(choose_claude(setup), view.show)
        await workbench.faults.restore(orphans_only=True)
        await lifecycle.find(workbench)
        await lifecycle.start(workbench)
        return await run_drill(workbench, DrillSettings(trials, names, setup.seed or 0))
    finally:
        await workbench.faults.heal_own()
        if told := await lifecycle.leave(workbench, keep=setup.keep):
            view.show(Notice(told))
        await close_workbench(workbench)


def compare_files(view: View, a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """Compare two drills' results and show what differs."""
    result = compare(a, b)
    rows = tuple(
        (
            str(each["measure"]),
            _shown(each["a"]),
            _shown(each["b"]),
            "–" if each["p"] is None else f"{each['p']:.3f}",
            str(each["verdict"]),
        )
        for each in result["differences"]
    )
    view.show(Table("Two drills", ("", "A", "B", "p", "verdict"), rows))
    return result


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
