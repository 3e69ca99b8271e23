"""The chaos demo: seven stages, their pacing, and what the host guarantees.

Whoever answers (Claude or the script) chooses the calls and narrates. The demo stands at the gate:
it announces the stage that a call belongs to, waits for the person between stages, keeps the times, and
at the end heals what is still open and verifies it, whatever was forgotten.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.demo.facts import Facts
from agent.demo.result import STAGES, demo_result
from agent.demo.tables import tables
from agent.ending import TurnEnd
from agent.events import Stage
from agent.models.base import ToolCall
from agent.permissions import ALLOWED, Verdict
from subjects.errors import SubjectError
from tools.errors import ToolError
from tools.events import Detected, Event, Notice, Progress
from tools.faults import recovery
from tools.tool import Effect, Outcome
from tools.uncancelled import uncancelled

if TYPE_CHECKING:
    from agent.sessions.session import Session

TITLES = (
    "A healthy cluster",
    "Load, and the baseline",
    "Break something",
    "Waiting for detection",
    "Detected",
    "Diagnosis, from evidence alone",
    "Heal, and verify",
)
NOT_DETECTED = "Not detected"
RIGHTLY_SILENT = "No alarm, and none was due"
_STAGE_OF = {
    "cluster_status": 1,
    "cluster_start": 1,
    "load_start": 2,
    "load_stop": 2,
    "store_kill": 3,
    "fault_inject": 3,
    "wait_for_detection": 4,
    "diagnose": 6,
    "store_restart": 7,
    "fault_heal": 7,
}
_ONCE = {"store_kill", "fault_inject"}
UNSTEADY = (
    "the baseline is not steady, so what the fault does could not be told from what the machine does without "
    "it; end the load with load_stop and start it with half the rate"
)
DURING_S = 3.0
"""How long the fault is let be at the least, so that there are whole seconds of load to be measured in it."""

Pause = Callable[[str], Awaitable[bool]]
"""Waits for the person; False when they want to stop."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked of the demo."""

    fault: str = "kill"
    target: str = "random"
    timeout_s: float = 30.0
    pause: Pause | None = None

    @property
    def words(self) -> str:
        """The request, as whoever answers reads it."""
        on = {"random": "a random store", "leader": "the leader", "follower": "a follower"}
        where = on.get(self.target, self.target)
        return (
            f"Run the chaos demo with fault {self.fault} on {where}. "
            f"Wait up to {self.timeout_s:g} s for the detection."
        )


