"""Starting programs that outlive operator, and learning how they ended (see supervisor.sh)."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from subjects.errors import NotReady

_SCRIPT = Path(__file__).with_name("supervisor.sh")


async def spawn(
    argv: Sequence[str],
    folder: Path,
    *,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    piped: bool = False,
) -> int:
    """Start a program in a session of its own, its output appended to `folder`/log; returns its pid.

    Its environment is `env`, by default ours. A Ctrl-C in the terminal does not reach it, and init (not we)
    is the one to collect it. `piped`: another process writes its log, so that limits on its own don't
    silence it; only without `pass_fds`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "exit").unlink(missing_ok=True)
    starter = await asyncio.create_subprocess_exec(
        "/bin/sh",
        str(_SCRIPT),
        *(("--piped",) if piped else ()),
        str(folder),
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
        pass_fds=tuple(pass_fds),
        start_new_session=True,
    )
    out, errors = await starter.communicate()
    if not out.strip().isdigit():
        raise NotReady(f"{argv[0]} could not be started: {errors.decode(errors='replace').strip()[:200]}")
    return int(out)


def exit_status(folder: Path, pid: int) -> int | None:
    """Return how the program with that pid ended: its status, or 128 + signal. None when nobody kept it."""
    try:
        ended, status = (folder / "exit").read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return int(status) if int(ended) == pid else None


def describe_exit(code: int) -> str:
    """Return an exit status in words: `exit status 1`, `killed by SIGKILL`."""
    if code <= 128:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(code - 128).name}"
    except ValueError:
        return f"exit status {code}"
