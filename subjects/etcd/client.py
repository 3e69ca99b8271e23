"""etcd over HTTP: the JSON gateway (`/v3/…`), `/health`, `/version` and `/metrics`; etcd 3.4 to 3.7.

The gateway writes 64-bit integers as strings and leaves out what is zero. Where it is off, or wants a user
that we don't have, the metrics say most of the same.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2

from subjects.access import Access, Certificates
from subjects.answers import Answered, exchange
from subjects.base import Connection, Health, Metric, Probe, Unseen, UnseenReason
from subjects.endpoints import host_and_port
from subjects.errors import Unreachable
from subjects.etcd import refusals
from subjects.etcd.status import Member, Status, read_members, read_status
from subjects.spoken import spoken_at
from subjects.traffic import read_metrics
from subjects.untrusted import NotJson, read_object

HEALTH = "/health?exclude=NOSPACE&exclude=CORRUPT"
"""An alarm is of the whole cluster and says nothing of the member that is asked: alarms are read elsewhere.
Known to etcd 3.4.14 and up (etcdserver/api/etcdhttp); older ones ignore it."""

DENIED_S = 10.0
"""After a refusal of user and password they are not tried again for so long: etcd hashes each with bcrypt."""

SPOKEN_S = 5.0
"""Between two looks at what is spoken at an address that hangs up, or has no gateway."""
PORT_S = 1.0
"""For a look at what else it has."""

_NOT_NOW = {500, 503, 504}
"""A token is an entry of the log: without a leader there is none, whoever asks."""

_STALE_TOKEN = (b"invalid auth token", b"auth store is old")
_ASKS_FOR_NOBODY = b"authentication is not enabled"
"""Then a user that was given is of no use, and does no harm: etcdctl goes on without one, too."""
_WANTS_A_USER = b"user name is empty"


class EtcdClient:
    """One HTTP client for all members of a cluster."""

    def __init__(self, access: Access | None = None) -> None:
        self._access = access or Access()
        self._certificates = Certificates(self._access)
        self._token: str | None = None
        self._authenticating = asyncio.Lock()
        self._denied: tuple[float, Unseen] | None = None
        self._needless = float("-inf")
        """When the cluster last said that it asks for no user."""
        self._spoken: dict[str, tuple[float, Unseen | None]] = {}
        self._http = httpx2.AsyncClient(
            verify=self._certificates.context,
            trust_env=False,
            limits=httpx2.Limits(max_keepalive_connections=64, keepalive_expiry=30),
        )

    @property
    def tls(self) -> ssl.SSLContext:
        """What verifies https members, for connections of another make to them."""
        return self._certificates.context

    def refresh(self) -> None:
        """Take certificates from disk again if they changed."""
        self._certificates.refresh()

    async def status(self, url: str, timeout_s: float, *, alone: bool = False) -> Status:
        """Ask a member for its own view of itself; `alone` takes a connection of its own.

        Unreachable, with its reason, when it can't or won't say.
        """
        answer = await self._call(url, "/v3/maintenance/status", {}, timeout_s, alone=alone)
        status = read_status(answer.body)
        if status is None:
            raise _unreachable(refusals.of_answer(answer.code, answer.body, url))
        return status

    async def members(self, url: str, timeout_s: float) -> list[Member]:
        """List the members, as that member knows them: it needs no leader for that, and may be behind."""
        answer = await self._call(url, "/v3/cluster/member/list", {"linearizable": False}, timeout_s)
        members = read_members(answer.body)
        if members is None:
            raise _unreachable(refusals.of_answer(answer.code, answer.body, url))
        return members

    async def health(self, url: str, timeout_s: float) -> Probe:
        """Ask `/health`: a linearizable read, so a member without a leader can't say that it is healthy."""
        return await self._probe(f"{url}{HEALTH}", timeout_s, _read_health)

    async def alarms(self, url: str, timeout_s: float) -> tuple[str, ...] | None:
        """Return the alarm that `/health` gives as its reason, in a status's words; None where it says none.

        For members whose status we may not have. Whose alarm it is, and a second one, are not told.
        """
        try:
            said = read_object((await self._ask("GET", f"{url}/health", url, timeout_s)).body)
        except (Unreachable, NotJson):
            return None
        if str(said.get("health")).lower() == "true":
            return ()
        alarm, _, kind = str(said.get("reason", "")).partition(" ")
        return (f"alarm:{kind}",) if alarm == "ALARM" and kind else None

    async def reach(self, url: str, timeout_s: float) -> Probe:
        """Ask `/version`: answered by the member alone, so it tells only whether clients get through."""
        return await self._probe(f"{url}/version", timeout_s, _read_version)

    async def metrics(self, url: str, names: Sequence[str], timeout_s: float) -> list[Metric]:
        """Return the samples whose names begin with one of `names`. Unreachable as for `status`."""
        answer = await self._ask("GET", f"{url}/metrics", url, timeout_s)
        if answer.code != httpx2.codes.OK:
            raise _unreachable(refusals.of_answer(answer.code, answer.body, url))
        try:
            return read_metrics(answer.body, names)
        except ValueError as error:
            raise Unreachable(f"{url}/metrics does not answer as etcd does.") from error

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _call(
        self, url: str, path: str, body: Mapping[str, Any], timeout_s: float, *, alone: bool = False
    ) -> Answered:
        answer = await self._post(url, path, body, timeout_s, alone=alone)
        wants = bool(self._access.user) and _WANTS_A_USER in answer.body  # since it was enabled
        if (
            answer.code == httpx2.codes.UNAUTHORIZED
            or wants
            or any(word in answer.body for word in _STALE_TOKEN)
        ):
            self._token, self._needless = None, float("-inf")
            answer = await self._post(url, path, body, timeout_s, alone=alone)
        if answer.code != httpx2.codes.OK:
            unseen = refusals.of_answer(answer.code, answer.body, url)
            if unseen.reason is UnseenReason.NOT_SPOKEN and answer.code == httpx2.codes.NOT_FOUND:
                unseen = await self._other_port(url) or unseen
            raise _unreachable(unseen)
        return answer

    async def _post(
        self, url: str, path: str, body: Mapping[str, Any], timeout_s: float, *, alone: bool = False
    ) -> Answered:
        headers = {"Connection": "close"} if alone else {}
        if self._access.user and (token := await self._current_token(url, timeout_s)):
            headers["Authorization"] = token
        return await self._ask("POST", f"{url}{path}", url, timeout_s, headers=headers, json=body)

    async def _current_token(self, url: str, timeout_s: float) -> str | None:
        """Return the token; one call at a time asks for a new one, which costs the member a bcrypt hash.

        None while the cluster asks for nobody.
        """
        try:
            async with asyncio.timeout(timeout_s), self._authenticating:
                if self._token is None and time.monotonic() - self._needless > DENIED_S:
                    self._token = await self._authenticate(url, timeout_s)
                return self._token
        except TimeoutError as error:  # some other member has not answered in this time
            raise _unreachable(Unseen(UnseenReason.SILENT, f"{url}: no token in time")) from error

    async def _authenticate(self, url: str, timeout_s: float) -> str | None:
        if self._denied is not None and time.monotonic() - self._denied[0] < DENIED_S:
            raise _unreachable(self._denied[1])
        user = self._access.user or ""
        who = {"name": user, "password": self._access.password or ""}
        answer = await self._ask("POST", f"{url}/v3/auth/authenticate", url, timeout_s, json=who)
        token = _token_of(answer.body)
        if token is not None:
            self._denied = None
            return token
        if _ASKS_FOR_NOBODY in answer.body:
            self._needless = time.monotonic()
            return None
        if answer.code in _NOT_NOW:
            raise _unreachable(refusals.of_answer(answer.code, answer.body, url))
        unseen = refusals.denied_user(user, url, answer.body.decode(errors="replace"))
        self._denied = time.monotonic(), unseen
        raise _unreachable(unseen)

    async def _ask(
        self,
        method: str,
        url: str,
        member: str,
        timeout_s: float,
        *,
        headers: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> Answered:
        """Ask, whatever the address looks like: somebody else wrote it. Unreachable, with its reason."""
        try:
            return await exchange(self._http, method, url, timeout_s, headers=headers, json=json)
        except httpx2.HTTPError as error:
            unseen = refusals.of_error(error, member)
            if refusals.may_speak_otherwise(error, unseen):
                unseen = await self._otherwise(member) or unseen
            raise _unreachable(unseen) from error

    async def _otherwise(self, member: str) -> Unseen | None:
        """Say what is spoken at an address that took our words for noise; asked at most every few seconds."""
        asked_at, known = self._spoken.get(member, (float("-inf"), None))
        if time.monotonic() - asked_at > SPOKEN_S:
            tls = self.tls if member.startswith("https") else None
            known = refusals.speaks(await spoken_at(*host_and_port(member), tls), member)
            self._spoken[member] = time.monotonic(), known
        return known

    async def _other_port(self, url: str) -> Unseen | None:
        """Say which other port of etcd it is that has no gateway; asked at most every few seconds."""
        asked_at, known = self._spoken.get(url, (float("-inf"), None))
        if time.monotonic() - asked_at > SPOKEN_S:
            members, version = await asyncio.gather(self._has(url, "/members"), self._has(url, "/version"))
            if members is None or version is None:
                return None
            known = refusals.of_port(url, version=version, members=members)
            self._spoken[url] = time.monotonic(), known
        return known

    async def _has(self, url: str, path: str) -> bool | None:
        """Whether something is at that path; None where nobody answered."""
        try:
            answer = await self._ask("GET", f"{url}{path}", url, PORT_S)
        except Unreachable:
            return None
        return answer.code == httpx2.codes.OK

    async def _probe(self, url: str, timeout_s: float, read: Callable[[int, str], Health]) -> Probe:
        began = time.monotonic()
        member = "://".join(urlsplit(url)[:2])
        try:
            answer = await self._ask("GET", url, member, timeout_s)
        except Unreachable as error:
            return Probe(_connection(error), raw=f"GET {url}: {error}")
        took_ms = (time.monotonic() - began) * 1000
        text = answer.body.decode(errors="replace")
        shown = " ".join(text.split())[:200]
        return Probe(
            Connection.ACCEPTED,
            read(answer.code, text),
            round(took_ms, 3),
            f"GET {url}: {answer.code} {shown}",
            certificate_until=answer.certificate_until,
        )


def _unreachable(unseen: Unseen) -> Unreachable:
    return Unreachable(f"{unseen.text}{f' ({unseen.remedy})' if unseen.remedy else ''}.", unseen)


_CONNECTIONS = {
    UnseenReason.REFUSED: Connection.REFUSED,
    UnseenReason.SILENT: Connection.SILENT,
}


def _connection(error: Unreachable) -> Connection:
    """Return what became of the connection: where we could not ask, that is unknown."""
    if error.unseen is None:
        return Connection.UNKNOWN
    if error.unseen.reason is UnseenReason.REFUSED and "hangs up" in error.unseen.text:
        return Connection.RESET
    return _CONNECTIONS.get(error.unseen.reason, Connection.UNKNOWN)


def _token_of(body: bytes) -> str | None:
    try:
        token = read_object(body).get("token")
    except NotJson:
        return None
    return token if isinstance(token, str) else None


def _read_health(status: int, text: str) -> Health:
    try:
        said = read_object(text)
        healthy = str(said.get("health")).lower() == "true"
        # An etcd that does not know `exclude` names the alarm; the read itself it did not even try then.
        alarmed = str(said.get("reason", "")).startswith("ALARM")
    except NotJson:
        return Health.UNKNOWN
    if alarmed and not healthy:
        return Health.UNKNOWN
    return Health.HEALTHY if healthy and status == httpx2.codes.OK else Health.UNHEALTHY


def _read_version(status: int, text: str) -> Health:
    return Health.HEALTHY if status == httpx2.codes.OK and "etcdserver" in text else Health.UNKNOWN
