"""`operator watch`: what it tells, whom, and how it ends."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent.commands.endpoints import access
from agent.commands.root import cli
from agent.events import NodesSeen
from agent.view.watch_table import draw, sparkline
from agent.watch.receivers import Addresses
from agent.watch.watching import watch
from agent.watch.webhook import MAX_WAITING, TIMEOUT_S, Webhook
from subjects.base import Cluster
from subjects.errors import BadSetup
from tests.standins.many_nodes import HealthServer, Manner
from tests.standins.quiet_view import QuietView
from tests.standins.scripted_cluster import ScriptedRuntime, ScriptedSubject, scripted_cluster
from tests.standins.standin_http import serve
from tests.waiting import until
from tools.events import Event, Notice
from tools.incidents.store import IncidentStore
from tools.observe.ledger import Ledger
from tools.observe.signal import Detection


@dataclass
class Told(QuietView):
    """A view that keeps what it is told, and when."""

    times: list[float] = field(default_factory=list)

    def show(self, event: Event) -> None:
        super().show(event)
        self.times.append(time.monotonic())

    def when(self, kind: type[Event]) -> float | None:
        return next(
            (at for event, at in zip(self.events, self.times, strict=True) if isinstance(event, kind)), None
        )


class Hook:
    """A webhook that answers with the given statuses in turn, the last for ever."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[dict[str, Any]] = []
        self.asked = 0
        self.url = ""

    async def answer(self, method: str, path: str, body: bytes) -> tuple[int, str]:
        self.asked += 1
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == 200:
            self.got.append(json.loads(body))
        return status, "{}"


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    """A webhook that takes everything."""
    made = Hook(200)
    server = await serve(made.answer, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    yield made
    server.close()


@pytest.fixture
async def scripted() -> AsyncIterator[tuple[Cluster, ScriptedSubject, ScriptedRuntime]]:
    made = await scripted_cluster()
    yield made
    await made[0].aclose()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[IncidentStore]:
    made = IncidentStore(tmp_path / "operator.db")
    yield made
    made.close()


class TestWatching:
    """A run from its start to its summary."""

    async def test_it_ends_in_time_with_a_summary(
        self, scripted: tuple[Cluster, ScriptedSubject, ScriptedRuntime], store: IncidentStore
    ) -> None:
        view = Told()
        result = await watch(scripted[0], store, view, for_s=0.3)

        assert result["ok"]
        assert (result["detections"], result["state"]) == (0, "healthy")
        assert result["nodes"] == ["n1", "n2", "n3"]
        assert [event for event in view.events if isinstance(event, NodesSeen)]

    async def test_a_death_is_told_kept_and_posted(
        self, scripted: tuple[Cluster, ScriptedSubject, ScriptedRuntime], store: IncidentStore, hook: Hook
    ) -> None:
        cluster, _, runtime = scripted
        view = Told()
        watching = asyncio.create_task(watch(cluster, store, view, for_s=1.5, to=Addresses(hook.url)))
        await until(lambda: any(isinstance(event, Notice) for event in view.events))
        runtime.happens("n2", "exit", 137)
        result = await watching

        assert (result["detections"], result["webhook"]) == (1, {"sent": 1, "failed": 0, "dropped": 0})
        assert store.get(result["incidents"][0]).nodes == ("n2",)
        assert (hook.got[0]["type"], hook.got[0]["nodes"]) == ("detection", ["n2"])

    @pytest.mark.parametrize("for_s", [None, 60.0])
    async def test_an_interrupt_ends_it_with_its_summary_and_is_no_success(
        self,
        scripted: tuple[Cluster, ScriptedSubject, ScriptedRuntime],
        store: IncidentStore,
        for_s: float | None,
    ) -> None:
        view = Told()
        watching = asyncio.create_task(watch(scripted[0], store, view, for_s=for_s))
        await until(lambda: any(isinstance(event, Notice) for event in view.events))
        watching.cancel()
        result = await watching

        assert (result["ok"], result["interrupted"], result["detections"]) == (False, True, 0)

    @pytest.mark.parametrize("manner", [None, Manner.SILENT, Manner.GARBAGE, Manner.ENDLESS])
    async def test_a_dead_webhook_never_delays_detection(
        self,
        scripted: tuple[Cluster, ScriptedSubject, ScriptedRuntime],
        store: IncidentStore,
        manner: Manner | None,
    ) -> None:
        cluster, _, runtime = scripted
        server = HealthServer(manner or Manner.HEALTHY)
        port = await server.start()
        if manner is None:
            server.die()
        view = Told()
        watching = asyncio.create_task(
            watch(cluster, store, view, to=Addresses(f"http://127.0.0.1:{port}/"), for_s=None)
        )
        await until(lambda: any(isinstance(event, Notice) for event in view.events))
        for node in ("n1", "n2"):
            at = runtime.happens(node, "exit", 137)
            await until(
                lambda: any(isinstance(each, Detection) and each.nodes == (node,) for each in view.events)  # noqa: B023 - over before the next
            )
            assert time.monotonic() - at < TIMEOUT_S
        watching.cancel()
        result = await watching
        server.die()

        assert result["webhook"]["sent"] + result["webhook"]["failed"] >= 1

    async def test_a_bad_webhook_is_refused_before_anything_is_watched(
        self, scripted: tuple[Cluster, ScriptedSubject, ScriptedRuntime], store: IncidentStore
    ) -> None:
        with pytest.raises(BadSetup, match="--webhook"):
            await watch(scripted[0], store, Told(), to=Addresses("nowhere"))


class TestTheWebhook:
    """Retries, order and bounds."""

    async def test_a_busy_one_is_tried_again_and_order_is_kept(self, hook: Hook) -> None:
        hook.statuses = [503, 503, 200]
        made = Webhook(hook.url, lambda _event: None, pauses_s=(0.01, 0.01, 0.01))
        for n in range(3):
            made.send({"n": n})
        await until(lambda: made.sent == 3)
        await made.aclose()

        assert [message["n"] for message in hook.got] == [0, 1, 2]

    async def test_one_that_refuses_is_not_asked_again_and_told_of_once(self, hook: Hook) -> None:
        hook.statuses = [404]
        told: list[Event] = []
        made = Webhook(hook.url, told.append, pauses_s=(0.01,))
        for n in range(3):
            made.send({"n": n})
        await until(lambda: made.failed == 3)
        await made.aclose()

        assert hook.asked == 3
        assert len(told) == 1

    async def test_its_line_is_bounded_and_its_end_too(self) -> None:
        silent = HealthServer(Manner.SILENT)
        port = await silent.start()
        made = Webhook(f"http://127.0.0.1:{port}/", lambda _event: None)
        for n in range(MAX_WAITING + 20):
            made.send({"n": n})
        await made.aclose(timeout_s=0.2)
        silent.die()

        assert made.dropped == 20
        assert made.failed == MAX_WAITING


class TestBounds:
    """It runs for days."""

    def test_a_ledger_that_is_told_to_keeps_only_the_latest(self) -> None:
        ledger = Ledger(keep=10)
        for n in range(100):
            ledger.add("signal:process", f"signal {n}")

        assert len(ledger) == 10
        assert ledger.get("E100") is not None
        assert ledger.get("E1") is None


class TestTheTable:
    """Drawn from figures that are known, and only those."""

    @pytest.mark.parametrize(
        ("values", "bars"),
        [((), ""), ((0.0, 0.0), "▁▁"), ((1.0, 50.0, 100.0), "▁▅█"), ((5.0,) * 30, "█" * 20)],
    )
    def test_a_sparkline_is_scaled_to_its_highest(self, values: tuple[float, ...], bars: str) -> None:
        assert sparkline(values) == bars

    async def test_a_node_that_is_down_stands_first(self) -> None:
        from io import StringIO

        from agent.events import NodeRow
        from agent.view.canvas import Canvas

        rows = (
            NodeRow("n1", "up", "leader", 0, None, (10.0,)),
            NodeRow("n2", "down", "follower", None, 12.3),
        )
        lines = Canvas(StringIO(), coloured=False, size=lambda: (80, 24)).lines(
            draw(NodesSeen("etcd × endpoints", "degraded", rows, ("I1",)), 80)
        )
        text = [line.text for line in lines]

        assert "degraded" in text[0]
        assert text[2].split()[:3] == ["n2", "down", "follower"]
        assert "12.3 s" in text[2]


class TestTheCommandLine:
    """Wrong usage is exit 2, a wrong world is exit 1, and both say what to do."""

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["--endpoints", " , "], "--endpoints names none"),
            (["--cacert", "ca.pem"], "go with --endpoints"),
            (["--endpoints", "127.0.0.1:1", "--cert", "c.pem"], "--cert and --key go together"),
            (["--for", "0"], "--for"),
        ],
    )
    def test_wrong_usage(self, arguments: list[str], words: str) -> None:
        result = CliRunner().invoke(cli, ["watch", *arguments])

        assert result.exit_code == 2
        assert words in result.output

    def test_user_and_password_come_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def read(**environ: str) -> tuple[str | None, str | None]:
            for name in ("ETCD_USERNAME", "ETCD_PASSWORD", "ETCDCTL_USER", "ETCDCTL_PASSWORD"):
                monkeypatch.delenv(name, raising=False)
            for name, value in environ.items():
                monkeypatch.setenv(name, value)
            found = access({"cacert": None, "cert": None, "key": None})
            return found.user, found.password

        assert read() == (None, None)
        assert read(ETCD_USERNAME="u", ETCD_PASSWORD="p") == ("u", "p")
        assert read(ETCDCTL_USER="u:p:q") == ("u", "p:q")
        assert read(ETCDCTL_USER="u", ETCDCTL_PASSWORD="p") == ("u", "p")
