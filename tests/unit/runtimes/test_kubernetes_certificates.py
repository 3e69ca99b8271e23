"""Somebody else's etcd in pods that asks its clients for certificates."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent.commands.root import cli
from subjects.access import Access
from subjects.base import ClusterSnapshot, ClusterState, UnseenReason
from subjects.certificate_names import names_in
from subjects.clusters import attach_pods
from subjects.errors import BadSetup, Unreachable
from subjects.etcd.client import EtcdClient
from subjects.runtimes.kubernetes.options import KubernetesOptions
from subjects.runtimes.kubernetes.pod_status import is_name_of
from tests.standins.authority import Authority
from tests.standins.kubernetes_standin.etcd_set import make_etcd
from tests.standins.kubernetes_standin.handle import StandinCluster
from tests.unit.detection.tls_etcd import TlsEtcd
from tools.detection.monitor import Monitor
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger

BOUND_S = 60.0
"""Ends what hangs."""
NAMESPACE = "db"
PODS = KubernetesOptions(namespace=NAMESPACE, selector="app=etcd")


@dataclass
class Secured:
    """A cluster with one member, and what it takes to be let in."""

    standin: StandinCluster
    access: Access


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    authority = Authority(tmp_path_factory.mktemp("certificates"))
    member = authority.sign("member", [f"*.etcd.{NAMESPACE}.svc.cluster.local"])
    ours = authority.sign("ours")
    with StandinCluster(tmp_path_factory.mktemp("kubernetes"), "--reachable") as standin:
        make_etcd(standin, NAMESPACE, 1, member, authority.cert)
        yield Secured(standin, Access(authority.cert, ours.cert, ours.key))


@pytest.fixture(autouse=True)
def kubeconfig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "secured" in request.fixturenames:
        monkeypatch.setenv("KUBECONFIG", str(request.getfixturevalue("secured").standin.kubeconfig))


async def look(access: Access) -> ClusterSnapshot:
    cluster = await attach_pods("etcd", PODS, access)
    try:
        return await cluster.subject.observe()
    finally:
        await cluster.aclose()


@pytest.mark.pod_addresses
class TestPodsThatAskForACertificate:
    """With the options of --endpoints all of them is seen; without, it is said what is missing."""

    async def test_with_one_it_is_watched_and_its_death_seen(self, secured: Secured, tmp_path: Path) -> None:
        cluster = await attach_pods("etcd", PODS, secured.access)
        store = IncidentStore(tmp_path / "operator.db")
        monitor = Monitor(cluster, Ledger(), store, lambda _event: None)
        try:
            await monitor.start()
            async with asyncio.timeout(BOUND_S):
                while monitor.state != "healthy" or not monitor.answered:
                    await asyncio.sleep(0.05)
            began = time.monotonic()
            secured.standin.act("oom", namespace=NAMESPACE, pod="etcd-0")
            detection = await monitor.wait(began, BOUND_S)
            async with asyncio.timeout(BOUND_S):
                while (await cluster.subject.observe()).state is not ClusterState.HEALTHY:
                    await asyncio.sleep(0.1)
        finally:
            await monitor.stop()
            await cluster.aclose()
            store.close()

        assert detection is not None
        assert detection.nodes == ("etcd-0",)

    @pytest.mark.parametrize(
        ("given", "reason", "remedy"),
        [
            ((), UnseenReason.NOT_SPOKEN, "--cacert names the authority"),
            (("cacert",), UnseenReason.DENIED, "--cert and --key"),
        ],
    )
    async def test_without_one_it_is_said_what_to_give(
        self, secured: Secured, given: tuple[str, ...], reason: UnseenReason, remedy: str
    ) -> None:
        known = {name: getattr(secured.access, name) for name in given}
        not_yet = {UnseenReason.REFUSED, UnseenReason.SILENT}  # a busy machine may not shake hands in time
        async with asyncio.timeout(BOUND_S):
            while (node := (await look(Access(**known))).nodes[0]).unseen is None or (
                node.unseen.reason in not_yet
            ):
                await asyncio.sleep(0.1)

        assert node.unseen.reason is reason, node.unseen
        assert remedy in node.unseen.remedy

    def test_the_status_says_it_too(self, secured: Secured, tmp_path: Path) -> None:
        words = ["--namespace", NAMESPACE, "--selector", "app=etcd", "--state-dir", str(tmp_path)]
        found = CliRunner().invoke(cli, ["deploy", "status", *words, "--cacert", str(secured.access.cacert)])

        assert found.exit_code == 3, found.output
        assert "etcd-0 cannot be looked at" in found.output
        assert "--cert and --key" in found.output

    async def test_a_file_that_is_not_there_is_named(self, secured: Secured, tmp_path: Path) -> None:
        with pytest.raises(BadSetup, match=r"missing\.pem"):
            await look(replace(secured.access, cacert=tmp_path / "missing.pem"))


@pytest.mark.parametrize("accepted", [True, False])
async def test_a_certificate_for_somebody_else_is_refused_though_its_authority_is_known(
    tmp_path: Path, *, accepted: bool
) -> None:
    asked: list[str] = []

    def accepts(name: str) -> bool:
        asked.append(name)
        return accepted

    with TlsEtcd(tmp_path) as member:
        client = EtcdClient(Access(member.certificate, accepts=accepts))
        try:
            if accepted:
                assert await client.status(member.url, 5.0)
            else:
                with pytest.raises(Unreachable, match="is for another name"):
                    await client.status(member.url, 5.0)
        finally:
            await client.aclose()

    assert set(asked) == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("etcd-0.etcd.db.svc.cluster.local", True),
        ("etcd-0.etcd.db.svc", True),
        ("*.etcd.db.svc.example.org", True),
        ("etcd.db.svc", True),
        ("etcd-0.etcd", True),
        ("etcd-0", True),
        ("10.1.2.3", True),
        ("localhost", True),
        ("10.1.2.4", False),
        ("etcd-0.etcd.other.svc.cluster.local", False),
        ("db.svc", False),
        ("xdb.svc.cluster.local", False),
        ("etcd-7", False),
        ("example.org", False),
    ],
)
def test_a_pods_certificate_is_for_its_names_in_the_cluster(name: str, *, accepted: bool) -> None:
    pod: dict[str, Any] = {
        "metadata": {"name": "etcd-0", "namespace": "db"},
        "spec": {"hostname": "etcd-0", "subdomain": "etcd"},
        "status": {"podIP": "10.1.2.3"},
    }

    assert is_name_of([pod], name) is accepted


def test_only_names_that_are_verified_are_read() -> None:
    shown = {
        "subject": ((("commonName", "etcd-0.etcd.db.svc"),),),
        "subjectAltName": (("DNS", "A.example"), ("IP Address", "10.0.0.1"), ("URI", "spiffe://b")),
    }

    assert names_in(shown) == ("a.example", "10.0.0.1")


def test_an_address_of_ipv6_is_read_as_pods_have_it() -> None:
    shown = {"subjectAltName": (("IP Address", "FD00:0:0:0:0:0:0:7"), ("IP Address", "0:0:0:0:0:0:0:1"))}

    assert names_in(shown) == ("fd00::7", "::1")
