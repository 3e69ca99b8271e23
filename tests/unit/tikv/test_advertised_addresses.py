"""What PDs and stores advertise, as somebody who is not of their network finds it."""

import json
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx2
import pytest
import respx

from subjects.base import ClusterSnapshot, ClusterState, Connection, Membership, UnseenReason
from subjects.clusters import attach
from subjects.errors import BadSetup, Unreachable
from subjects.runtimes.endpoints import EndpointNodes
from subjects.tikv.members import Member, discovered
from subjects.tikv.pd import PdClient, Store, read_group, read_store
from subjects.tikv.subject import TikvSubject
from tests.standins.many_nodes import HOST, HealthServer, Manner
from tests.unit.tikv import pd_answers

PDS = read_group(json.loads(pd_answers.members()))
INSIDE = "tikv0.cluster.invalid:20160"
"""A name that only the cluster's own network has."""
TRIES = 20
"""The first goes to who is silent; one of a busy machine's others is in time."""
CHECKS = ("miss-peer", "pending-peer", "down-peer")


def store(number: int, address: str, status: str = "", **more: Any) -> dict[str, object]:
    row = pd_answers.store(number, time.time())
    row["store"] |= {"address": address, "status_address": status, **more}
    return row


def stores_of(*rows: dict[str, object]) -> list[Store]:
    return [read_store(row) for row in rows]


def pd_says(
    http: respx.MockRouter, *rows: Mapping[str, object], pds: tuple[str, ...] = ("pd0", "pd1")
) -> None:
    for name in pds:
        base = f"http://{name}:2379/pd/api/v1"
        answers: dict[str, object] = {f"regions/check/{check}": {"count": 0} for check in CHECKS}
        answers |= {
            "ping": {},
            "status": {"start_timestamp": 1767225600},
            "members": json.loads(pd_answers.members("pd0", ("pd0", "pd1"))),
            "stores": {"count": len(rows), "stores": rows},
            "regions/count": {"count": 7},
            "config/replicate": {"max-replicas": 3},
        }
        for path, body in answers.items():
            http.get(f"{base}/{path}").respond(200, json=body)


async def looks(*endpoints: str, times: int = 1) -> ClusterSnapshot:
    subject = TikvSubject((), EndpointNodes(), PdClient(endpoints))
    try:
        for _ in range(times):
            snapshot = await subject.observe()
        return snapshot
    finally:
        await subject.aclose()


