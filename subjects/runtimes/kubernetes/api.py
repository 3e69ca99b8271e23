"""The API server, through the official client: what it answers is read as JSON, its refusals put in words.

Kubeconfig merging, credentials from helper programs, proxies and certificates are the client's business.
"""

import asyncio
import contextlib
import importlib
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from subjects.errors import BadSetup, NotReady, StaleTarget, SubjectError, Unreachable
from subjects.untrusted import NotJson, read_json

EXTRA = "chaos-operator[kubernetes]"
TIMEOUT_S = 10.0
"""For one request; the slowest that was measured, an exec under load, took 0.2 s."""
WATCH_S = 300
"""A watch is asked for so long and opened again: one that says nothing for longer is dead."""
QUIET_S = 90.0
"""A watch brings a bookmark each minute; one that is silent for longer is taken for dead."""

Json = dict[str, Any]
Query = Sequence[tuple[str, str]]


class NoSuch(Unreachable):
    """The API server answered, and has no such object."""


class Denied(SubjectError):
    """The account may not do that."""


class Api:
    """One API server, as one account of one context sees it."""

    def __init__(self, client: Any, load: Any, context: str, server: str, namespace: str) -> None:
        self.context = context
        self.server = server
        self.namespace = namespace
        """The context's own namespace."""
        self._client = client
        self._load = load
        """Reads the credentials again: those from helper programs end after a while."""

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: Any = None,
        content: str = "application/json",
        timeout_s: float = TIMEOUT_S,
        plain: bool = False,
    ) -> Any:
        """Return what the server answers as JSON, or as text where it is `plain`.

        Raises NoSuch, Denied, StaleTarget (a conflict) or Unreachable, each with the server's words.
        """
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            response = await self._send(method, path, query, body, content, timeout)
            if response.status == 401:
                await self._load()
                response = await self._send(method, path, query, body, content, timeout)
            data = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._silent(error, f"{method} {path}") from error
        if response.status >= 300:
            raise self._refusal(response.status, data, f"{method} {path}")
        if plain:
            return data.decode("utf-8", "replace")
        said = _parsed(data)
        if not isinstance(said, dict):
            raise self._odd(f"{method} {path}", said)
        return said

    @contextlib.contextmanager
    def reading(self, what: str, said: object) -> Iterator[None]:
        """Raise Unreachable where what was `said` turns out to be no answer of a Kubernetes API."""
        try:
            yield
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise self._odd(what, said) from error

    async def get(self, path: str, query: Query = (), timeout_s: float = TIMEOUT_S) -> Any:
        """GET."""
        return await self.call("GET", path, query=query, timeout_s=timeout_s)

    async def text(self, path: str, query: Query = ()) -> str:
        """GET what is no JSON: a log."""
        return str(await self.call("GET", path, query=query, plain=True))

    async def watch(self, path: str, query: Query, version: str) -> AsyncIterator[Json]:
        """Yield the changes since `version`; ends when the server ends it.

        Unreachable when that version is too old, or nothing comes for QUIET_S: list again.
        """
        asked = [
            *query,
            ("watch", "1"),
            ("resourceVersion", version),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", str(WATCH_S)),
        ]
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_S, sock_read=QUIET_S)
        try:
            response = await self._send("GET", path, asked, None, "application/json", timeout)
            if response.status >= 300:
                raise self._refusal(response.status, await response.read(), f"watch {path}")
            raw = response.response
            try:
                async for line in raw.content:
                    event = _parsed(line)
                    if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
                        raise self._odd(f"watch {path}", event)
                    if event.get("type") == "ERROR":
                        raise self._refusal(event["object"].get("code", 500), line, f"watch {path}")
                    yield event
            finally:
                raw.close()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._silent(error, f"watch {path}") from error

    @contextlib.asynccontextmanager
    async def socket(self, path: str, query: Query) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Hold a websocket of an exec or a port-forward."""
        _, url, headers, _, _ = await self._client.param_serialize(
            "GET", path, query_params=list(query), header_params={}, auth_settings=["BearerToken"]
        )
        rest, settings = self._client.rest_client, self._client.configuration
        if rest.pool_manager is None:
            rest.pool_manager = rest._create_pool_manager()  # noqa: SLF001 - as the client's own WsApiClient
        more: Json = {"proxy": settings.proxy} if settings.proxy else {}
        if settings.tls_server_name:
            more["server_hostname"] = settings.tls_server_name
        try:
            async with asyncio.timeout(TIMEOUT_S):
                opened = await rest.pool_manager.ws_connect(
                    url.replace("http", "ws", 1),
                    headers=headers,
                    protocols=("v4.channel.k8s.io",),
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                    max_msg_size=0,
                    **more,
                )
        except aiohttp.WSServerHandshakeError as error:
            raise self._refusal(error.status, error.message.encode(), f"open {path}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._silent(error, f"open {path}") from error
        try:
            yield opened
        finally:
            await opened.close()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _send(
        self,
        method: str,
        path: str,
        query: Query,
        body: Any,
        content: str,
        timeout: aiohttp.ClientTimeout,
    ) -> Any:
        _, url, headers, sent, _ = await self._client.param_serialize(
            method,
            path,
            query_params=list(query),
            header_params={"Accept": "application/json", "Content-Type": content},
            body=body,
            auth_settings=["BearerToken"],
        )
        return await self._client.call_api(method, url, headers, sent, _request_timeout=timeout)

    def _silent(self, error: BaseException, what: str) -> Unreachable:
        why = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        return Unreachable(f"The API server of the context {self.context} ({self.server}): {why} ({what}).")

    def _odd(self, what: str, said: object) -> Unreachable:
        text = " ".join(str(said).split())[:200]
        return Unreachable(
            f"The API server of the context {self.context} ({self.server}) answered {what} as no Kubernetes "
            f"API does: {text}"
        )

    def _refusal(self, status: int, data: bytes, what: str) -> SubjectError:
        said = _parsed(data)
        if isinstance(said, dict):
            inner = said.get("object")
            said = (inner if isinstance(inner, dict) else said).get("message") or said
        text = " ".join(str(said).split())[:300]
        match status:
            case 401:
                return NotReady(
                    f"The API server of the context {self.context} does not accept its credentials: {text}. "
                    "`kubectl get pods` with the same context says more."
                )
            case 403:
                return Denied(f"The account of the context {self.context} may not {what}: {text}")
            case 404:
                return NoSuch(f"{what}: {text}")
            case 409 | 422:
                return StaleTarget(f"{what}: {text}")
        return Unreachable(f"The API server of the context {self.context} says {status} to {what}: {text}")


async def connect(context: str | None = None, kubeconfig: str | None = None) -> Api:
    """Return the API server of a context, the current one if none is named; nothing is asked of it yet.

    `kubeconfig` is one file or several, as the variable KUBECONFIG has them. NotReady without the client or
    a kubeconfig, BadSetup for a context that is not in it.
    """
    try:
        client = importlib.import_module("kubernetes.aio.client")
        loading = importlib.import_module("kubernetes.aio.config.kube_config")
    except ModuleNotFoundError as error:
        raise NotReady(
            f"--runtime kubernetes needs the Kubernetes client: pip install '{EXTRA}', or run operator on "
            "local processes (`--runtime process`)."
        ) from error
    files = kubeconfig or kubeconfig_files()
    settings = client.Configuration()
    settings.connection_pool_maxsize = 0  # each held stream is a connection
    try:
        loader = await loading.load_kube_config(
            files, context=context, client_configuration=settings, persist_config=False
        )
        current = loader.current_context
    except Exception as error:
        raise BadSetup(f"The kubeconfig {files} cannot be used: {error}.") from error

    async def load() -> None:
        await loader.load_and_set(settings)

    namespace = current.get("context", {}).get("namespace") or "default"
    return Api(client.ApiClient(settings), load, current["name"], settings.host, namespace)


def kubeconfig_files() -> str:
    """Return the kubeconfig that `kubectl` would use here, in absolute paths; NotReady without one."""
    given = os.environ.get("KUBECONFIG") or "~/.kube/config"
    files = [Path(each).expanduser().absolute() for each in given.split(os.pathsep) if each]
    if not any(each.is_file() for each in files):
        raise NotReady(
            f"There is no kubeconfig ({given}): set KUBECONFIG, or make a cluster (`kind create cluster`)."
        )
    return os.pathsep.join(map(str, files))


def _parsed(data: bytes) -> Any:
    try:
        return read_json(data)
    except NotJson:
        return data.decode("utf-8", "replace")
