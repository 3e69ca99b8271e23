"""A stand-in for a session, driven by the words it is asked, for tests of the REPL.

`python -m tests.standins.scripted_session` runs the real REPL and the real terminal view over it.

    say TEXT        streams TEXT as Markdown
    slow            streams until it is interrupted
    tool            runs a call that stops when asked to
    hang            runs a call that only the second Ctrl-C abandons
    deaf            ignores every interrupt
    kill NODE       asks for permission, as the loop would
    bug             raises what nobody expects
    late            ends while something interjected has not been read
    alarm           tells of a detection half a second after the turn
"""

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.chat.repl import Repl
from agent.ending import TurnEnd
from agent.errors import ModelUnavailable
from agent.events import CallEnded, CallStarted, SessionOpened, Text
from agent.mode import Mode
from agent.models.base import Message, ToolCall
from agent.permissions import Ask, PermissionGate
from agent.sessions.session import Session, Status
from agent.view.open import open_view
from agent.view.terminal import TerminalView
from tools.errors import NoCluster
from tools.events import Emit
from tools.observe.ledger import Ledger
from tools.observe.signal import Detection
from tools.tool import Effect, Outcome, Params, Result, Tool

NODES = ("etcd-1", "etcd-2", "etcd-3")


class KillParams(Params):
    node: str


async def no_kill(params: KillParams, workbench: object) -> Result:
    return Result({})


class ScriptedSession(Session):
    """Says and does what the script's words mean; of a session it has what the REPL and the commands use."""

    id = "20251122-scripted"
    nodes: Sequence[str] = NODES
    models: Sequence[str] = ("claude-opus-5-5", "claude-haiku-5")

    def __init__(self, emit: Emit, ask: Ask, folder: Path) -> None:
        self._emit = emit
        self._gate = PermissionGate(ask=ask, preview=self._preview)
        self._stop = asyncio.Event()
        self._interrupts = 0
        self._interjected: list[str] = []
        self._waits_for_words = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.model: str | None = "claude-opus-5-5"
        self._ledger = Ledger()
        self._messages: list[Message] = []
        (folder / "store_kill.md").write_text("# store_kill\nKills a store. It stays dead.", encoding="utf-8")
        self._tools = {"store_kill": Tool("store_kill", KillParams, Effect.DESTROY, no_kill, folder)}
        self._ledger.add("read_logs", "``` raft: \x1b[31mstopped\x1b[0m\nline two", node="etcd-2")

    @property
    def mode(self) -> Mode:
        return self._gate.mode

    @property
    def tools(self) -> Mapping[str, Tool]:
        return self._tools

    @property
    def ledger(self) -> Ledger:
        return self._ledger

    @property
    def messages(self) -> Sequence[Message]:
        return self._messages

    async def ask(self, text: str) -> TurnEnd:
        self._stop.clear()
        self._interrupts = 0
        word, _, rest = text.partition(" ")
        self._messages.append(Message("user", ({"type": "text", "text": text},)))
        match word:
            case "slow":
                return await self._slow()
            case "tool" | "hang" | "deaf":
                return await self._tool(word)
            case "kill":
                return await self._kill(rest or "etcd-2")
            case "bug":
                raise KeyError("nobody expected this")
            case "down":
                raise ModelUnavailable("The service is overloaded; try later.")
            case "late":
                self._waits_for_words = True
                while not self._interjected:
                    self._stop.clear()
                    await self._stop.wait()
                return TurnEnd("answered")
            case "alarm":
                self._later(self._alarm())
        self._say(rest if word == "say" else f"You said: {text}")
        return TurnEnd("answered", text)

    def interrupt(self) -> None:
        self._interrupts += 1
        self._stop.set()

    def interject(self, text: str) -> None:
        self._interjected.append(text)
        if self._waits_for_words:
            self._stop.set()

    def unread(self) -> Sequence[str]:
        late, self._interjected = self._interjected, []
        return late

    def status(self) -> Status:
        return Status("claude", self.model, self.mode, 12_300, 200_000, 45_600, 0.123, "etcd × process")

    def set_mode(self, mode: Mode) -> None:
        self._gate.mode = mode

    async def run_tool(self, name: str, arguments: Mapping[str, Any]) -> Outcome:
        if name != "cluster_status":
            error = {"ok": False, "error": f"There is no {name} here."}
            return Outcome("x", name, False, "", error, None, 0.0)
        data = {
            "ok": True,
            "state": "healthy",
            "nodes": [{"name": node, "role": "follower", "state": "running"} for node in NODES],
        }
        return Outcome("x", name, True, "", data, "E9", 0.01)

    async def use_model(self, name: str) -> str:
        self.model = name
        return f"{name} answers from now on."

    async def compact(self) -> bool:
        return False

    async def resume(self, session: str) -> str:
        return f"Going on with {session or 'the last session'}."

    async def clear(self) -> None:
        self._messages.clear()

    async def restore(self) -> str:
        raise NoCluster

    def _say(self, text: str) -> None:
        for piece in text.replace("\\n", "\n").split(" "):
            self._emit(Text(f"{piece} "))
        self._emit(Text("", done=True))

    async def _slow(self) -> TurnEnd:
        for n in range(2_000):
            if self._stop.is_set():
                said, self._interjected = self._interjected, []
                self._emit(Text(f"\n\nheard {said}", done=True))
                return TurnEnd("interrupted", nothing_shown=not said)
            self._emit(Text(f"word{n} " + ("\n\n" if n % 20 == 19 else "")))
            await asyncio.sleep(0.02)
        return TurnEnd("answered")

    async def _tool(self, kind: str) -> TurnEnd:
        self._emit(CallStarted("c1", "wait_for_detection", {"timeout_s": 30}))
        needed = {"tool": 1, "hang": 2, "deaf": 99}[kind]
        while self._interrupts < needed:
            self._stop.clear()
            await self._stop.wait()
        self._emit(CallEnded("c1", "wait_for_detection", False, "E3", 1.5, f"stopped after {needed}"))
        return TurnEnd("interrupted")

    async def _kill(self, node: str) -> TurnEnd:
        call = ToolCall("c2", "store_kill", {"node": node})
        verdict = await self._gate.before(call, Effect.DESTROY)
        if verdict.allowed:
            self._emit(CallStarted("c2", "store_kill", {"node": node}))
            self._emit(CallEnded("c2", "store_kill", True, "E5", 0.04, f"{node} is gone"))
        else:
            self._say(f"Not run: {verdict.reason}")
        return TurnEnd("answered")

    async def _preview(self, name: str, arguments: Mapping[str, object]) -> str:
        return f"kill of {arguments['node']}\nPredicted: 2 of 3 voters stay.\nUndo: start it again"

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _alarm(self) -> None:
        await asyncio.sleep(0.5)
        self._emit(Detection("etcd-3 is gone", ("etcd-3",), "I1", None))


async def main(folder: Path) -> int:
    view = open_view()
    assert isinstance(view, TerminalView)
    began = time.monotonic()
    fail = os.environ.get("TALK_FAILS")

    async def opening(ask: Ask) -> ScriptedSession:
        await asyncio.sleep(float(os.environ.get("TALK_OPENS_IN", "0.05")))
        if fail:
            raise ModelUnavailable(fail)
        view.show(SessionOpened("20251122-scripted", "claude", "claude-opus-5-5", "0.1.0"))
        return ScriptedSession(view.show, ask, folder)

    code = await Repl(view, opening, folder / "history").run()
    await view.aclose()
    print(f"left with {code} after {time.monotonic() - began:.1f} s", file=sys.stderr)
    return code


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main(Path(sys.argv[1]))))
