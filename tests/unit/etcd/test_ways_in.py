"""How we get in: users that are asked for or not, keys with a passphrase, ports that are not for clients."""

import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from subjects.access import Access
from subjects.base import Alarm, UnseenReason
from subjects.errors import BadSetup, Unreachable
from subjects.etcd.client import EtcdClient
from subjects.etcd.views import read_alarm

STATUS = {"header": {"member_id": "1", "cluster_id": "9"}, "version": "3.5.1", "leader": "1"}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(*routes: web.RouteDef) -> AsyncIterator[str]:
    """Serve these on a free port of loopback; all else is "404 page not found", as Go says it."""

    @web.middleware
    async def as_go(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return web.Response(status=404, text="404 page not found\n")

    app = web.Application(middlewares=[as_go])
    app.router.add_routes(routes)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def refused(client: EtcdClient, url: str) -> Unreachable:
    try:
        with pytest.raises(Unreachable) as error:
            await client.status(url, 5.0)
    finally:
        await client.aclose()
    return error.value


class Auth:
    """A member that asks for a user once `enabled`."""

    def __init__(self) -> None:
        self.enabled = False
        self.asked = 0

    @property
    def routes(self) -> tuple[web.RouteDef, ...]:
        return (
            web.post("/v3/auth/authenticate", self.authenticate),
            web.post("/v3/maintenance/status", self.status),
        )

    async def authenticate(self, _: web.Request) -> web.Response:
        self.asked += 1
        if self.enabled:
            return web.json_response({"token": "t"})
        said = "etcdserver: authentication is not enabled"
        return web.json_response({"error": said, "code": 9, "message": said}, status=400)

    async def status(self, request: web.Request) -> web.Response:
        if self.enabled and request.headers.get("Authorization") != "t":
            said = "etcdserver: user name is empty"
            return web.json_response({"error": said, "code": 3, "message": said}, status=400)
        return web.json_response(STATUS)


async def test_a_user_that_nobody_asks_for_does_no_harm() -> None:
    member = Auth()
    client = EtcdClient(Access(user="root", password="secret"))
    async with served(*member.routes) as url:
        statuses = [await client.status(url, 5.0) for _ in range(3)]
    await client.aclose()

    assert [each.member_id for each in statuses] == ["1"] * 3
    assert member.asked == 1


async def test_it_is_used_as_soon_as_somebody_asks_for_it() -> None:
    member = Auth()
    client = EtcdClient(Access(user="root", password="secret"))
    async with served(*member.routes) as url:
        await client.status(url, 5.0)
        member.enabled = True
        status = await client.status(url, 5.0)
    await client.aclose()

    assert (status.member_id, member.asked) == ("1", 2)


async def anything(_: web.Request) -> web.Response:
    return web.json_response({})


@pytest.mark.parametrize(
    ("paths", "said"),
    [
        (("/version", "/members"), "peer address"),
        (("/metrics", "/health"), "metrics address, or etcd's gRPC proxy"),
        (("/version", "/health", "/metrics"), "gateway off"),
    ],
)
async def test_a_port_that_is_not_for_clients_is_told_as_what_it_is(
    paths: tuple[str, ...], said: str
) -> None:
    async with served(*(web.get(path, anything) for path in paths)) as url:
        error = await refused(EtcdClient(), url)

    assert said in str(error)
    assert error.unseen is not None
    assert error.unseen.reason is UnseenReason.NOT_SPOKEN
    assert ("--advertise-client-urls" in error.unseen.remedy) is ("gateway off" not in said)


@pytest.mark.parametrize(
    ("said", "alarms"),
    [
        ({"health": "true", "reason": ""}, ()),
        ({"health": "false", "reason": "ALARM NOSPACE"}, ("alarm:NOSPACE",)),
        ({"health": "false", "reason": "RAFT NO LEADER"}, None),
        ({"health": "false"}, None),
        ("no object", None),
    ],
)
async def test_who_may_not_have_the_status_reads_the_alarm_from_the_health(
    said: object, alarms: tuple[str, ...] | None
) -> None:
    async def health(_: web.Request) -> web.Response:
        return web.json_response(said, status=200 if alarms == () else 503)

    client = EtcdClient()
    async with served(web.get("/health", health)) as url:
        found = await client.alarms(url, 5.0)
    await client.aclose()

    assert found == alarms
    assert [read_alarm(each, {}) for each in found or ()] == [
        Alarm("NOSPACE", None, each) for each in alarms or ()
    ]


def test_a_key_with_a_passphrase_asks_nobody_at_the_terminal(tmp_path: Path) -> None:
    cert, key = tmp_path / "c.pem", tmp_path / "k.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-days",
            "1",
            "-subj",
            "/CN=x",
            "-passout",
            "pass:secret",
            "-keyout",
            key,
            "-out",
            cert,
        ],
        check=True,
        capture_output=True,
    )

    with pytest.raises(BadSetup, match=r"k\.pem has a passphrase"):
        Access(cert=cert, key=key).ssl_context()