@pytest.fixture
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no name resolve."""

    def getaddrinfo(*_asked: object, **_how: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_a_store_is_known_by_its_id_and_not_by_a_pods_number() -> None:
    known = stores_of(store(1, "tikv-0.tikv.db.svc:20160"), store(4, "tikv-1.tikv.db.svc:20160"))

    found = {
        member.name: [each.id for each in known if member.is_store(each)]
        for member in discovered(PDS, known)
        if member.kind == "store"
    }

    assert found == {"tikv-1": ["1"], "tikv-4": ["4"]}


def test_an_address_of_ipv6_is_in_brackets() -> None:
    member = discovered(PDS, stores_of(store(1, "[fd00::7]:20160")))[-1]

    assert (member.url, member.data) == ("http://[fd00::7]:20180", ("fd00::7", 20160))


@pytest.mark.parametrize("bad", ["tikv0:99999", "tikv0:abc", "[::1:20160", "", "h:20160:3"])
@respx.mock(assert_all_called=False)
async def test_one_bad_address_hides_no_other_node(respx_mock: respx.MockRouter, bad: str) -> None:
    respx_mock.get("http://127.0.0.1:20180/status").respond(200)
    respx_mock.get("http://127.0.0.1:20180/metrics").respond(200, text="")
    pd_says(respx_mock, store(1, bad), store(2, "127.0.0.1:20160"))

    snapshot = await looks("http://pd0:2379")

    unseen = snapshot.node("tikv-1").unseen
    assert unseen is not None
    assert unseen.reason is UnseenReason.BAD_ADDRESS
    assert "advertises" in unseen.text
    assert snapshot.node("tikv-2").unseen is None


class Outside(httpx2.AsyncHTTPTransport):
    """PD is there as a router says; everything else is asked for by its name."""

    def __init__(self, router: respx.MockRouter) -> None:
        super().__init__()
        handler: Any = router.async_handler
        self._router = httpx2.MockTransport(handler)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.host.endswith(".invalid"):
            return await super().handle_async_request(request)
        return await self._router.handle_async_request(request)


@pytest.mark.usefixtures("no_names")
async def test_stores_whose_names_do_not_resolve_here_are_not_told_as_down() -> None:
    router = respx.MockRouter(assert_all_called=False)
    pd_says(router, *(store(number, INSIDE) for number in (1, 2, 3)))
    client = httpx2.AsyncClient(transport=Outside(router))
    subject = TikvSubject((), EndpointNodes(), PdClient(["http://pd0:2379"], client))

    snapshot = await subject.observe()
    await subject.aclose()

    assert snapshot.state is ClusterState.HEALTHY, snapshot.problems
    assert snapshot.quorum.held
    for name in subject.stores:
        node = snapshot.node(name)
        assert node.client.connection is Connection.UNKNOWN
        assert node.unseen is not None
        assert not subject.can_be_held(name)


@pytest.mark.usefixtures("no_names")
async def test_a_name_that_resolved_before_has_gone_with_its_node() -> None:
    subject = TikvSubject((), EndpointNodes(), PdClient([]))
    subject._reached.add("tikv-1")
    subject._members = (Member("tikv-1", "store", "http://x.invalid:20180", ("x.invalid", 20160), "1"),)

    probe = await subject.probe("tikv-1", 1.0)
    await subject.aclose()

    assert probe.connection is Connection.REFUSED


@respx.mock(assert_all_called=False)
async def test_a_pd_that_was_given_and_dies_leaves_the_others_to_be_asked(
    respx_mock: respx.MockRouter,
) -> None:
    pd_says(respx_mock)
    subject = TikvSubject((), EndpointNodes(), PdClient(["http://pd0:2379"]))
    await subject.observe()
    respx_mock.clear()
    respx_mock.get(host="pd0").mock(side_effect=httpx2.ConnectError("refused"))
    pd_says(respx_mock, pds=("pd1",))

    snapshot = await subject.observe()
    await subject.aclose()

    assert snapshot.leader == "pd0"
    assert not any(problem.startswith("PD: ") for problem in snapshot.problems)


async def test_a_pd_that_there_was_no_time_for_is_asked_first_the_next_time() -> None:
    silent, quick = HealthServer(Manner.SILENT), HealthServer(Manner.HEALTHY)
    for server in (silent, quick):
        await server.start()
    pd = PdClient([f"http://{HOST}:{server.port}" for server in (silent, quick)])

    answered = False
    for _ in range(TRIES):
        with suppress(Unreachable):
            await pd.get("/members", 0.2)
            answered = True
            break
    assert answered

    await pd.aclose()
    for server in (silent, quick):
        server.die()


@respx.mock(assert_all_called=False)
async def test_a_question_that_pd_does_not_answer_hides_nothing(respx_mock: respx.MockRouter) -> None:
    pd_says(respx_mock)
    for name in ("pd0", "pd1"):
        respx_mock.get(f"http://{name}:2379/pd/api/v1/config/replicate").respond(500, text="busy")

    assert (await looks("http://pd0:2379")).leader == "pd0"


@respx.mock(assert_all_called=False)
async def test_a_tiflash_has_no_vote(respx_mock: respx.MockRouter) -> None:
    flash: dict[str, Any] = {"labels": [{"key": "engine", "value": "tiflash"}], "state_name": "Down"}
    respx_mock.get(host="127.0.0.1").respond(200, text="")
    rows = [store(number, f"127.0.0.1:{20160 + number}") for number in (1, 2)]
    dead = store(3, "127.0.0.1:20163", state_name="Down")
    pd_says(respx_mock, *rows, dead, store(4, "127.0.0.1:3930", **flash))
    respx_mock.get(host="127.0.0.1").respond(200, text="")

    snapshot = await looks("http://pd0:2379")

    assert snapshot.node("tikv-4").membership is Membership.LEARNER
    assert snapshot.quorum.voters == 3


async def test_an_endpoint_that_is_no_address_is_refused_in_words() -> None:
    with pytest.raises(BadSetup, match="goes in brackets"):
        await attach("tikv", ["http://::1:2379"])
