"""operator, watching from outside: a process of its own, and what it printed, each line with its time."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

START_S = 60.0
END_S = 15.0

Line = dict[str, Any]


class Watch:
    """`operator watch --endpoints … --output stream-json`; `with` returns once it watches.

    Without endpoints it watches the cluster of the state folder `folder`.
    """

    def __init__(
        self,
        endpoints: str,
        folder: Path,
        *,
        options: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
    ) -> None:
        self._argv = [
            *before,
            str(Path(sys.executable).parent / "operator"),
            "watch",
            *(("--endpoints", endpoints) if endpoints else ()),
            "--output",
            "stream-json",
            "--state-dir",
            str(folder / f"state-{time.monotonic_ns()}" if endpoints else folder),
            *options,
        ]
        self._environ = {**os.environ, **(environ or {})}
        self._told = threading.Condition()
        self.lines: list[tuple[float, Line]] = []
        """Each with the monotonic time when it was read."""
        self.stderr = ""
        self.code: int | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._argv,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._threads = [
            threading.Thread(target=read, daemon=True) for read in (self._read, self._read_errors)
        ]
        for thread in self._threads:
            thread.start()
        self.until(lambda line: line["type"] in {"progress", "result"}, START_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> Line:
        """Interrupt it and return its result; `{}` where there is none. Safe to call again."""
        if any(line["type"] == "result" for _, line in self.lines):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self.code = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.code = self._process.wait()
        for thread in self._threads:
            thread.join(END_S)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        return next((line for _, line in reversed(self.lines) if line["type"] == "result"), {})

    def until(self, holds: Callable[[Line], bool], timeout_s: float, after: float = 0.0) -> Line | None:
        """Return the first line that came after monotonic `after` and of which `holds` is true; else None."""
        deadline = time.monotonic() + timeout_s
        with self._told:
            while True:
                found = next((line for at, line in self.lines if at >= after and holds(line)), None)
                left = deadline - time.monotonic()
                if found is not None or left <= 0 or self.code is not None:
                    return found
                self._told.wait(min(left, 0.25))
                if self._process.poll() is not None and not any(t.is_alive() for t in self._threads):
                    self.code = self._process.returncode

    def of(self, kind: str, after: float = 0.0) -> list[Line]:
        """Return all lines of one type so far."""
        return [line for at, line in self.lines if line["type"] == kind and at >= after]

    def seconds_to(self, kind: str, after: float) -> float | None:
        """Return how long after `after` the first line of that type came; None if none did."""
        return next((at - after for at, line in self.lines if line["type"] == kind and at >= after), None)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            try:
                line = json.loads(text)
            except ValueError:
                line = {"type": "unparsable", "text": text}
            with self._told:
                self.lines.append((time.monotonic(), line))
                self._told.notify_all()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for text in self._process.stderr:
            self.stderr += text
