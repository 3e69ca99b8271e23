"""What stands at an endpoint may be anything: each gets a clear word, none a crash or an endless wait."""

import time
from pathlib import Path

import pytest

from subjects.access import Access
from subjects.base import Cluster, Health
from subjects.clusters import attach
from subjects.errors import BadSetup, Unreachable
from subjects.runtimes.ports import free_ports
from tests.standins.many_nodes import HealthServer, Manner
from tests.unit.detection.conftest import Watched
from tests.unit.detection.tls_etcd import TlsEtcd
from tests.waiting import healthy
from tools.detection.monitor import Monitor
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger


class TestANodeThatTurnsStrange:
    """A node that was well, and now answers in a wrong way."""

    @pytest.mark.parametrize(
        ("manner", "kind", "words"),
        [
            (Manner.GARBAGE, "strange", "not HTTP: SSH-2.0"),
            (Manner.OTHER_SERVICE, "strange", "some other service"),
            (Manner.ENDLESS, "strange", "does not end"),
            (Manner.DRIPPING, "silent", "no answer"),
            (Manner.DROPPING, "reset", "without an answer"),
            (Manner.UNHEALTHY, "unhealthy", "RAFT NO LEADER"),
        ],
    )
    async def test_it_is_detected_in_words_that_say_how(
        self, watched: Watched, manner: Manner, kind: str, words: str
    ) -> None:
        watched.subject.servers["n2"].manner = manner
        detection = await watched.detection()
        signal = next(signal for signal in detection.signals if signal.kind == kind)

        assert detection.nodes == ("n2",)
        assert words in signal.raw
        assert not [event for event in watched.told if event.type == "error"]


class TestAttaching:
    """`--endpoints` that are no etcd are refused by name, in bounded time."""

    @pytest.mark.parametrize(
        "manner", [Manner.GARBAGE, Manner.OTHER_SERVICE, Manner.ENDLESS, Manner.DRIPPING, Manner.SILENT]
    )
    async def test_something_else_at_the_endpoint(self, manner: Manner) -> None:
        server = HealthServer(manner)
        port = await server.start()
        try:
            with pytest.raises(Unreachable, match=str(port)):
                await attach("etcd", [f"127.0.0.1:{port}"])
        finally:
            server.die()

    async def test_nobody_at_the_endpoint(self) -> None:
        (port,) = free_ports(1)
        with pytest.raises(Unreachable, match=str(port)):
            await attach("etcd", [f"http://127.0.0.1:{port}"])

    async def test_an_authority_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(BadSetup, match=r"missing\.pem"):
            await attach("etcd", ["https://127.0.0.1:1"], Access(cacert=tmp_path / "missing.pem"))


class TestCertificates:
    """A certificate is verified, or the connection is refused in words."""

    async def test_one_that_does_not_verify_is_told(self, tmp_path: Path) -> None:
        with TlsEtcd(tmp_path) as member, pytest.raises(Unreachable, match="certificate"):
            await attach("etcd", [member.url])

    async def test_one_whose_authority_is_given_is_watched_and_its_death_seen(self, tmp_path: Path) -> None:
        with TlsEtcd(tmp_path) as member:
            cluster = await attach("etcd", [member.url], Access(cacert=member.certificate))
            store = IncidentStore(tmp_path / "operator.db")
            monitor = Monitor(cluster, Ledger(), store, lambda _event: None)
            await monitor.start()
            [seen] = (await healthy(cluster)).nodes
            at = time.monotonic()
            member.kill()
            detection = await monitor.wait(at, 60.0)
            await _close(cluster, monitor, store)

        assert seen.itself.health is Health.HEALTHY
        assert detection is not None
        assert detection.signals[0].kind in {"refused", "reset"}


async def _close(cluster: Cluster, monitor: Monitor, store: IncidentStore) -> None:
    await monitor.stop()
    await cluster.aclose()
    store.close()
