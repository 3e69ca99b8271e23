"""The host of a demo: what it lets through, what it keeps, and what a model leaves out."""

from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest

from agent.demo.demo import Demo
from agent.demo.request import DemoRequest
from agent.demo.result import _why_not, demo_result
from agent.models.base import ToolCall
from agent.permissions import ActiveGate, PermissionGate
from agent.sessions.session import Session
from tests.standins.conversation import Room, Speaker, replies, room
from tests.standins.messages_script import text
from tools.faults.outcome import FaultOutcome
from tools.tool import Effect, Outcome

DONE = replies(text("All done."))


class ClaudeSpeaker(Speaker):
    """A driver that passes for Claude."""

    driver: Literal["claude"] = "claude"  # type: ignore[assignment] # a Speaker is the playbook


class Broken:
    """What was injected, as the fault service keeps it."""

    alarms = True
    record = SimpleNamespace(
        id=7, kind="kill", nodes=("etcd-2",), injected_at=None, steps=(), injected=None, effect_at=None
    )


class Answered:
    """What the result reads of a session without a cluster."""

    id = "s1"
    workbench = SimpleNamespace(cluster=None)
    conversation = SimpleNamespace(model=SimpleNamespace(driver="playbook", name=None))


def demo_of(here: Room, request: DemoRequest | None = None, *, open_faults: int = 0) -> Demo:
    """A demo on a workbench without a cluster."""
    journal = SimpleNamespace(open_faults=lambda: [object()] * open_faults, get=lambda _: None)
    workbench = SimpleNamespace(
        faults=SimpleNamespace(journal=journal, injections=[], own_open=list),
        emit=here.events.append,
        load=None,
        monitor=None,
        outcome=None,
        cluster=None,
    )
    session = SimpleNamespace(
        conversation=here.talk, gate=ActiveGate(PermissionGate()), workbench=workbench, check_fault=None
    )
    return Demo(cast(Session, session), request or DemoRequest())


def broken(demo: Demo) -> Demo:
    demo.gate.stages.announce(3)
    demo.session.workbench.faults.injections.append(cast(Any, Broken()))
    demo.gate.take_injection()
    return demo


def outcome(tool: str, *, ok: bool = True, **data: Any) -> Outcome:
    return cast(Outcome, SimpleNamespace(tool=tool, ok=ok, data=data, summary="", text=""))


def said(model: Speaker) -> list[str]:
    """What the host said in the person's place, in the last request."""
    return [
        block["text"]
        for message in model.requests[-1].messages[1:]
        if message.role == "user"
        for block in message.content
    ]


@pytest.fixture
def here() -> Room:
    return room(Speaker())


async def test_the_result_says_which_stage_failed_and_why(here: Room) -> None:
    demo = demo_of(here)
    demo.gate.stages.announce(1)
    failed = SimpleNamespace(
        tool="cluster_start", ok=False, data={}, summary="etcd-1 does not stay up", text=""
    )
    await demo.gate.after(ToolCall("1", "cluster_start", {}), cast(Outcome, failed))
    result = demo_result(cast(Session, Answered()), demo.gate.stages, demo.facts, stopped=False)

    assert result["ok"] is False
    assert result["error"] == "Stage 1 (health) did not succeed: cluster_start: etcd-1 does not stay up"


async def test_a_call_that_failed_in_an_earlier_stage_is_not_blamed_for_a_later_one(here: Room) -> None:
    demo = demo_of(here)
    for n in (1, 2):
        demo.gate.stages.announce(n)
    failed = SimpleNamespace(tool="cluster_start", ok=False, data={}, summary="too slow", text="")
    await demo.gate.after(ToolCall("1", "cluster_start", {}), cast(Outcome, failed))
    demo.gate.stages.end(1, ok=True)
    result = demo_result(cast(Session, Answered()), demo.gate.stages, demo.facts, stopped=False)

    assert result["error"] == "Stage 2 (load) did not succeed."


async def test_a_cluster_that_was_not_healthy_before_the_fault_is_told_as_why(here: Room) -> None:
    demo = broken(demo_of(here))

    assert _why_not(demo.gate.stages.result(), demo.facts).endswith(
        "did not succeed: the cluster was not healthy before the fault"
    )


async def test_a_wait_that_could_not_be_made_is_no_missed_detection(here: Room) -> None:
    demo = broken(demo_of(here))
    wait = ToolCall("1", "wait_for_detection", {"timeout_s": "soon"})
    await demo.gate.after(wait, outcome("wait_for_detection", ok=False, error="timeout_s: not a number"))

    assert "Nothing was detected" not in str(here.events)
    assert not demo.gate.stages.begun(5)


