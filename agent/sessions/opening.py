"""Opening a session: the workbench, who answers, the transcript, and what a killed run left broken."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from agent.budget import Budget, Limits
from agent.compaction import Compactor
from agent.events import SessionOpened
from agent.mode import Mode
from agent.models.base import ToolSpec
from agent.models.catalog import facts_of
from agent.permissions import ActiveGate, Ask, PermissionGate
from agent.sessions.choosing import choose_diagnostician, choose_model
from agent.sessions.session import Session
from agent.setup import Setup, version
from agent.transcript.event_entries import recording
from agent.transcript.file import Transcript, new_id
from agent.transcript.reading import Header
from agent.turn import Conversation
from agent.view.base import View
from agent.workbench import close_workbench, make_workbench
from prompts import read as read_prompt
from subjects.state import open_state
from tools.cluster import lifecycle
from tools.events import Event, Notice
from tools.registry import Dispatcher, load_tools
from tools.tasks import uncancelled
from tools.workbench import Workbench


async def open_session(setup: Setup, view: View, ask: Ask | None = None) -> Session:
    """Open a session. Raises SubjectError or AgentError with what to do."""
    state = open_state(setup.state_dir)
    model = choose_model(setup)
    header = Header(
        id=new_id(),
        made=time.time(),
        operator=version(),
        driver=model.driver,
        model=model.name,
        command=setup.command,
    )
    transcript = Transcript.create(state.sessions, header)

    gate = ActiveGate(PermissionGate(Mode.AUTO if setup.yes else Mode.ASK, ask))

    transcript.report(lambda text: view.show(Notice(text, level="warning")))
    shown = recording(transcript, view.show)

    def emit(event: Event) -> None:
        if gate.shows is None or gate.shows(event):
            shown(event)

    try:
        workbench = make_workbench(state, setup, emit, view)
    except BaseException:
        transcript.close()
        raise
    tools = await asyncio.to_thread(load_tools, Workbench)
    dispatcher = Dispatcher(workbench, tools, partial(lifecycle.find, workbench))
    gate.permissions.preview = dispatcher.preview
    conversation = Conversation(
        model=model,
        runner=dispatcher,
        gate=gate,
        emit=emit,
        transcript=transcript,
        budget=Budget(facts_of(model.name), Limits(cost_usd=setup.max_cost_usd)),
        system="\n\n".join(map(read_prompt, ("system", "chat" if setup.command == "chat" else "headless"))),
        tools=tuple(ToolSpec(t.name, t.description, t.schema) for t in dispatcher.tools.values()),
        compactor=Compactor(lambda: facts_to_keep(workbench)),
    )
    session = Session(setup, view, workbench, conversation, transcript, gate, dispatcher)
    workbench.diagnostician = choose_diagnostician(model, emit, conversation.budget)
    emit(SessionOpened(header.id, model.driver, model.name, header.operator))
    try:
        await _heal_orphans(workbench)
    except BaseException:
        await close_workbench(workbench)
        transcript.close()
        raise
    return session


@asynccontextmanager
async def headless_session(setup: Setup, view: View) -> AsyncIterator[Session]:
    """Hold a session open on its cluster, with nobody to ask; closed whatever happens, which is shown."""
    session = await open_session(setup, view)
    try:
        await session.open_cluster()
        yield session
    finally:
        closed: list[str] = []

        async def closing() -> None:
            closed.append(await session.aclose())

        try:
            await uncancelled(closing())
        finally:
            for text in filter(None, closed):
                view.show(Notice(text))


def facts_to_keep(workbench: Workbench) -> str:
    """What must survive a compaction: open faults, the incident under way, where the evidence ends."""
    lines = [
        f"Open fault {fault.id}: {fault.kind} on {', '.join(fault.nodes)}."
        for fault in workbench.faults.journal.open_faults()
    ]
    if workbench.monitor is not None:
        lines += [f"Open incident: {incident}." for incident in workbench.monitor.open_incidents]
    recent = list(workbench.ledger)[-30:]
    lines += [
        f"Evidence {item.id}: {item.source}{f' of {item.node}' if item.node else ''}." for item in recent
    ]
    return "\n".join(lines)


async def _heal_orphans(workbench: Workbench) -> None:
    """Read the journal: what a killed run left broken is healed before anything else."""
    for report in await workbench.faults.restore(orphans_only=True):
        workbench.emit(
            Notice(
                f"An earlier run was killed while a fault was open: fault {report.fault} ({report.kind} on "
                f"{', '.join(report.nodes)}) is now {report.state}: {report.text}.",
                level="info" if report.ok else "warning",
            )
        )