@dataclass(slots=True)
class Demo:
    """One run of the demo; a gate while it runs."""

    session: "Session"
    wish: Wish
    facts: Facts = field(default_factory=Facts)
    stopped: bool = False
    _stage: int = 0
    _unsteady: bool = False
    """Whether the baseline that was measured last is one that nothing can be compared with."""
    _began: dict[int, float] = field(default_factory=dict)

    async def run(self) -> dict[str, Any]:
        """Run it from the first stage to the last; returns the command's `result`.

        A cancellation ends the conversation, not the healing: it is raised again once all is restored.
        """
        await self.within_chat(self.wish.words)
        return demo_result(self.session, self.facts)

    async def within_chat(self, text: str) -> TurnEnd:
        """Answer a request for the demo, and do the host's part, however the conversation ended."""
        try:
            end = await self.within(text)
        except BaseException:
            self.facts.interrupted = True
            await self._finish()
            raise
        self.facts.interrupted = end.reason == "interrupted"
        await self._finish()
        for table in tables(self.facts):
            self.session.workbench.emit(table)
        return end

    async def within(self, text: str) -> TurnEnd:
        """Ask for the demo with its director at the gate."""
        door, conversation = self.session.door, self.session.conversation
        door.director, door.screen = self, self._show_now
        if conversation.model.driver == "claude":  # the script cannot forget a step
            conversation.unfinished = self._unfinished
        try:
            return await conversation.ask(text)
        finally:
            door.director = door.screen = None
            conversation.unfinished = str

    def _unfinished(self) -> str:
        """Say what a model that calls the demo done has left out; the host heals what it still leaves."""
        return (
            "" if self.stopped else self.facts.left_out(self.session.workbench.faults.journal.open_faults())
        )

    async def before(self, call: ToolCall, effect: Effect) -> Verdict:
        """Announce the stage and wait for the person; refuse what does not belong to a demo."""
        n = _STAGE_OF.get(call.name)
        if n is None:
            return ALLOWED if effect is Effect.READ else self._foreign(call)
        if call.name in _ONCE and self.facts.injection is not None:
            return Verdict(
                allowed=False, reason="the demo breaks one thing only; heal it, then the demo ends"
            )
        if call.name in _ONCE and self._unsteady:
            return Verdict(allowed=False, reason=UNSTEADY)
        if n == 2 and self._stage > 2:
            return self._foreign(call)
        if self._stage == 3 and n == 7:
            self._skip_to(6)
        if n > self._stage and not await self._enter(n):
            return Verdict(allowed=False, reason="the person stopped the demo")
        if n == 7:
            await self._let_it_be()
            self.facts.take_leader(self.session.workbench.monitor)
            self.facts.heal_began = time.time()
        return ALLOWED

    async def after(self, call: ToolCall, outcome: Outcome) -> None:
        """Keep what came of it."""
        n = _STAGE_OF.get(call.name)
        if n is None:
            return
        data = outcome.data
        if call.name in _ONCE and self.session.workbench.faults.injections:
            self._injected(outcome)
        elif call.name == "wait_for_detection":
            self._detected(data)
            return
        elif call.name == "diagnose":
            self.facts.diagnosed_at = time.monotonic()
            self.facts.diagnosis = data.get("diagnosis")
            self._end(6, ok=outcome.ok and bool(self.facts.diagnosis))
            return
        elif n == 2:
            self._unsteady = outcome.ok and data.get("steady") is False
            if self._unsteady or call.name == "load_stop":
                return
        elif n == 7:
            self.facts.take_recovery(data, ok=outcome.ok)
            return
        if n == 1 and data.get("state") != "healthy":
            return
        self._end(n, ok=outcome.ok)

    def _show_now(self, event: Event) -> bool:
        """Keep the monitor's detections for stage 5, where they have their time since the injection."""
        return not (isinstance(event, Detected) and event.seconds is None and self._stage < 5)

    def _injected(self, outcome: Outcome) -> None:
        self.facts.injection = self.session.workbench.faults.injections[-1]
        self.facts.before = self.session.workbench.baseline
        if not outcome.ok:
            self.session.workbench.emit(Notice("The fault's effect was not seen in time.", level="warning"))

    def _detected(self, data: Mapping[str, Any]) -> None:
        self.facts.take_detection(self.session.workbench.monitor, data)
        found = self.facts.detection is not None
        due = self.facts.injection is None or self.facts.injection.alarms
        title = TITLES[4] if found else NOT_DETECTED if due else RIGHTLY_SILENT
        self._end(4, ok=True)
        self._announce(5, title)
        if (told := self.facts.told_detection()) is not None:
            self.session.workbench.emit(told)
        if found and not due:
            self.session.workbench.emit(
                Notice("That is a false alarm: nothing was to be detected.", "warning")
            )
        if due and not found:
            text = f"Nothing was detected within {self.wish.timeout_s:g} s; the demo goes on."
            self.session.workbench.emit(Notice(text, level="warning"))
        self._end(5, ok=found is due, text=title)

    def _foreign(self, call: ToolCall) -> Verdict:
        return Verdict(allowed=False, reason=f"{call.name} is no part of the demo; ask for it afterwards")

    async def _enter(self, n: int) -> bool:
        if self.stopped:
            return False
        if self.wish.pause is not None and self._stage:
            title = TITLES[n - 1]
            if not await self.wish.pause(f"Enter: on to stage {n}, {title[0].lower()}{title[1:]} "):
                self.stopped = True
                return False
        self._announce(n, TITLES[n - 1])
        return True

    def _announce(self, n: int, text: str) -> None:
        self._stage = n
        self._began[n] = time.monotonic()
        self.session.workbench.emit(Stage(n, len(STAGES), STAGES[n - 1], text))

    def _end(self, n: int, *, ok: bool, text: str | None = None) -> None:
        seconds = time.monotonic() - self._began.get(n, time.monotonic())
        self.facts.stages[n] = {"n": n, "name": STAGES[n - 1], "ok": ok, "seconds": round(seconds, 3)}
        self.session.workbench.emit(
            Stage(n, len(STAGES), STAGES[n - 1], text or TITLES[n - 1], ok, round(seconds, 3))
        )

    def _skip_to(self, n: int) -> None:
        self._stage = max(self._stage, n)

    async def _let_it_be(self) -> None:
        """Wait until there are whole seconds of load under the fault, or it is clear that there won't be."""
        injection, load = self.facts.injection, self.session.workbench.load
        if injection is None or injection.record.injected is None or load is None or not load.running:
            return
        until = injection.record.injected + DURING_S + 1.0
        while (left_s := until - time.time()) > 0 and load.running:
            self.session.workbench.emit(Progress("Measuring what clients feel meanwhile"))
            await asyncio.sleep(min(left_s, 1.0))

    async def _finish(self) -> None:
        """The host's part: heal what is open, verify writes, end the load. Never leaves a fault behind."""
        try:
            await uncancelled(self._restore())  # a second Ctrl-C does not stop the healing; the CLI tells so
        except asyncio.CancelledError:
            self.facts.interrupted = True
            raise

    async def _restore(self) -> None:
        workbench = self.session.workbench
        if self.facts.injection is None and workbench.faults.injections:
            self.facts.injection = workbench.faults.injections[-1]
        await self._heal_leftovers()
        if self.facts.injection is not None and 7 not in self._began:
            self._announce(7, TITLES[6])
        await self._look()
        await self._verify_writes()
        await self._look()
        self.facts.take_load(workbench.load)
        if workbench.load is not None:
            await workbench.load.stop()
        if 7 in self._began:
            self._end(7, ok=self.facts.restored)
        self.facts.keep(workbench)

    async def _heal_leftovers(self) -> None:
        workbench = self.session.workbench
        if workbench.cluster is None or not workbench.faults.own_open():
            return
        workbench.emit(Notice("Restoring: a fault is still open."))
        self.facts.heal_began = time.time()
        reports = await workbench.faults.heal_own()
        healed_wall = time.time()
        load = workbench.load if workbench.load is not None and workbench.load.running else None
        members = self.facts.injection.record.members if self.facts.injection else {}
        found = await recovery.confirm(workbench.cluster, members, load, workbench.baseline)
        self.facts.healed_by_host(reports, healed_wall, found)

    async def _look(self) -> None:
        with contextlib.suppress(SubjectError, ToolError):
            if self.session.workbench.cluster is not None:
                self.facts.snapshot = await self.session.workbench.cluster.subject.observe()

    async def _verify_writes(self) -> None:
        workbench = self.session.workbench
        if workbench.load is None or not workbench.load.running or self.facts.interrupted:
            return
        if workbench.load.unrecorded:
            workbench.emit(Notice(f"Acknowledged writes are not read back: {workbench.load.unrecorded}."))
            return
        if self.facts.snapshot is not None and not self.facts.snapshot.quorum.held:
            self.facts.writes_unread = True
            text = "Acknowledged writes could not be read back: no majority is up to read them from."
            workbench.emit(Notice(text, level="warning"))
            return
        workbench.emit(Progress("Reading back every acknowledged write"))
        try:
            self.facts.writes = await workbench.load.verify(resume=False)
        except ToolError as error:
            self.facts.writes_unread = True
            workbench.emit(Notice(f"Acknowledged writes could not be read back: {error}", level="warning"))
