"""The look of a diagnosis: late is what is late beside the others and lasts, not what a busy machine does."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from subjects.base import Cluster, Connection, Health, LogLine, Metric, Probe
from subjects.etcd.judge import INVARIANTS
from tests.standins.scripted_cluster import ScriptedRuntime, ScriptedSubject
from tools.diagnosis import gather as gathering
from tools.diagnosis import steady
from tools.diagnosis.base import Case, case_of
from tools.diagnosis.check import check
from tools.diagnosis.gather import gather
from tools.diagnosis.rules import conclude
from tools.diagnosis.schema import Confidence, Findings, Kind
from tools.diagnosis.steady import AT_ONCE, KNOCKS, LOOKS, SLOW_LOOKS, Looked, signals_of, steady_look
from tools.observe.kinds import abnormal, signal
from tools.observe.ledger import Ledger
from tools.observe.limits import limits_of
from tools.observe.signal import HEALTH_PORT, Detection, Signal, Source
from tools.observe.targets import NO_CONNECTION, ProbeTarget


class Logged(ScriptedRuntime):
    """Nodes whose logs are what a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[LogLine] = []
        self.hangs = ""
        """Of this node no log comes."""

    async def logs(self, node: str, since: float | None = None, limit: int = 500) -> list[LogLine]:
        if node == self.hangs:
            await asyncio.Event().wait()
        return [
            line for line in self.lines if line.node == node and (since is None or (line.at or 0) >= since)
        ]


class Timed(ScriptedSubject):
    """Nodes whose answers on the way, and on their own hosts, take what a test says."""

    def __init__(self) -> None:
        self.logged = Logged()
        super().__init__(self.logged, ("n1", "n2", "n3"))
        self.host_s = dict.fromkeys(self.nodes, 0.0)
        self.past_the_network = True

    def answer(self, node: str, ms: float) -> None:
        probe = Probe(Connection.ACCEPTED, Health.HEALTHY, ms)
        self.views[node] = replace(self.views[node], client=probe, itself=probe)

    def on_host(self, _node: str) -> bool:
        return self.past_the_network

    async def metrics(self, node: str, names: Sequence[str]) -> list[Metric]:
        await asyncio.sleep(self.host_s[node])
        return []


