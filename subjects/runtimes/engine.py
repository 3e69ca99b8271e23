"""A Docker engine: found as `docker` finds it, asked in threads, its refusals put in plain words."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import docker
from docker.context import ContextAPI
from docker.errors import APIError, DockerException, NotFound
from docker.tls import TLSConfig
from requests.exceptions import RequestException

from subjects.errors import NotReady, SubjectError, Unreachable

P = ParamSpec("P")
T = TypeVar("T")

TIMEOUT_S = 15
"""The longest that one request may take; images are pulled by Compose, which has a bound of its own."""

ANSWER_S = TIMEOUT_S + 5.0
"""The longest that its answer is waited for, with the wait for a free thread."""

_POOL = 16
"""Connections held at once: a look asks about all containers together."""

_INSTEAD = "or run etcd as local processes: `--subject etcd --runtime process`."


class NoSuch(Unreachable):
    """The engine answered, and it has no such container, network or image."""


class Engine:
    """One engine. Whatever asks it runs in a thread and is bounded."""

    def __init__(self, client: docker.DockerClient, address: str) -> None:
        self.client = client
        self.address = address
        """As `DOCKER_HOST` writes it."""

    @property
    def environment(self) -> dict[str, str]:
        """What makes Compose speak to this very engine."""
        if self.address.startswith(("unix:", "npipe:")):
            return {"DOCKER_HOST": self.address}
        return {}  # a remote one has certificates: Compose finds both by the same variables or context

    async def ask(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one call of the SDK in a thread. SubjectError in plain words when the engine refuses."""
        return await self.ask_within(ANSWER_S, call, *args, **kwargs)

    async def ask_within(self, bound_s: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do as `ask` does, for a call that may take another time than most."""
        try:
            return await asyncio.wait_for(asyncio.to_thread(call, *args, **kwargs), bound_s)
        except TimeoutError as error:
            raise Unreachable(
                f"The Docker engine at {self.address} gave no answer in {bound_s:g} s."
            ) from error
        except (DockerException, RequestException) as error:
            raise explained(error, self.address) from error

    async def require_memory(self, needed_bytes: int) -> None:
        """Raise NotReady when the engine's machine (on macOS its virtual machine) is too small."""
        there = int((await self.ask(self.client.info))["MemTotal"])
        if there < needed_bytes:
            raise NotReady(
                f"Docker has {there / 2**30:.1f} GiB of memory, and this cluster needs "
                f"{needed_bytes / 2**30:.1f} GiB. Give it more (Docker Desktop: Settings), {_INSTEAD}"
            )

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


async def connect(address: str | None = None) -> Engine:
    """Return the engine at `address`, else that of DOCKER_HOST, else that of the current context.

    Raises NotReady, with what to do, when there is none or it may not be used.
    """
    where = address or os.environ.get("DOCKER_HOST") or "the current context"
    try:
        return await asyncio.wait_for(asyncio.to_thread(_open, address), ANSWER_S)
    except TimeoutError as error:
        raise NotReady(f"The Docker engine at {where} does not answer. Start it, {_INSTEAD}") from error
    except (DockerException, RequestException, OSError) as error:
        raise explained(error, where) from error
    except ValueError as error:  # how urllib says that it is no address
        raise NotReady(f"{where} is no address of a Docker engine: {error}. Set DOCKER_HOST.") from error


def _open(address: str | None) -> Engine:
    """Connect; an address that was written down is reached by the certificates of whatever names it now."""
    named = os.environ.get("DOCKER_HOST", "")
    _knock(address or named)
    if named and address in (None, named):
        return Engine(docker.from_env(timeout=TIMEOUT_S, max_pool_size=_POOL), named)
    context = None
    if address is None:
        context = ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT") or None)
        if context is None or not context.Host:
            raise NotReady(
                "Docker's current context names no engine. See `docker context ls`, or set DOCKER_HOST."
            )
        address = str(context.Host)
        _knock(address)
    elif address.startswith("tcp:"):
        context = next((each for each in ContextAPI.contexts() if each.Host == address), None)
    tls: TLSConfig | bool = (context.TLSConfig if context is not None else None) or False
    return Engine(docker.DockerClient(address, tls=tls, timeout=TIMEOUT_S, max_pool_size=_POOL), address)


def _knock(address: str) -> None:
    """Raise the system's own word on a socket that nobody serves: the SDK would leave its own one open."""
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as trial:
            trial.settimeout(TIMEOUT_S)
            trial.connect(address.removeprefix("unix://"))


def explained(error: Exception, where: str) -> SubjectError:
    """Return what the engine's refusal means and what to do about it."""
    chain = list(_chain(error))
    text = _words(error)
    if any(isinstance(each, PermissionError) for each in chain) or "Permission denied" in text:
        return NotReady(
            f"You have no access to the Docker engine at {where}. Join its group "
            f"(`sudo usermod -aG docker $USER`, then log in again), {_INSTEAD}"
        )
    if isinstance(error, NotFound):
        return NoSuch(f"Not found by the Docker engine: {text}")
    if isinstance(error, APIError):
        return SubjectError(f"The Docker engine refused: {text}")
    tls = next((each for each in chain if isinstance(each, ssl.SSLError)), None)
    if tls is not None:
        why = getattr(tls, "verify_message", "") or tls.reason or str(tls)
        return NotReady(
            f"The Docker engine at {where} cannot be spoken to over TLS: {why}. "
            "See the certificates in DOCKER_CERT_PATH or those of `docker context inspect`."
        )
    missing = any(isinstance(each, FileNotFoundError | ConnectionRefusedError) for each in chain)
    if missing or isinstance(error, DockerException | ConnectionError):
        return NotReady(f"No Docker engine answers at {where}. Start Docker, set DOCKER_HOST, {_INSTEAD}")
    return Unreachable(f"The Docker engine at {where} did not answer: {text}")


def _words(error: Exception) -> str:
    if isinstance(error, APIError) and error.explanation:
        return str(error.explanation).strip()
    return str(error).strip()


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all that it came from: urllib3 wraps the system's own word several times."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inner = (each.__cause__, each.__context__, *each.args)
        waiting.extend(item for item in inner if isinstance(item, BaseException))
