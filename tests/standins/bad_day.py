"""A demo on a bad day: a disk that fills, a wall clock that is set, a terminal that closes, at any moment."""

import json
import os
import random
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect

from tests.e2e.programs import DEMO, left_running
from tools.faults.journal import Journal
from tools.incidents.store import IncidentStore

BOUND_S = 400.0
"""Ends what hangs."""
STAGES = 7


@dataclass(frozen=True, slots=True)
class Moment:
    """A time of a demo: so long after it came to a stage."""

    stage: int
    after_s: float


@dataclass(frozen=True, slots=True)
class Day:
    """What goes wrong, and when; None is what does not."""

    disk_full: Moment | None
    """The file system of journal, incidents and transcripts has no room from then on."""
    clock_set: Moment | None
    clock_s: float
    """By how much the wall clock is set."""
    hang_up: Moment | None
    """The terminal is closed."""

    @classmethod
    def drawn(cls, seed: int) -> "Day":
        """Return a day on which at least one thing goes wrong."""
        chance = random.Random(seed)

        def moment() -> Moment | None:
            drawn = Moment(chance.randint(1, STAGES), round(chance.uniform(0.0, 1.5), 2))
            return drawn if chance.random() < 0.6 else None

        while True:
            day = cls(moment(), moment(), chance.choice((-7200.0, 7200.0)), moment())
            if day.disk_full or day.clock_set or day.hang_up:
                return day


@contextmanager
def state_folder(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Make a state folder on a file system of its own, the cluster elsewhere; say if that could be had."""
    state, clusters = folder / "state", folder / "clusters"
    state.mkdir()
    clusters.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", str(state)],
        check=False, capture_output=True,
    )  # fmt: skip
    small = mounted.returncode == 0
    try:
        (state / "clusters").symlink_to(clusters)
        yield state, small
    finally:
        if small:
            subprocess.run(["umount", "-l", str(state)], check=True)
        shutil.rmtree(clusters, ignore_errors=True)


def live(day: Day, state: Path, *, small: bool) -> dict[str, Any]:
    """Run the demo on such a day; return what came of it, with `wrong`: all that is not as it must be."""
    stepped, filling = state.parent / "stepped", state / "filling"
    words = (
        "-m",
        "tests.standins.stepped_clock",
        str(stepped),
        str(day.clock_s),
        *DEMO,
        "--output",
        "stream-json",
    )
    child = pexpect.spawn(
        sys.executable,
        list(words),
        env={**os.environ, "OPERATOR_STATE_DIR": str(state)},
        cwd=str(Path(__file__).parents[2]),
        timeout=None,
    )
    troubles = {
        name: moment
        for name, moment in (
            ("disk", day.disk_full if small else None),
            ("clock", day.clock_set),
            ("hang-up", day.hang_up),
        )
        if moment is not None
    }
    wrong: list[str] = []
    happened: list[str] = []
    reached: dict[int, float] = {}
    data, more, result, code = b"", b"", None, None
    until = time.monotonic() + BOUND_S
    unread = True
    while code is None or (unread and not child.closed):
        if time.monotonic() > until:
            wrong.append("the demo did not end")
            child.kill(9)
        for name, moment in list(troubles.items()):
            begun = next((reached[n] for n in sorted(reached) if n >= moment.stage), None)
            if code is None and begun is not None and time.monotonic() >= begun + moment.after_s:
                del troubles[name]
                happened.append(name)
                if name == "clock":
                    stepped.touch()
                elif name == "disk":
                    _fill(filling)
                else:
                    _hang_up(child)
        more = _read(child)
        *lines, data = (data + more).split(b"\n")
        for line in lines:
            with suppress(ValueError):  # what standard error has is no JSON
                said = json.loads(line)
                if said["type"] == "stage":
                    reached.setdefault(int(said["n"]), time.monotonic())
                result = said if said["type"] == "result" else result
        unread = bool(more)
        if code is None:
            ended, status = os.waitpid(child.pid, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if ended else None
            unread = True  # it may have written its result since
    if not child.closed:
        _hang_up(child)
    wrong += _untrue(result, code, hung_up="hang-up" in happened)
    wrong += _left(state, filling)
    shown = {name: result.get(name) for name in ("ok", "restored", "error")} if result else None
    return {"happened": happened, "code": code, "result": shown, "wrong": wrong}


def _untrue(result: dict[str, Any] | None, code: int, *, hung_up: bool) -> Iterator[str]:
    """Tell what of the result does not fit the end, or the times that a demo can have."""
    if result is None:
        if not hung_up:
            yield "no result"
        return
    if (code == 0) != bool(result["ok"]):
        yield f"ok is {result['ok']}, and the exit code {code}"
    if result["ok"] and not result.get("restored"):
        yield "ok, and not restored"
    times = {name: at for name, at in (result.get("times") or {}).items() if at is not None}
    if bad := {name: at for name, at in times.items() if not 0 <= at < BOUND_S}:
        yield f"times that cannot be: {bad}"
    known = [times[name] for name in ("injected", "healed", "recovered") if name in times]
    if known != sorted(known):
        yield f"times out of order: {times}"
    if result.get("restored") is False and result["ok"]:
        yield "not restored, and ok"
    if not hung_up and code not in (0, 1):
        yield f"exit code {code}"


def _left(state: Path, filling: Path) -> Iterator[str]:
    """Tell what is not as it must be afterwards, once there is room on the disk again."""
    until = time.monotonic() + 90
    while (left := left_running(state)) and time.monotonic() < until:
        time.sleep(0.1)
    if left:
        yield f"still running: {left}"
    filling.unlink(missing_ok=True)
    subprocess.run(
        [sys.executable, "-m", "agent", "restore", "--output", "json"],
        env={**os.environ, "OPERATOR_STATE_DIR": str(state)},
        cwd=Path(__file__).parents[2], capture_output=True, check=False, timeout=BOUND_S,
    )  # fmt: skip
    journal, store = Journal(state / "operator.db"), IncidentStore(state / "operator.db")
    try:
        for fault in journal.open_faults():
            yield f"fault {fault.id} ({fault.kind}) is {fault.state}"
        for incident in store.list():
            if incident.recovered is not None and not 0 <= incident.recovered - incident.opened < BOUND_S:
                yield f"an incident of {incident.recovered - incident.opened:.0f} s"
    finally:
        journal.close()
        store.close()


def _read(child: Any) -> bytes:
    """Return what the program wrote since, after a moment; nothing where its terminal is closed."""
    if not child.closed and select.select([child.child_fd], [], [], 0.05)[0]:
        with suppress(OSError):  # the program has closed its side
            return os.read(child.child_fd, 1 << 16)
    time.sleep(0.02)
    return b""


def _fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass


def _hang_up(child: Any) -> None:
    """Close the terminal's window: the kernel hangs up, and we send nothing."""
    terminal = child.ptyproc
    terminal.fileobj.close()
    terminal.fd = child.child_fd = -1  # the number may soon be somebody else's
    terminal.closed = child.closed = True
