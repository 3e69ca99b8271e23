"""The workbench of a run: made from what the person asked for, and closed at its end."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from agent.setup import Setup, allowed_contexts
from agent.view.base import View
from subjects.errors import BadSetup
from subjects.state import StateFolder, open_state
from tools.diagnosis.rules import RulesDiagnostician
from tools.events import Emit, Notice
from tools.faults.service import FaultService
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger
from tools.workbench import Workbench


def make_workbench(state: StateFolder, setup: Setup, emit: Emit, view: View | None = None) -> Workbench:
    """Return a workbench that tells `emit`; there is no cluster on it yet, and the rules diagnose.

    `view` is where a person can be asked.
    """
    kubernetes = setup.choice.kubernetes
    try:
        kubernetes = replace(kubernetes, allowed=allowed_contexts(setup.choice))
    except BadSetup as error:  # what heals, stops or reads must not fail for it
        emit(Notice(f"{error} Nothing in it applies.", level="warning"))
    with contextlib.ExitStack() as on_failure:
        incidents = on_failure.enter_context(contextlib.closing(IncidentStore(state.database)))
        faults = FaultService(state, setup.seed)
        on_failure.pop_all()
    _report_trouble(incidents, faults, emit)
    return Workbench(
        state=state,
        emit=emit,
        ledger=Ledger(),
        incidents=incidents,
        faults=faults,
        diagnostician=RulesDiagnostician(),
        choice=replace(setup.choice, kubernetes=kubernetes),
        consent=_asker(setup, view),
        allow_quorum_loss=setup.allow_quorum_loss,
    )


def _asker(setup: Setup, view: View | None) -> Callable[[str], Awaitable[bool]] | None:
    """Return how the person is asked; None without one, and with --yes, which answers nothing like this."""
    if view is None or setup.yes or not (view.interactive and sys.stdin.isatty()):
        return None
    from agent.chat.asking import consents

    return lambda question: consents(question, view.aside)


def _report_trouble(incidents: IncidentStore, faults: FaultService, emit: Emit) -> None:
    """Have the person told, once, when what is written is not kept: both write into one file."""
    loop = asyncio.get_running_loop()
    reported: list[str] = []

    def tell(text: str) -> None:
        if not reported:
            reported.append(text)
            loop.call_soon_threadsafe(emit, Notice(text, level="warning"))

    incidents.report(tell)
    faults.journal.report(tell)


@contextlib.asynccontextmanager
async def opened_workbench(setup: Setup, view: View) -> AsyncIterator[Workbench]:
    """Hold a workbench of the setup's state folder open; there is no cluster on it yet."""
    workbench = make_workbench(open_state(setup.state_dir), setup, view.show, view)
    try:
        yield workbench
    finally:
        await close_workbench(workbench)


async def close_workbench(workbench: Workbench) -> None:
    """Close what the workbench holds open, all of it also when a part fails; the cluster itself goes on."""
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(workbench.incidents.close)
        stack.callback(workbench.faults.close)
        if workbench.cluster is not None:
            await workbench.cluster.aclose()
