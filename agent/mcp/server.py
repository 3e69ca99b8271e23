"""`operator mcp`: the tools for any MCP client, over standard input and output.

Only reads are offered unless acts were allowed when it was started: over this protocol nobody can be
asked. Nothing but the protocol reaches standard output.
"""

import asyncio
import contextlib
import importlib.util
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import anyio

from agent.calls import not_run
from agent.mcp.frames import Owed, frames
from agent.mcp.input_lines import InputLines, divert_input
from agent.models.base import ToolCall
from agent.transcript import entries
from prompts import read as read_prompt
from prompts import remark
from subjects.errors import NotReady
from tools.events import Notice
from tools.registry import Dispatcher
from tools.tool import Effect, Outcome, Tool

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

    from agent.setup import Setup
    from agent.view.base import View

NAME = "operator"
MISSING = "The MCP server needs the mcp package: pip install 'chaos-operator[mcp]'."


async def offer(setup: "Setup", view: "View", *, allow_faults: bool = False) -> dict[str, Any]:
    """Serve until the client closes; returns the result. `view` must not write to standard output.

    Whatever the client left broken is healed at the end. NotReady without the mcp package.
    """
    from agent.sessions.opening import open_session
    from agent.setup import version

    if importlib.util.find_spec("mcp") is None:
        raise NotReady(MISSING)
    # Whoever is the client has a model of its own; ours is not asked, and rules diagnose.
    session = await open_session(replace(setup, offline=True), view)
    offered = Offered(session.dispatcher, session.transcript, allow_faults)
    try:
        await session.open_cluster()
        await serve(make_server(offered, version()))
    finally:
        closing_words = await session.aclose()
        if closing_words:
            view.show(Notice(closing_words))
    return {"ok": True, "command": "mcp", "calls": offered.calls}


@dataclass(slots=True)
class Offered:
    """The tools as an MCP client may call them; each call is written down before and after."""

    dispatcher: Dispatcher
    transcript: entries.Recorder
    allow_faults: bool = False
    calls: int = 0
    _one_act: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def tools(self) -> list[Tool]:
        """What is offered."""
        return [
            tool for tool in self.dispatcher.tools.values() if self.allow_faults or tool.effect is Effect.READ
        ]

    async def call(self, name: str, arguments: dict[str, Any]) -> Outcome:
        """Run one call: reads side by side, acts one at a time."""
        self.calls += 1
        call = ToolCall(f"mcp-{self.calls}", name, arguments)
        if name not in [tool.name for tool in self.tools]:
            return self._unknown(call)
        effect = self.dispatcher.effect(name)
        async with contextlib.nullcontext() if effect is Effect.READ else self._one_act:
            return await self._run(call, effect)

    async def _run(self, call: ToolCall, effect: Effect) -> Outcome:
        self.transcript.record(entries.call(call, effect))
        try:
            outcome = await self.dispatcher.run(call.id, call.name, call.arguments)
        except asyncio.CancelledError:
            cut = not_run(call, remark("read-stopped" if effect is Effect.READ else "unknown-outcome"))
            self.transcript.record(entries.outcome(cut, ran=True))
            raise
        outcome = self._advising_what_is_offered(outcome)
        self.transcript.record(entries.outcome(outcome, ran=True))
        return outcome

    def _advising_what_is_offered(self, outcome: Outcome) -> Outcome:
        """Return the outcome without advice to call what is not offered here."""
        advice = outcome.data.get("next")
        hidden = self.dispatcher.tools.keys() - {tool.name for tool in self.tools}
        if not isinstance(advice, str) or not any(name in advice for name in hidden):
            return outcome
        kept = [part for part in re.split(r"(?<=[.;]) ", advice) if not any(name in part for name in hidden)]
        now = " ".join([*kept, "This server only reads; with --allow-faults it acts, too."])
        return replace(
            outcome,
            text=outcome.text.replace(_inside_json(advice), _inside_json(now), 1),
            data={**outcome.data, "next": now},
        )

    def _unknown(self, call: ToolCall) -> Outcome:
        if call.name in self.dispatcher.tools:
            text = (
                f"{call.name} acts on the cluster, and this server only reads: start it with --allow-faults."
            )
        else:
            text = (
                f"There is no tool {call.name!r}. There are: {', '.join(tool.name for tool in self.tools)}."
            )
        return not_run(call, text)


def _inside_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def make_server(offered: Offered, version: str) -> "Server[Any]":
    """Return the MCP server of these tools."""
    import mcp_types as types
    from mcp.server.lowlevel import Server

    async def list_tools(_context: object, _params: object) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(tool) for tool in offered.tools])

    async def call_tool(_context: object, params: types.CallToolRequestParams) -> types.CallToolResult:
        outcome = await offered.call(params.name, dict(params.arguments or {}))
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=outcome.text)], is_error=not outcome.ok
        )

    def _described(tool: Tool) -> types.Tool:
        return types.Tool(
            name=tool.name,
            description=tool.description,
            input_schema=tool.schema,
            annotations=types.ToolAnnotations(
                read_only_hint=tool.effect is Effect.READ,
                destructive_hint=tool.effect is Effect.DESTROY,
                idempotent_hint=tool.effect is Effect.READ,
                open_world_hint=False,
            ),
        )

    instructions = read_prompt("mcp")
    if offered.allow_faults:
        instructions += f"\n\n{read_prompt('mcp-faults')}"
    return Server(
        NAME,
        version=version,
        instructions=instructions,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


class Settling:
    """The outgoing stream, which notes what it answers."""

    def __init__(self, outgoing: Any, owed: Owed) -> None:
        self._outgoing, self._owed = outgoing, owed

    async def send(self, item: Any) -> None:
        """Send it; an answer settles its request."""
        await self._outgoing.send(item)
        if getattr(item.message, "method", None) is None:
            self._owed.settle(item.message.id)

    async def aclose(self) -> None:
        """Close the stream."""
        await self._outgoing.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def serve(server: "Server[Any]") -> None:
    """Serve on standard input and output until the client closes."""
    import mcp_types as types
    from mcp.server.stdio import stdio_server
    from mcp.shared.message import SessionMessage
    from pydantic import ValidationError

    # The transport's own reader would wait for the client even after we were told to end.
    sending: list[Any] = []

    async def refuse(call_id: int | str | None, code: int, text: str) -> None:
        error = types.JSONRPCError(
            jsonrpc="2.0", id=call_id, error=types.ErrorData(code=code, message=text[:300])
        )
        await sending[0].send(SessionMessage(error))

    def is_valid(frame: str) -> bool:
        try:
            types.jsonrpc_message_adapter.validate_json(frame, by_name=False)
        except ValidationError:
            return False
        return True

    owed = Owed()
    lines: Any = owed.noting(frames(InputLines(divert_input()), is_valid, refuse))
    # While it runs, the transport itself keeps file descriptor 1: a stray print goes to standard error.
    try:
        async with stdio_server(stdin=lines) as (incoming, outgoing):
            sending.append(outgoing)
            await server.run(incoming, Settling(outgoing, owed), server.create_initialization_options())
    except* (anyio.BrokenResourceError, BrokenPipeError):
        pass  # a line came while the server was ending, or nobody reads the answers: there is nobody to tell
    task = asyncio.current_task()
    if task is not None and task.cancelling():  # the transport's error takes the place of the cancellation
        raise asyncio.CancelledError
