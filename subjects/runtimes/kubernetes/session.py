"""A held stream into a pod of ours: what becomes of the database's process, and acts on it (pod_agent.sh).

The stream tells of an end or a stop within tens of milliseconds, where the pod watch takes a second.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from subjects.base import Identity, ProcessState, ProcessView
from subjects.errors import StaleTarget, SubjectError, Unreachable
from subjects.runtimes.kubernetes.api import Api
from subjects.runtimes.kubernetes.stream import Exec, execute
from subjects.runtimes.supervisor import describe_exit

AGENT = "agent"
"""The container that carries out faults."""
SCRIPTS = "/operator-scripts"
QUIET_S = 4.0
"""The agent says something each second; one that is silent for longer is not there any more."""
ANSWER_S = 15.0
"""How long an answer may take: 3 ms by itself, a second where the pod has no processor; more than 5 s were
measured of a cut on a machine that was short of processors."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0


@dataclass(frozen=True, slots=True)
class Seen:
    """The database's process in one pod, as its agent sees it."""

    pod: str
    uid: str
    pid: str
    start: str
    state: str
    """R runs, T is stopped, - has ended."""
    code: int | None
    held: bool
    """Whether it is kept from being started again."""

    @property
    def view(self) -> ProcessView:
        """It as every runtime tells it."""
        what = f"pod {self.pod}: process {self.pid}"
        if self.state == "-":
            how = describe_exit(self.code) if self.code is not None else "unknown"
            return ProcessView(ProcessState.EXITED, None, self.code, raw=f"{what} has ended: {how}")
        paused = self.state == "T"
        return ProcessView(
            ProcessState.PAUSED if paused else ProcessState.RUNNING,
            Identity("container", self.uid, f"{self.pid} at {self.start}"),
            raw=f"{what} is {'T (stopped)' if paused else 'running'}",
        )


class Session:
    """One pod's stream, opened again whenever it breaks."""

    def __init__(self, api: Api, namespace: str, pod: str, uid: str, tell: Callable[[Seen], None]) -> None:
        self.pod = pod
        self.uid = uid
        self.seen: Seen | None = None
        """What was told last; None before anything was."""
        self.heard_at = float("-inf")
        """Monotonic time when the agent last said anything."""
        self._api = api
        self._namespace = namespace
        self._tell = tell
        self._stream: Exec | None = None
        self._open = asyncio.Event()
        self._asked: dict[str, asyncio.Future[str]] = {}
        self._number = 0
        self._trouble = "it was not opened yet"
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"stream into {pod}")

    @property
    def fresh(self) -> bool:
        """Whether what was told last is of the present."""
        return time.monotonic() - self.heard_at < QUIET_S

    async def latest(self, timeout_s: float) -> Seen | None:
        """Return what is known of the present; None where nothing is heard in time, or no process was."""
        if not self.fresh:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._open.wait()
        return self.seen if self.fresh else None

    async def ask(self, command: str, *words: object, timeout_s: float = ANSWER_S) -> str:
        """Have the agent do something; return what it says.

        StaleTarget where pod or process is another one than was meant, Unreachable where nothing is heard.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._open.wait()
                return await self._ask(command, words)
        except TimeoutError as error:
            raise Unreachable(
                f"The agent in the pod {self.pod} does not answer ({self._trouble}): `kubectl describe pod "
                f"-n {self._namespace} {self.pod}` says how its container is."
            ) from error

    async def aclose(self) -> None:
        """Close the stream; the agent ends with it, and what it did stays until it is undone."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _ask(self, command: str, words: tuple[object, ...]) -> str:
        self._number += 1
        number = str(self._number)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            if self._stream is None:
                raise Unreachable(f"The stream into the pod {self.pod} has broken: {self._trouble}.")
            line = " ".join((number, self.uid, command, *map(str, words)))
            await self._stream.send(f"{line}\n".encode())
            said = await answer
        finally:
            del self._asked[number]
        outcome, _, text = said.partition(" ")
        if outcome == "stale":
            raise StaleTarget(f"{self.pod}: {text}.")
        if outcome != "ok":
            raise SubjectError(f"{self.pod}: {command} failed in the pod: {text or said}.")
        return text

    async def _run(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            try:
                command = ["sh", f"{SCRIPTS}/pod_agent.sh"]
                async with execute(self._api, self._namespace, self.pod, AGENT, command) as stream:
                    self._stream = stream
                    await self._read(stream)
                self._trouble = f"it ended: {stream.errors.strip() or 'nothing was said'}"
            except (SubjectError, OSError) as error:
                self._trouble = str(error).rstrip(".")
            finally:
                self._stream = None
                self._open.clear()
                for answer in self._asked.values():
                    if not answer.done():
                        answer.set_exception(
                            Unreachable(f"The stream into the pod {self.pod} has broken: {self._trouble}.")
                        )
            pause = FIRST_PAUSE_S if self.fresh else min(2 * pause, LONGEST_PAUSE_S)
            await asyncio.sleep(pause)

    async def _read(self, stream: Exec) -> None:
        rest = b""
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout(QUIET_S):
                    data = await stream.receive()
                if not data:
                    return
                *lines, rest = (rest + data).split(b"\n")
                self.heard_at = time.monotonic()
                self._open.set()
                for line in lines:
                    self._take(line.decode("utf-8", "replace"))

    def _take(self, line: str) -> None:
        word, _, text = line.partition(" ")
        if word == "=":
            if (seen := self.parse(text)) is not None:
                self.seen = seen
                self._tell(seen)
        elif word in self._asked and not self._asked[word].done():
            self._asked[word].set_result(text)

    def parse(self, text: str) -> Seen | None:
        """Read what the agent says of the process; None while there was none yet."""
        words = text.split()
        if len(words) != 5 or not words[0].isdigit():
            return None
        pid, start, state, code, held = words
        return Seen(
            self.pod,
            self.uid,
            pid,
            start,
            state,
            int(code) if code.lstrip("-").isdigit() else None,
            held == "held",
        )
