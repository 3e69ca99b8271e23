"""etcd over HTTP: the JSON gateway (`/v3/…`), `/health`, `/version` and `/metrics`.

The gateway writes 64-bit integers as strings and leaves out what is zero.
"""

import json
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from subjects.access import Access
from subjects.answers import ask
from subjects.base import Connection, Health, Metric, Probe
from subjects.errors import Unreachable


@dataclass(frozen=True, slots=True)
class Status:
    """`/v3/maintenance/status` of one member."""

    member_id: str
    version: str
    leader: str | None
    term: int
    raft_index: int
    applied_index: int
    revision: int
    db_bytes: int
    learner: bool
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """One row of `/v3/cluster/member/list`."""

    id: str
    name: str
    client_urls: tuple[str, ...]
    learner: bool


class EtcdClient:
    """One HTTP client for all members of a cluster."""

    def __init__(self, access: Access | None = None) -> None:
        self._access = access or Access()
        verify = self._access.ssl_context()
        self.tls = verify if isinstance(verify, ssl.SSLContext) else None
        """For connections of another make to the same members; None takes the system's authorities."""
        self._token: str | None = None
        self._http = httpx2.AsyncClient(
            verify=verify,
            trust_env=False,
            limits=httpx2.Limits(max_keepalive_connections=64, keepalive_expiry=30),
        )

    async def status(self, url: str, timeout_s: float) -> Status:
        """Ask a member for its own view of itself. Unreachable when it can't or won't say."""
        body = await self._call(url, "/v3/maintenance/status", {}, timeout_s)
        try:
            header = body["header"]
            leader = body.get("leader", "0")
            return Status(
                member_id=f"{int(header['member_id']):x}",
                version=body["version"],
                leader=None if leader == "0" else f"{int(leader):x}",
                term=int(body.get("raftTerm", header.get("raft_term", 0))),
                raft_index=int(body.get("raftIndex", 0)),
                applied_index=int(body.get("raftAppliedIndex", 0)),
                revision=int(header.get("revision", 0)),
                db_bytes=int(body.get("dbSize", 0)),
                learner=bool(body.get("isLearner", False)),
                errors=tuple(body.get("errors", ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise Unreachable(f"{url} does not answer as etcd does.") from error

    async def members(self, url: str, timeout_s: float) -> list[Member]:
        """List the members, as that member knows them (a linearizable read)."""
        body = await self._call(url, "/v3/cluster/member/list", {}, timeout_s)
        try:
            return [
                Member(
                    f"{int(raw['ID']):x}",
                    raw.get("name", ""),
                    tuple(raw.get("clientURLs", ())),
                    bool(raw.get("isLearner", False)),
                )
                for raw in body["members"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise Unreachable(f"{url} does not answer as etcd does.") from error

    async def health(self, url: str, timeout_s: float) -> Probe:
        """Ask `/health`: a linearizable read, so a member without a leader can't say that it is healthy."""
        return await self._probe(f"{url}/health", timeout_s, _read_health)

    async def reach(self, url: str, timeout_s: float) -> Probe:
        """Ask `/version`: answered by the member alone, so it tells only whether clients get through."""
        return await self._probe(f"{url}/version", timeout_s, _read_version)

    async def metrics(self, url: str, names: Sequence[str], timeout_s: float) -> list[Metric]:
        """Return the samples whose names begin with one of `names`. Unreachable as for `status`."""
        try:
            _, text = await self._get(f"{url}/metrics", timeout_s)
        except httpx2.HTTPError as error:
            raise Unreachable(f"{url}/metrics: {_reason(error)}") from error
        wanted = tuple(names)
        # The parser is made for completeness, not speed: it is given only the lines that are asked for.
        lines = [line for line in text.splitlines() if line.startswith(wanted)]
        try:
            return [
                Metric(sample.name, sample.labels, sample.value)
                for family in text_string_to_metric_families("\n".join(lines) + "\n")
                for sample in family.samples
            ]
        except ValueError as error:
            raise Unreachable(f"{url}/metrics does not answer as etcd does.") from error

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _call(self, url: str, path: str, body: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        try:
            code, content = await self._post(url, path, body, timeout_s)
            if code == httpx2.codes.UNAUTHORIZED or b"invalid auth token" in content:
                self._token = None
                code, content = await self._post(url, path, body, timeout_s)
            parsed = json.loads(content)
        except httpx2.HTTPError as error:
            raise Unreachable(f"{url}: {_reason(error)}") from error
        except (ValueError, RecursionError) as error:
            raise Unreachable(f"{url} does not answer as etcd does.") from error
        if code != httpx2.codes.OK or not isinstance(parsed, dict):
            said = parsed.get("message", parsed.get("error", "")) if isinstance(parsed, dict) else ""
            raise Unreachable(f"{url}: {said or f'HTTP {code}'}")
        return parsed

    async def _post(self, url: str, path: str, body: dict[str, Any], timeout_s: float) -> tuple[int, bytes]:
        headers = {}
        if self._access.user:
            if self._token is None:
                self._token = await self._authenticate(url, timeout_s)
            headers["Authorization"] = self._token
        return await ask(self._http, "POST", f"{url}{path}", timeout_s, headers=headers, json=body)

    async def _authenticate(self, url: str, timeout_s: float) -> str:
        who = {"name": self._access.user, "password": self._access.password or ""}
        _, content = await ask(self._http, "POST", f"{url}/v3/auth/authenticate", timeout_s, json=who)
        answer = json.loads(content)
        token = answer.get("token") if isinstance(answer, dict) else None
        if not isinstance(token, str):
            raise Unreachable(f"{url} refuses the user {self._access.user!r}: check user and password.")
        return token

    async def _get(self, url: str, timeout_s: float) -> tuple[int, str]:
        """Return status and body."""
        code, content = await ask(self._http, "GET", url, timeout_s)
        return code, content.decode(errors="replace")

    async def _probe(self, url: str, timeout_s: float, read: Callable[[int, str], Health]) -> Probe:
        began = time.monotonic()
        try:
            status, text = await self._get(url, timeout_s)
        except httpx2.HTTPError as error:
            return Probe(_connection(error), raw=f"GET {url}: {_reason(error)}")
        took_ms = (time.monotonic() - began) * 1000
        said = text.strip()[:200]
        return Probe(
            Connection.ACCEPTED, read(status, text), round(took_ms, 3), f"GET {url}: {status} {said}"
        )


def _reason(error: Exception) -> str:
    """Return an error of the HTTP library in a few words."""
    if isinstance(error, httpx2.TimeoutException):
        return "no answer in time"
    cause = f"{error} {error.__cause__ or ''}"
    if "CERTIFICATE_VERIFY_FAILED" in cause:
        return "its certificate does not verify (--cacert names the authority)"
    if isinstance(error, httpx2.RemoteProtocolError | httpx2.DecodingError):
        return "it does not speak HTTP"
    return str(error).strip() or type(error).__name__


def _connection(error: Exception) -> Connection:
    """Return what became of the connection."""
    if isinstance(error, httpx2.TimeoutException):
        return Connection.SILENT
    if isinstance(error, httpx2.ConnectError):
        return Connection.REFUSED
    if isinstance(error, httpx2.ReadError | httpx2.WriteError | httpx2.RemoteProtocolError):
        return Connection.RESET
    return Connection.UNKNOWN


def _read_health(status: int, text: str) -> Health:
    try:
        healthy = str(json.loads(text).get("health")) == "true"
    except (ValueError, RecursionError, AttributeError):
        return Health.UNKNOWN
    return Health.HEALTHY if healthy and status == httpx2.codes.OK else Health.UNHEALTHY


def _read_version(status: int, text: str) -> Health:
    return Health.HEALTHY if status == httpx2.codes.OK and "etcdserver" in text else Health.UNKNOWN