async def test_a_demo_that_the_person_stopped_between_two_stages_is_no_success(here: Room) -> None:
    demo = demo_of(here)
    cast(Any, demo.session).id = "s1"
    demo.gate.stopped = True
    result = demo.result()

    assert (result["ok"], result["interrupted"], result["error"]) == (False, True, "Demo interrupted")


@pytest.mark.parametrize(("there", "said"), [(True, "unknown"), (False, "down")])
async def test_a_cluster_that_could_not_be_looked_at_is_not_called_down(
    here: Room, *, there: bool, said: str
) -> None:
    demo, session = demo_of(here), Answered()
    etcd = SimpleNamespace(subject=SimpleNamespace(name="etcd"), nodes=SimpleNamespace(name="process"))
    session.workbench = SimpleNamespace(cluster=etcd if there else None)
    result = demo_result(cast(Session, session), demo.gate.stages, demo.facts, stopped=False)

    assert result["cluster"] == said


class TestOnlyWhatWasAskedForIsBroken:
    @pytest.mark.parametrize(
        ("request_", "tool", "arguments", "mended"),
        [
            (
                DemoRequest("pause", "etcd-2"),
                "store_kill",
                {"target": "etcd-2"},
                "asked for pause on etcd-2; call fault_inject with kind=pause, target=etcd-2",
            ),
            (DemoRequest("kill", "tikv1"), "store_kill", {"target": "tikv2"}, "store_kill with target=tikv1"),
            (DemoRequest("kill", "tikv1"), "store_kill", {}, "store_kill with target=tikv1"),
            (DemoRequest("kill", "leader"), "store_kill", {"target": "etcd-1"}, "the leader"),
            (
                DemoRequest("kill", "random"),
                "fault_inject",
                {"kind": "pause"},
                "store_kill with target=random",
            ),
            (DemoRequest(None, "etcd-2"), "fault_inject", {"kind": "pause"}, "kind=pause, target=etcd-2"),
        ],
    )
    async def test_another_fault_or_node_is_refused_with_the_call_that_is_right(
        self, here: Room, request_: DemoRequest, tool: str, arguments: dict[str, str], mended: str
    ) -> None:
        gate = demo_of(here, request_).gate

        verdict = await gate.before(ToolCall("a", tool, arguments), Effect.DESTROY)

        assert not verdict.allowed
        assert mended in verdict.reason

    @pytest.mark.parametrize(
        "request_", [DemoRequest(), DemoRequest("kill", "tikv1"), DemoRequest("pause", "leader")]
    )
    async def test_the_call_that_was_asked_for_passes(self, here: Room, request_: DemoRequest) -> None:
        gate = demo_of(here, request_).gate

        assert (await gate.before(ToolCall("a", *request_.injection), Effect.DESTROY)).allowed

    async def test_where_nothing_was_said_whoever_answers_chooses(self, here: Room) -> None:
        call = ToolCall("a", "fault_inject", {"kind": "pause", "target": "etcd-3"})

        assert (await demo_of(here).gate.before(call, Effect.DESTROY)).allowed

    @pytest.mark.parametrize(
        ("tool", "arguments"),
        [
            ("store_kill", {}),
            ("cluster_start", {}),
            ("cluster_stop", {}),
            ("load_start", {}),
            ("load_stop", {}),
            ("store_restart", {"node": "etcd-1"}),
            ("fault_heal", {"fault": 6}),
        ],
    )
    async def test_once_it_is_broken_only_its_own_heal_acts(
        self, here: Room, tool: str, arguments: dict[str, Any]
    ) -> None:
        gate = broken(demo_of(here)).gate

        assert not (await gate.before(ToolCall("a", tool, arguments), Effect.ACT)).allowed
        for heal, right in (("store_restart", {"node": "etcd-2"}), ("fault_heal", {"fault": 7})):
            assert (await gate.before(ToolCall("b", heal, right), Effect.ACT)).allowed

    async def test_before_anything_is_broken_nothing_is_restarted(self, here: Room) -> None:
        call = ToolCall("a", "store_restart", {"node": "etcd-2"})

        assert not (await demo_of(here).gate.before(call, Effect.ACT)).allowed

    async def test_a_fault_of_earlier_in_the_session_is_not_the_demos(self, here: Room) -> None:
        demo = demo_of(here)
        demo.session.workbench.faults.injections.append(cast(Any, Broken()))
        later = Demo(demo.session, DemoRequest())

        later.gate.take_injection()

        assert later.facts.injection is None

    async def test_nothing_is_broken_on_a_baseline_that_is_not_steady(self, here: Room) -> None:
        gate = demo_of(here).gate
        start, stop, kill = (ToolCall("a", name, {}) for name in ("load_start", "load_stop", "store_kill"))

        await gate.after(start, outcome("load_start", steady=False))
        refused = await gate.before(kill, Effect.ACT)
        await gate.after(stop, outcome("load_stop"))
        await gate.after(start, outcome("load_start", steady=True))
        allowed = await gate.before(kill, Effect.ACT)

        assert not refused.allowed
        assert "half the rate" in refused.reason
        assert allowed.allowed
        assert gate.stages.ended_well(2)


