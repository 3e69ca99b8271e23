"""Play a recorded session through the real loop, and see in which shape it went."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.budget import Budget
from agent.calls import Runner
from agent.demo.request import DemoRequest
from agent.history import rebuild
from agent.mode import Mode
from agent.models.base import Message, Model, ToolSpec
from agent.models.catalog import ModelFacts
from agent.permissions import Gate, PermissionGate
from agent.transcript.file import Transcript
from agent.transcript.reading import Header, read
from agent.turn import Conversation
from tests.replay.tape import Tape, TapeModel
from tests.replay.tape_runner import TapeGate, TapeRunner
from tools.events import Event
from tools.registry import load_tools

Asked = str | tuple[str, DemoRequest | None]
"""What a person asks: words, and the demo that they ask for."""


@dataclass(frozen=True, slots=True)
class Played:
    """What a run came to."""

    path: Path
    """Its own transcript."""
    messages: Sequence[Message]
    events: Sequence[Event]


async def run(
    folder: Path,
    model: Model,
    runner: Runner,
    requests: Sequence[str | tuple[str, DemoRequest | None]],
    gate: Gate | None = None,
) -> Played:
    """Ask `requests` one after another in a conversation of the real loop, written down in `folder`."""
    header = Header(f"run-{len(list(folder.iterdir()))}", time.time(), "test", model.driver, model.name)
    transcript = Transcript.create(folder, header)
    events: list[Event] = []
    specs = tuple(ToolSpec(tool.name, tool.description, tool.schema) for tool in load_tools().values())
    conversation = Conversation(
        model=model,
        runner=runner,
        gate=gate or PermissionGate(Mode.AUTO),
        emit=events.append,
        transcript=transcript,
        budget=Budget(ModelFacts()),
        system="",
        tools=specs,
    )
    try:
        for request in requests:
            text, demo = (request, None) if isinstance(request, str) else request
            await conversation.ask(text, demo)
    finally:
        await conversation.aclose()
        transcript.close()
    return Played(transcript.path, conversation.history.messages, tuple(events))


async def play(path: Path, folder: Path, model: Model | None = None) -> Played:
    """Play `path`: its outcomes answer the calls, and its replies or `model` make them.

    Raises TapeMismatch where the run goes another way.
    """
    tape = Tape(path)
    gate, runner = TapeGate(tape), TapeRunner(tape, load_tools())
    played = await run(folder, model or TapeModel(tape), runner, tape.requests, gate)
    tape.assert_all_played(replies=model is None)
    return played


def recorded_messages(path: Path) -> Sequence[Message]:
    """Return the history that a transcript tells of."""
    return rebuild(entry.data for entry in read(path)).messages


def shape(path: Path) -> list[tuple[Any, ...]]:
    """Return what a transcript tells without its prose: who spoke, what was called, how it ended."""
    shapes: list[tuple[Any, ...]] = []
    for entry in read(path):
        data = entry.data
        match entry.type:
            case "user":
                shapes.append(("user", data["text"]))
            case "assistant":
                kinds = tuple(block["type"] for block in data["content"])
                shapes.append(("assistant", kinds, data["stop_reason"]))
            case "call":
                shapes.append(("call", data["tool"], json.dumps(data["arguments"], sort_keys=True)))
            case "outcome":
                shapes.append(("outcome", data["tool"], data["ok"], data["ran"]))
            case "end":
                shapes.append(("end", data["reason"]))
    return shapes
