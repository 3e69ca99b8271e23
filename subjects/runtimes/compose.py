"""The user's own Compose: found, checked, run, and its complaints put in plain words."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from subjects.errors import BadSetup, NotReady, SubjectError

OLDEST = (1, 28)
"""The first version that knows profiles and the Compose specification's one file format."""

UP_TIMEOUT_S = 900.0
"""Images may have to be pulled: about a gigabyte for TiKV."""
QUICK_TIMEOUT_S = 120.0
GRACE_S = 10.0
"""Between SIGTERM and SIGKILL for a program that took too long."""

_INSTALL = (
    "Install the plug-in (`docker compose version` must answer; Debian and Ubuntu: docker-compose-v2 or "
    "docker-compose), or run etcd as local processes: `--subject etcd --runtime process`."
)

_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)")
_MOUNTED = re.compile(r"\$\{([A-Z][A-Z0-9_]*_FILE):-\./([\w.-]+)\}")


@dataclass(frozen=True, slots=True)
class Compose:
    """One Compose project: a file, a project name, and the variables that the file is filled in with."""

    command: tuple[str, ...]
    """`docker compose` or `docker-compose`."""
    project: str
    file: Path
    environment: Mapping[str, str]

    async def up(self, *services: str) -> None:
        """Create and start what does not run, pulling images that are not there."""
        await self.run("up", "-d", "--no-recreate", *services, timeout_s=UP_TIMEOUT_S)

    async def down(self) -> None:
        """Remove the project's containers, networks and volumes."""
        await self.run("down", "--volumes", "--remove-orphans", "--timeout", "1")

    async def run(self, *arguments: str, timeout_s: float = QUICK_TIMEOUT_S) -> str:
        """Run one subcommand and return what it printed. The SubjectError says what to do about a failure."""
        argv = (*self.command, "-p", self.project, "-f", str(self.file), *arguments)
        code, out, err = await run(argv, {**os.environ, **self.environment}, timeout_s)
        if code != 0:
            raise explained(err or out, self.file)
        return out


async def find_compose() -> tuple[str, ...]:
    """Return the command of the Compose that is here; NotReady when there is none, or too old a one."""
    found: list[str] = []
    missing = True
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) is None:
            continue
        missing = False
        code, out, _ = await run((*command, "version", "--short"), dict(os.environ), QUICK_TIMEOUT_S)
        version = _version(out)
        if code != 0 or version is None:
            continue
        if version >= OLDEST:
            return command
        found.append(f"{' '.join(command)} {out.strip()}")
    if found:
        oldest = ".".join(map(str, OLDEST))
        raise NotReady(f"{found[0]} is too old: {oldest} or newer is needed. {_INSTALL}")
    if missing:
        raise NotReady(f"There is no `docker` command on PATH, and so no Compose. {_INSTALL}")
    raise NotReady(f"The `docker` command has no Compose. {_INSTALL}")


def variables(file: Path) -> tuple[str, ...]:
    """Return the names of the variables that a Compose file asks for; BadSetup when it can't be read."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetup(f"The Compose file {file} cannot be read: {error}.") from error
    return tuple(dict.fromkeys(_VARIABLE.findall(text)))


def mounted_files(file: Path) -> dict[str, str]:
    """Return the files beside a Compose file that it mounts by a variable: its name, and the file's.

    An engine in a virtual machine may share the state folder and not the one that operator is installed in.
    """
    return dict(_MOUNTED.findall(file.read_text(encoding="utf-8")))


async def run(
    argv: tuple[str, ...], environment: Mapping[str, str], timeout_s: float
) -> tuple[int, str, str]:
    """Run a program to its end; when it takes too long or we are cancelled, end it and what it started."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment),
        start_new_session=True,  # Ctrl-C is for us: we end it in order
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), timeout_s)
    except TimeoutError as error:
        raise SubjectError(f"`{' '.join(argv[:2])} …` took longer than {timeout_s:.0f} s.") from error
    finally:
        if process.returncode is None:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), GRACE_S)
                    break
    return process.returncode or 0, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


def explained(text: str, file: Path) -> SubjectError:
    """Return what Compose's complaint means and what to do about it."""
    for pattern, say in _COMPLAINTS:
        match = re.search(pattern, text, re.IGNORECASE)
        if match:
            return say(match.group(1) or "", _last_line(text), file)
    return SubjectError(f"Compose failed with {file.name}: {_last_line(text)}")


def _port_taken(port: str, _line: str, file: Path) -> SubjectError:
    return NotReady(
        f"Port {port or 'of a node'} is taken. Stop what listens there (`ss -ltnp`), or set another with the "
        f"variables in {file.name}."
    )


def _no_image(image: str, line: str, _file: Path) -> SubjectError:
    return NotReady(
        f"The image {image or 'of a node'} is not here and cannot be pulled: {line}. Check the network "
        "and the name (ETCD_IMAGE, PD_IMAGE, TIKV_IMAGE), or load it with `docker load`."
    )


def _unhealthy(container: str, _line: str, _file: Path) -> SubjectError:
    name = container or "of a node"
    return NotReady(
        f"The container {name} did not become healthy. Look at `docker logs {container or 'NAME'}`: too "
        "little memory and too few file descriptors are the usual causes."
    )


def _no_engine(_text: str, line: str, _file: Path) -> SubjectError:
    return NotReady(f"Compose does not reach the Docker engine: {line}")


def _no_memory(_text: str, line: str, _file: Path) -> SubjectError:
    return NotReady(
        f"Docker has too little memory: {line}. Give it more (Docker Desktop: Settings, Resources)."
    )


def _rlimit(_text: str, _line: str, file: Path) -> SubjectError:
    return NotReady(
        f"The engine may not raise the number of open files as far as {file.name} asks (ulimits): raise the "
        "hard limit of dockerd (LimitNOFILE), or lower it in a file of your own (--compose-file)."
    )


def _bad_file(_text: str, line: str, file: Path) -> SubjectError:
    return BadSetup(f"{file} is not a Compose file that this Compose accepts: {line}")


_COMPLAINTS = (
    (r"(?:Bind for|listen tcp\d?:?) \S*?:(\d+)\S*:? .*already (?:allocated|in use)", _port_taken),
    (r"()(?:port is already allocated|ports are not available|address already in use)", _port_taken),
    (r"(?:pull access denied for|manifest for|image) ([\w./:@-]+)[, ].*(?:found|denied|exist)", _no_image),
    (r"Pulling \S+ \(([\w./:@-]+)\)[\s\S]*(?:dial tcp|denied|not found|unknown|Get |Head )", _no_image),
    (r"()(?:no such image|manifest unknown|error pulling image|dial tcp: lookup)", _no_image),
    (r"()(?:Head|Get) \"?https?://", _no_image),
    (r"container \"?([\w.-]+)\"? (?:is unhealthy|exited)", _unhealthy),
    (r"()dependency failed to start|()is unhealthy", _unhealthy),
    (r"()(?:cannot allocate memory|out of memory|Minimum memory limit)", _no_memory),
    (r"()(?:Cannot connect to|Couldn't connect to|permission denied while trying)", _no_engine),
    (r"()(?:setting rlimit)", _rlimit),
    (r"()(?:yaml:|is invalid|Unsupported|Additional propert|no such file|undefined|not a valid)", _bad_file),
)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def _version(text: str) -> tuple[int, int] | None:
    match = re.search(r"(\d+)\.(\d+)", text)
    return (int(match.group(1)), int(match.group(2))) if match else None
