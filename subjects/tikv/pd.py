"""PD over its HTTP API (`/pd/api/v1`): any member may be asked, a follower passes the question on.

Bodies are read leniently: an unset number is absent, an error is a JSON string or plain text.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2

from subjects.answers import ask
from subjects.base import ControlState
from subjects.errors import Unreachable
from subjects.tikv.values import size_bytes, wall_time
from subjects.untrusted import NotJson, read_json, read_name

T = TypeVar("T")

API = "/pd/api/v1"

ITSELF = {"PD-Allow-follower-handle": "true"}
"""Has the PD that is asked answer by itself. Without it PDs before v8.5 pass even `/ping` and `/status` to
their leader (seen with v8.1; pkg/utils/apiutil/apiutil.go)."""

ATTEMPT_S = 0.8
"""The longest that one member is waited for while there is another. A follower without a leader holds a
question for up to 3 s before its 503 (PD apiutil/serverapi/middleware.go)."""

STATES = {
    "up": ControlState.UP,
    "disconnected": ControlState.DISCONNECTED,
    "down": ControlState.DOWN,
    "offline": ControlState.OFFLINE,
    "tombstone": ControlState.OFFLINE,
}
"""PD's `state_name` (pkg/response/store.go)."""


class NoLeader(Unreachable):
    """A PD answered, and knows of no leader: its group is electing one, or has lost its majority."""


class NotBootstrapped(Unreachable):
    """PD runs, and no store has ever joined."""


@dataclass(frozen=True, slots=True)
class Store:
    """One store as PD holds it."""

    id: str
    address: str
    status_address: str
    version: str | None
    state: ControlState
    state_name: str
    last_heartbeat: float | None
    """Wall time by PD's clock."""
    started: float | None
    available_bytes: int | None
    leaders: int
    regions: int
    pending_peers: int
    slow_score: int | None
    network_slow_score: int | None
    """The highest that any other store gives it; absent before v8.5.5 and while all is healthy."""
    busy: bool
    learner: bool
    """Whether it holds learners only: a TiFlash, which its label `engine` says."""

    @property
    def tombstone(self) -> bool:
        """Whether it was removed for good: all its regions are elsewhere."""
        return self.state_name == "Tombstone"


@dataclass(frozen=True, slots=True)
class PdMember:
    """One PD."""

    name: str
    id: str
    client_urls: tuple[str, ...]
    version: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """The PDs, and who leads them."""

    cluster_id: str | None
    members: tuple[PdMember, ...]
    leader: str | None


@dataclass(slots=True)
class PdClient:
    """Asks the PD that answered last, and then the others."""

    urls: Sequence[str]
    client: httpx2.AsyncClient = field(
        default_factory=lambda: httpx2.AsyncClient(trust_env=False, follow_redirects=False)
    )
    _first: int = 0

    async def stores(self, timeout_s: float) -> tuple[Store, ...]:
        """Return all stores, tombstones too. NoLeader, NotBootstrapped or Unreachable when PD can't say."""
        return read_stores(await self.get("/stores?state=0&state=1&state=2", timeout_s))

    async def group(self, timeout_s: float) -> Group:
        """Return the PDs and their leader; errors as for `stores`."""
        return read_group(await self.get("/members", timeout_s))

    async def replicas(self, timeout_s: float) -> int:
        """Return of how many replicas every region is made."""
        return _read(
            await self.get("/config/replicate", timeout_s), lambda body: int(body.get("max-replicas") or 3)
        )

    async def regions(self, timeout_s: float) -> int:
        """Return how many regions there are."""
        return _read(await self.get("/regions/count", timeout_s), lambda body: int(body.get("count") or 0))

    async def checked(self, what: str, timeout_s: float) -> list[dict[str, Any]]:
        """Return the regions of one of PD's checks: `miss-peer`, `pending-peer`, `down-peer`."""
        body = await self.get(f"/regions/check/{what}", timeout_s)
        return _read(body, lambda given: _objects(given.get("regions")))

    async def post(self, path: str, body: object, timeout_s: float) -> Any:
        """Have PD change something; it is asked once, at the member that answered last."""
        url = self.urls[self._first % len(self.urls)]
        return _parse(await self._ask(url, path, timeout_s, method="POST", body=body))

    async def started(self, url: str, timeout_s: float) -> float | None:
        """Return when the PD at `url` was started, by its own word."""
        body = _parse(await self._ask(url, "/status", timeout_s, ITSELF))
        return _read(body, lambda given: float(given.get("start_timestamp") or 0)) or None

    async def get(self, path: str, timeout_s: float) -> Any:
        """Ask one PD after the other, `timeout_s` for all together."""
        deadline = time.monotonic() + timeout_s
        failures: list[Unreachable] = []
        urls = tuple(self.urls)
        for index in range(self._first, self._first + len(urls)):
            left = deadline - time.monotonic()
            if left <= 0:
                self._first = index % len(urls)  # whom there was no time for is asked first the next time
                break
            try:
                answer = _parse(await self._ask(urls[index % len(urls)], path, min(left, ATTEMPT_S)))
            except NotBootstrapped:
                raise
            except Unreachable as error:
                failures.append(error)
                continue
            self._first = index % len(urls)
            return answer
        # That there is no leader is the better reason: at least somebody answered.
        raise next((f for f in failures if isinstance(f, NoLeader)), failures[0] if failures else _late(path))

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.aclose()

    async def _ask(
        self,
        url: str,
        path: str,
        timeout_s: float,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        body: object = None,
    ) -> str:
        what = f"{method} {url}{API}{path}"
        try:
            code, content = await ask(
                self.client, method, f"{url}{API}{path}", timeout_s, headers=headers, json=body
            )
        except httpx2.HTTPError as error:
            raise Unreachable(f"{what}: {error or type(error).__name__}") from error
        text = content.decode(errors="replace")
        if code == 200:
            return text
        raise _refused(code, f"{what}: {code} {_error_text(text)}")