@pytest.fixture
def hosts_as_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hosts take is what a test says, however busy this machine is."""

    async def host_ms(subject: Timed, node: str) -> float:
        return subject.host_s[node] * 1000

    monkeypatch.setattr("tools.diagnosis.steady._host_ms", host_ms)


@pytest.fixture
async def subject(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Timed]:
    monkeypatch.setattr("tools.diagnosis.steady.PAUSE_S", 0.0)
    made = Timed()
    for name, server in made.servers.items():
        await server.start()
        made.answer(name, 1.0)
    yield made
    await made.aclose()


async def wrong(subject: Timed) -> set[tuple[str, str | None]]:
    return wrong_in(await steady_look(subject))


def wrong_in(looked: Looked) -> set[tuple[str, str | None]]:
    seen = signals_of(looked, limits_of(INVARIANTS))
    return {(each.kind, each.node) for each in seen if abnormal(each.kind)}


async def test_a_cluster_that_is_well_is_looked_at_once(subject: Timed) -> None:
    assert await wrong(subject) == set()
    assert subject.looks == 1


async def test_more_often_where_something_was_detected(subject: Timed) -> None:
    await steady_look(subject, thorough=True)

    assert subject.looks == LOOKS


async def test_a_node_that_is_late_while_its_host_is_quick(subject: Timed) -> None:
    subject.answer("n2", 300.0)

    assert await wrong(subject) == {("slow_port", "n2"), ("slow_health", "n2")}
    assert subject.looks == SLOW_LOOKS


@pytest.mark.usefixtures("hosts_as_said")
async def test_the_same_is_nothing_on_a_machine_where_all_hosts_are_late(subject: Timed) -> None:
    subject.answer("n2", 300.0)
    subject.host_s = dict.fromkeys(subject.nodes, 0.12)

    assert await wrong(subject) == set()


@pytest.mark.usefixtures("hosts_as_said")
@pytest.mark.parametrize(("past_the_network", "kind"), [(True, "host_late"), (False, "late_alone")])
async def test_one_host_that_is_late_does_not_excuse_its_node(
    subject: Timed, kind: str, *, past_the_network: bool
) -> None:
    subject.past_the_network = past_the_network
    subject.answer("n2", 300.0)
    subject.host_s["n2"] = 0.2

    assert await wrong(subject) == {("slow_port", "n2"), ("slow_health", "n2"), (kind, "n2")}


@pytest.mark.parametrize(
    ("connection", "said"),
    [(Connection.REFUSED, set()), (Connection.RESET, set()), (Connection.SILENT, {"silent_alone"})],
)
async def test_who_does_not_answer_is_not_said_to_answer_late(
    subject: Timed, connection: Connection, said: set[str]
) -> None:
    """A dead member that is watched from outside: nothing is there that could be late."""
    looked = await steady_look(subject)
    view = next(node for node in looked.snapshot.nodes if node.name == "n2")
    silent = replace(view, client=Probe(connection, raw="nobody"), itself=Probe(connection, raw="nobody"))
    nodes = tuple(silent if node is view else node for node in looked.snapshot.nodes)
    looked = replace(looked, snapshot=replace(looked.snapshot, nodes=nodes), host_ms={"n2": None})

    kinds = {kind for kind, node in wrong_in(looked) if node == "n2"}

    assert {kind for kind in kinds if kind.endswith("_alone")} == said


@pytest.mark.parametrize(("past_the_network", "surest"), [(True, Confidence.HIGH), (False, Confidence.LOW)])
async def test_a_slow_network_is_sure_only_of_a_node_that_was_asked_past_it(
    subject: Timed, surest: Confidence, *, past_the_network: bool
) -> None:
    """A quick answer over the same network is rather a sign that the network is not slow."""
    subject.past_the_network = past_the_network
    subject.answer("n2", 300.0)
    ledger = Ledger()
    gathered = await gather(
        Case(None, None, 1.0), Cluster("c", subject, subject.logged).observed, tuple, ledger
    )
    found = conclude(gathered, subject.nodes, ledger)

    assert (found.kind, found.nodes, found.confidence) == (Kind.NETWORK_DELAY, ("n2",), surest)


async def test_a_thousand_nodes_are_not_connected_to_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """More connections than a process may have open would all look lost."""
    now = most = 0

    async def connection(_target: ProbeTarget, _way_s: float) -> str | None:
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        await asyncio.sleep(0)
        now -= 1
        return "Too many open files" if now > AT_ONCE else None

    monkeypatch.setattr(steady, "probe_new_connection", connection)
    subject = ScriptedSubject(ScriptedRuntime(), [f"n{n}" for n in range(1000)])
    quick = Probe(Connection.ACCEPTED, Health.HEALTHY, 1.0)
    for name, view in subject.views.items():
        subject.views[name] = replace(view, client=quick, itself=quick)
    looked = await steady_look(subject)

    assert looked.lost == {}
    assert most == AT_ONCE


@pytest.mark.parametrize(("rounds_lost", "lossy"), [(0, {"n2"}), (1, {"n2"}), (2, set())])
async def test_connections_lost_to_most_nodes_are_lost_here(
    subject: Timed, monkeypatch: pytest.MonkeyPatch, rounds_lost: int, lossy: set[str]
) -> None:
    """n2 loses them for good, and the others for so many rounds: that is this machine, or its way to all."""
    tried = Counter[str]()

    async def knock(target: ProbeTarget, _way_s: float) -> str | None:
        tried[target.node] += 1
        lost = target.node == "n2" or tried[target.node] <= rounds_lost * KNOCKS
        return NO_CONNECTION if lost else None

    monkeypatch.setattr("tools.diagnosis.steady.probe_new_connection", knock)

    assert {*(await steady_look(subject)).lost} == lossy


async def test_answers_that_are_late_and_then_not_are_nothing(subject: Timed) -> None:
    subject.answer("n2", 300.0)
    looking = asyncio.ensure_future(steady_look(subject))
    while subject.looks < SLOW_LOOKS - 1:
        await asyncio.sleep(0)
    subject.answer("n2", 20.0)

    assert wrong_in(await looking) == set()


@pytest.mark.parametrize("detected", [False, True])
async def test_one_answer_missed_in_passing_counts_only_where_something_was_detected(
    subject: Timed, *, detected: bool
) -> None:
    missed = Signal(
        Source.CONNECTION, "silent", "n2", "n2 silent: no answer for 300 ms", 1.0, 1.0, via=HEALTH_PORT
    )
    detection = Detection("n2 does not answer", ("n2",), "I1", signals=(missed,))
    case = Case("I1", detection, 1.0) if detected else Case(None, None, 1.0)
    ledger = Ledger()
    found = await gather(case, Cluster("c", subject, subject.runtime), lambda: (missed,), ledger)

    assert (conclude(found, subject.nodes, ledger).kind is Kind.NONE) is not detected


async def test_what_the_monitor_sees_while_the_diagnosis_looks_counts(subject: Timed) -> None:
    """A look at a cluster that is ill takes seconds, in which the counters of CPU are read once more."""
    late = signal("late_port", "n2", "n2 late_port: its service port answered in 395 ms")
    starved = signal("starved", "n2", "n2 starved: its threads waited 7.27 s for a processor and ran 0.03 s")
    detection = Detection("n2 answers clients several times slower", ("n2",), "I1", signals=(late,))

    def recorded() -> tuple[Signal, ...]:
        return (late, starved) if subject.looks else (late,)

    ledger = Ledger()
    found = await gather(Case("I1", detection, 0.0), Cluster("c", subject, subject.runtime), recorded, ledger)

    assert conclude(found, subject.nodes, ledger).root_cause == "n2 is starved of CPU; its peers are not."


async def test_a_restart_seen_late_is_not_blamed_on_what_the_log_told_of_an_earlier_incident(
    subject: Timed,
) -> None:
    began = 1_000_000.0
    subject.change("n2", started_at=began + 1.0)
    for ago, text in (
        (9.0, '"level":"fatal" write: file too large'),
        (1.0, "received signal; shutting down"),
    ):
        subject.logged.lines.append(LogLine("n2", text, began - ago))
    ledger = Ledger()
    gathered = await gather(Case(None, None, began), Cluster("c", subject, subject.runtime), tuple, ledger)
    found = conclude(gathered, subject.nodes, ledger)

    assert (found.kind, found.nodes) == (Kind.PLANNED_RESTART, ("n2",))


async def test_a_node_that_leaves_while_it_is_looked_at_is_no_end_of_the_look(subject: Timed) -> None:
    subject.answer("n2", 300.0)
    looking = asyncio.ensure_future(steady_look(subject))
    while subject.looks < 2:
        await asyncio.sleep(0)
    subject.leave("n2")
    del subject.host_s["n2"]

    assert [node.name for node in (await looking).snapshot.nodes] == ["n1", "n3"]


async def test_a_log_that_does_not_come_keeps_nobody_waiting_for_the_others(
    subject: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "LOGS_TIMEOUT_S", 0.1)
    subject.logged.hangs = "n1"
    subject.logged.lines.append(LogLine("n2", "paused the grpc server", 2.0))
    async with asyncio.timeout(60):
        found = await gather(
            Case(None, None, 1.0), Cluster("c", subject, subject.logged).observed, tuple, Ledger()
        )

    assert [each.word for each in found.seen if each.signal.source is Source.LOG] == ["log_server_paused"]


def drift(of: str, by: str, ts: str = "2026-11-27T06:35:26.512Z") -> str:
    """What etcd 3.5 writes of a peer whose clock is another."""
    return (
        f'{{"level":"warn","ts":"{ts}","caller":"rafthttp/probing_status.go:86",'
        f'"msg":"prober found high clock drift","round-tripper-name":"{by}","remote-peer-id":"{of}",'
        '"clock-drift":"8m0.640985013s","rtt":"502.906µs"}'
    )


IDS = {"n1": "8e9e05c52164694d", "n2": "d66e878e1cd03cfc", "n3": "4df3de4b88bd271"}


async def found_by_clocks(subject: Timed, *said: tuple[str, str]) -> Findings:
    """Have logs find other members' clocks off, as (writer, about whom); return what is concluded."""
    for name in subject.nodes:
        subject.change(name, member_id=IDS[name])
    trippers = ("ROUND_TRIPPER_SNAPSHOT", "ROUND_TRIPPER_RAFT_MESSAGE")
    subject.logged.lines = [
        LogLine(by, drift(IDS[of], t), time.time()) for by, of in said for t in trippers for _ in range(9)
    ]
    ledger = Ledger()
    cluster = Cluster("c", subject, subject.logged)
    gathered = await gather(Case(None, None, time.time() - 60), cluster.observed, list, ledger)
    found = conclude(gathered, subject.nodes, ledger, database="etcd")
    assert check(found, ledger, nodes=subject.nodes, opened_wall=time.time() - 60) == ()
    return found