class TestAFinishedStageNeverGetsWorse:
    async def test_a_second_load_that_is_refused_leaves_the_baseline_measured(self, here: Room) -> None:
        gate = demo_of(here).gate
        start = ToolCall("a", "load_start", {})

        await gate.after(start, outcome("load_start", steady=True))
        await gate.after(start, outcome("load_start", ok=False, error="a load already runs"))

        assert gate.stages.ended_well(2)

    async def test_a_late_wait_announces_no_stage_again(self, here: Room) -> None:
        gate = broken(demo_of(here)).gate
        wait = ToolCall("a", "wait_for_detection", {})
        await gate.before(wait, Effect.READ)
        await gate.after(wait, outcome("wait_for_detection", detected=False))
        await gate.before(ToolCall("b", "diagnose", {}), Effect.READ)
        told = len(here.events)

        await gate.before(wait, Effect.READ)
        await gate.after(wait, outcome("wait_for_detection", detected=False))

        assert gate.stages.current == 6
        assert [event for event in here.events[told:] if getattr(event, "ok", "") is None] == []

    async def test_a_second_diagnosis_that_fails_takes_nothing_from_the_first(self, here: Room) -> None:
        gate = demo_of(here).gate
        diagnose = ToolCall("a", "diagnose", {})

        await gate.after(diagnose, outcome("diagnose", diagnosis={"kind": "crash"}))
        await gate.after(diagnose, outcome("diagnose", ok=False, error="busy"))

        assert gate.facts.diagnosis == {"kind": "crash"}
        assert gate.stages.ended_well(6)

    async def test_what_is_healed_is_not_restarted_once_more(self, here: Room) -> None:
        gate = broken(demo_of(here)).gate
        gate.facts.outcome = cast(FaultOutcome, SimpleNamespace(healed=True, restored=True))

        refused = await gate.before(ToolCall("a", "store_restart", {"node": "etcd-2"}), Effect.ACT)

        assert "is healed" in refused.reason


class TestAModelThatStopsEarly:
    async def test_is_asked_to_go_on_before_anything_was_broken_once(self) -> None:
        here = room(model := ClaudeSpeaker(DONE, DONE))

        end = await demo_of(here)._ask("Run it.")

        assert (end.reason, len(model.requests)) == ("answered", 2)
        assert "nothing has been broken" in said(model)[0]

    async def test_is_told_of_the_diagnosis_and_the_open_fault_that_are_left(self) -> None:
        here = room(model := ClaudeSpeaker(DONE, DONE))

        await broken(demo_of(here, open_faults=1))._ask("Run it.")

        assert "nothing has been diagnosed" in said(model)[0]
        assert "still open" in said(model)[0]

    async def test_is_left_alone_when_all_is_done_or_the_person_stopped_it(self) -> None:
        here = room(ClaudeSpeaker(DONE, DONE))
        done = broken(demo_of(here))
        done.facts.diagnosis = {"kind": "crash"}
        stopped = demo_of(here)
        stopped.gate.stopped = True

        assert (await done._ask("Run it.")).reason == "answered"
        assert (await stopped._ask("Run it.")).reason == "answered"

    async def test_and_the_next_request_is_no_demo_any_more(self) -> None:
        here = room(model := ClaudeSpeaker(DONE, DONE, DONE))
        await demo_of(here)._ask("Run it.")

        assert (await here.talk.ask("Thanks")).reason == "answered"
        assert len(model.requests) == 3
        assert model.requests[-1].demo is None

    async def test_offline_mode_is_not_asked_since_it_forgets_nothing(self) -> None:
        here = room(model := Speaker(DONE))

        assert (await demo_of(here)._ask("Run it.")).reason == "answered"
        assert model.requests[0].demo == DemoRequest()