def read_stores(body: object) -> tuple[Store, ...]:
    """Read `/stores`. Unreachable for what is none."""
    return _read(body, lambda given: tuple(read_store(item) for item in _objects(given.get("stores"))))


def read_store(item: Mapping[str, Any]) -> Store:
    """Read one element of `/stores`, whatever it leaves out."""
    meta, status = item.get("store") or {}, item.get("status") or {}
    name = read_name(meta.get("state_name") or "")
    slow = [int(score) for score in (status.get("network_slow_score") or {}).values()]
    nanoseconds = meta.get("last_heartbeat")
    return Store(
        id=read_name(meta.get("id", "")),
        address=read_name(meta.get("address") or ""),
        status_address=read_name(meta.get("status_address") or ""),
        version=read_name(meta["version"]) if meta.get("version") else None,
        state=STATES.get(name.lower(), ControlState.UNKNOWN),
        state_name=name,
        last_heartbeat=nanoseconds / 1e9 if nanoseconds else wall_time(status.get("last_heartbeat_ts")),
        started=float(meta.get("start_timestamp") or 0) or wall_time(status.get("start_ts")),
        available_bytes=size_bytes(status.get("available")),
        leaders=int(status.get("leader_count") or 0),
        regions=int(status.get("region_count") or 0),
        pending_peers=int(status.get("pending_peer_count") or 0),
        slow_score=int(status["slow_score"]) if status.get("slow_score") else None,
        network_slow_score=max(slow, default=None),
        busy=bool(status.get("is_busy")),
        learner=any(
            each.get("key") == "engine" and str(each.get("value")).startswith("tiflash")
            for each in _objects(meta.get("labels"))
        ),
    )


def read_group(body: object) -> Group:
    """Read `/members`. Unreachable for what is none."""
    return _read(body, _group)


def _group(given: Mapping[str, Any]) -> Group:
    members = tuple(
        PdMember(
            name=read_name(item.get("name") or ""),
            id=read_name(item.get("member_id") or ""),
            client_urls=tuple(read_name(url) for url in item.get("client_urls") or ()),
            version=read_name(item["binary_version"]) if item.get("binary_version") else None,
        )
        for item in _objects(given.get("members"))
    )
    cluster = (given.get("header") or {}).get("cluster_id")
    leader = (given.get("leader") or {}).get("name")
    return Group(read_name(cluster) if cluster else None, members, read_name(leader) if leader else None)


def _read(body: object, meaning: Callable[[Mapping[str, Any]], T]) -> T:
    """Return what an answer says by `meaning`; Unreachable where it is not PD's."""
    try:
        return meaning(body if isinstance(body, dict) else {})
    except (TypeError, ValueError, AttributeError) as error:
        raise Unreachable(f"not PD's answer: {str(body)[:120]!r}") from error


def _objects(items: Any) -> list[dict[str, Any]]:
    return [item for item in items or () if isinstance(item, dict)]


def _parse(text: str) -> Any:
    try:
        return read_json(text) if text.strip() else {}
    except NotJson as error:
        raise Unreachable(f"not PD's JSON: {text[:120]!r}") from error


def _refused(status: int, text: str) -> Unreachable:
    """A follower says 503 (`redirect finds no leader`, before v8.5 `no leader`) once it knows of no leader;
    until then it tries the one that is gone: `redirect failed`."""
    if status == 503 or "not leader" in text or "redirect failed" in text:
        return NoLeader(text)
    if "not bootstrapped" in text:
        return NotBootstrapped(text)
    return Unreachable(text)


def _error_text(body: str) -> str:
    """An error is a JSON string or plain text."""
    try:
        said = read_json(body)
    except NotJson:
        said = body
    return str(said).strip()[:300]


def _late(path: str) -> Unreachable:
    return Unreachable(f"no PD answered {path} in time")