@pytest.mark.parametrize(
    "said",
    [
        [("n1", "n2"), ("n3", "n2")],  # behind the others: etcd warns of a peer that is behind, not ahead
        [("n1", "n2")],  # the third one's log cannot be read
        [("n2", "n1"), ("n2", "n3")],  # ahead of the others
        [("n1", "n2"), ("n3", "n2"), ("n2", "n1"), ("n2", "n3")],
    ],
)
async def test_the_member_whose_clock_is_off_is_named_be_it_behind_or_ahead(
    subject: Timed, said: list[tuple[str, str]]
) -> None:
    found = await found_by_clocks(subject, *said)

    assert (found.kind, found.nodes, found.confidence) == (Kind.CLOCK_DRIFT, ("n2",), Confidence.MEDIUM)
    assert "prober found high clock drift" in found.evidence[0].quote
    assert any("chronyc" in step for step in found.suggested_actions)


async def test_of_two_members_nobody_can_tell_whose_clock_is_off(subject: Timed) -> None:
    subject.leave("n3")
    found = await found_by_clocks(subject, ("n1", "n2"))

    assert (found.kind, found.nodes, found.confidence) == (Kind.CLOCK_DRIFT, ("n1", "n2"), Confidence.LOW)


async def test_a_clock_that_is_off_explains_no_other_trouble(subject: Timed) -> None:
    subject.change("n2", member_id="d66e878e1cd03cfc")
    subject.logged.lines = [LogLine("n1", drift("d66e878e1cd03cfc", "SNAPSHOT"), time.time())]
    lagging = signal("lagging", "n3", "n3 lagging: 9000 entries behind the leader")
    ledger = Ledger()
    case = Case("i", Detection("n3 lags behind", ("n3",), "i", signals=(lagging,)), 0.0)
    gathered = await gather(case, Cluster("c", subject, subject.logged).observed, lambda: [lagging], ledger)

    assert conclude(gathered, subject.nodes, ledger, database="etcd").kind is Kind.UNKNOWN


async def test_an_old_incident_that_is_still_open_makes_no_cause_of_what_happened_since(
    subject: Timed,
) -> None:
    """An hour ago a member was restarted while another one's quota ran out: neither moves the lead."""
    now = time.time()
    for name, started in {"n1": now - 9000, "n2": now - 3600, "n3": now - 9000}.items():
        subject.change(name, started_at=started)
    moved = replace(signal("leader_changed", "n1", "n3 elected leader, was n1 (term 7)"), wall=now)
    unstable = replace(signal("unstable", None, "4 leader changes"), wall=now)
    full = Detection("n3 is close to its space quota", ("n3",), "i1", wall=now - 7200)
    made = Detection("the leader changes again and again", (), "i2", signals=(moved, unstable), wall=now)
    ledger, cluster = Ledger(), Cluster("c", subject, subject.logged)
    gathered = await gather(case_of([made], [full]), cluster.observed, list, ledger)

    assert conclude(gathered, subject.nodes, ledger, database="etcd").kind is Kind.LEADER_LOSS
