"""Offline mode goes through the demo by the results, and heals whatever fails on the way."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from agent.demo.request import STOPPED
from agent.models.base import Message, Reply, Request
from agent.models.offline import OfflineModel
from agent.orders import read_demo
from prompts import remark
from tools.observe.ledger import Ledger

DIAGNOSIS = {
    "by": "rules",
    "observation": "etcd-2 stopped answering.",
    "root_cause": "The process of etcd-2 was killed by signal 9.",
    "kind": "crash",
    "node": "etcd-2",
    "confidence": "high",
    "evidence": [{"id": "E5", "claim": "The kernel saw it exit.", "quote": "exited with 137"}],
    "ruled_out": [{"cause": "a partition", "ruled_out_by": "its ports refused connections"}],
    "suggested_actions": ["Start etcd-2 again"],
    "would_change": "A process that still runs.",
    "verified": True,
}

RESULTS: Mapping[str, Mapping[str, Any]] = {
    "cluster_status": {
        "cluster": "etcd × process",
        "state": "healthy",
        "leader": "etcd-1",
        "nodes": [{"name": "etcd-1", "role": "leader"}, {"name": "etcd-2", "role": "follower"}],
    },
    "cluster_start": {"state": "healthy"},
    "load_start": {
        "baseline": {"ops_per_s": 300.2, "p50_ms": 1.2, "p99_ms": 6.3, "errors": 0},
        "steady": True,
    },
    "load_status": {"running": True, "figures": {"ops_per_s": 299.0}},
    "load_stop": {
        "writes": {"kept": True, "acknowledged": 4321, "lost": 0, "changed": 0, "indeterminate": 2}
    },
    "store_kill": {
        "fault": 1,
        "kind": "kill",
        "nodes": ["etcd-2"],
        "node": "etcd-2",
        "role": "follower",
        "prediction": "Writes go on",
        "verified": True,
    },
    "fault_inject": {"fault": 1, "kind": "pause", "nodes": ["etcd-2"], "node": "etcd-2", "verified": True},
    "wait_for_detection": {
        "detected": True,
        "text": "the process of etcd-2 exited",
        "nodes": ["etcd-2"],
        "signals": [
            {"source": "process", "kind": "exit", "after_first_s": 0.0},
            {"source": "connection", "kind": "refused", "after_first_s": 0.043},
        ],
        "incident": "I1",
    },
    "diagnose": {"diagnosis": DIAGNOSIS, "incident": "I1"},
    "store_restart": {
        "healed": True,
        "recovered": True,
        "healthy_after_s": 0.61,
        "checks": [
            {"name": "same members", "ok": True, "text": "3 members with the ids they had"},
            {"name": "throughput", "ok": None, "text": "not measured"},
        ],
    },
    "fault_heal": {"healed": True, "recovered": True},
    "timeline": {
        "clients": {"seconds_measured": 9, "seconds_with_errors": 1, "worst_p99_ms": 812.0, "fewest_ops": 211}
    },
    "incident_list": {
        "incident": {
            "id": "I1",
            "seconds_open": 2.5,
            "who_knew_when": [
                {"who": "kernel", "seconds": 0.0, "measured": True, "how": "pidfd"},
                {"who": "etcdMembersDown", "seconds": 180.0, "measured": False, "how": "by definition"},
            ],
            "diagnosis": DIAGNOSIS,
        }
    },
}


class Conversation:
    """A conversation with offline mode whose tools return what is written here."""

    def __init__(self, results: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.results = {**RESULTS, **(results or {})}
        self.messages: list[Message] = []
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.said: list[str] = []
        self.ledger = Ledger()

    async def ask(self, text: str) -> str:
        self.messages.append(Message("user", ({"type": "text", "text": text},)))
        self.demo = read_demo(text)
        for _ in range(20):
            reply = await self._reply()
            self.said.append(reply.text)
            self.messages.append(Message("assistant", reply.content))
            if reply.stop_reason == "end_turn":
                return reply.text
            self._run(reply)
        raise AssertionError("it comes to no end")

    async def _reply(self) -> Reply:
        events = [
            event async for event in OfflineModel().respond(Request("", (), self.messages, demo=self.demo))
        ]
        assert isinstance(events[-1], Reply)
        return events[-1]

    def _run(self, reply: Reply) -> None:
        assert len({call.id for call in reply.calls}) == len(reply.calls)
        blocks = []
        for call in reply.calls:
            self.calls.append((call.name, call.arguments))
            ok, text = self._result(call.name)
            block = {"type": "tool_result", "tool_use_id": call.id, "content": text}
            blocks.append(block if ok else {**block, "is_error": True})
        self.messages.append(Message("user", tuple(blocks)))

    def _result(self, name: str) -> tuple[bool, str]:
        result = self.results.get(name, {})
        ok = bool(result.get("ok", True))
        text = json.dumps({"ok": ok, **result})
        return ok, f"[{self.ledger.add(name, text).id}] {text}"

    @property
    def tools(self) -> Sequence[str]:
        return [name for name, _ in self.calls]


async def test_the_demo_goes_through_its_stages_in_order() -> None:
    conversation = Conversation()

    end = await conversation.ask("run the chaos demo")

    assert conversation.tools == [
        "cluster_status",
        "load_start",
        "store_kill",
        "wait_for_detection",
        "diagnose",
        "store_restart",
    ]
    assert conversation.calls[-1][1] == {"node": "etcd-2"}
    assert "Recovered 0.61 s after the heal (E6)" in end
    everything = " ".join(conversation.said)
    for told in ("300 operations/s", "p99 6.3 ms", "43 ms", "killed by signal 9"):
        assert told in everything


async def test_it_says_at_once_that_it_is_a_script_and_not_claude() -> None:
    conversation = Conversation()

    await conversation.ask("status")
    await conversation.ask("status")

    assert "Offline mode: a script answers, not Claude" in conversation.said[0]
    assert all("not Claude" not in said for said in conversation.said[1:])


async def test_a_cluster_that_is_not_up_is_started_first() -> None:
    conversation = Conversation({"cluster_status": {"ok": False, "error": "No cluster is running."}})

    await conversation.ask("run the chaos demo")

    assert conversation.tools[:3] == ["cluster_status", "cluster_start", "load_start"]


async def test_another_fault_is_injected_and_healed_with_the_tools_for_it() -> None:
    conversation = Conversation()

    await conversation.ask("run the chaos demo with fault pause on the leader")

    assert conversation.calls[2] == ("fault_inject", {"kind": "pause", "target": "leader"})
    assert conversation.calls[-1] == ("fault_heal", {"fault": 1})


async def test_a_cluster_that_does_not_start_ends_the_demo_before_any_harm() -> None:
    failed = {"ok": False, "error": "no etcd was found", "next": "Install it"}
    conversation = Conversation({"cluster_status": failed, "cluster_start": failed})

    end = await conversation.ask("run the chaos demo")

    assert conversation.tools == ["cluster_status", "cluster_start"]
    assert "no etcd was found" in end
    assert "Install it" in end


async def test_a_refused_kill_ends_the_demo_and_heals_nothing() -> None:
    class Refusing(Conversation):
        def _result(self, name: str) -> tuple[bool, str]:
            if name == "store_kill":
                return False, remark("refused", reason="the person said no: not today")
            return super()._result(name)

    conversation = Refusing()

    end = await conversation.ask("run the chaos demo")

    assert conversation.tools[-1] == "store_kill"
    assert "You declined store_kill; nothing ran." in end
    assert "another way" not in end  # those words are for a model


async def test_a_person_who_stops_between_two_stages_is_told_what_follows_and_nothing_more_is_tried() -> None:
    class Stopping(Conversation):
        def _result(self, name: str) -> tuple[bool, str]:
            if name == "diagnose":
                return False, remark("refused", reason=STOPPED)
            return super()._result(name)

    conversation = Stopping()

    end = await conversation.ask("run the chaos demo")

    assert conversation.tools[-1] == "diagnose"
    assert end == "You stopped the demo. What is still open is healed before the demo ends."


async def test_without_load_the_demo_goes_on_and_says_what_will_be_missing() -> None:
    conversation = Conversation(
        {"load_start": {"ok": False, "error": "no driver"}, "load_status": {"running": False}}
    )

    await conversation.ask("run the chaos demo")

    assert conversation.tools[-1] == "store_restart"
    assert any("no figures" in said for said in conversation.said)


async def test_a_load_that_runs_already_is_used() -> None:
    conversation = Conversation({"load_start": {"ok": False, "error": "A load already runs"}})

    await conversation.ask("run the chaos demo")

    assert conversation.tools[1:4] == ["load_start", "load_status", "store_kill"]
    assert not any("no figures" in said for said in conversation.said)


async def test_a_load_that_is_not_carried_is_halved_and_without_a_steady_one_nothing_is_broken() -> None:
    conversation = Conversation(
        {"load_start": {**RESULTS["load_start"], "steady": False, "rate_per_s": 300.0}}
    )

    end = await conversation.ask("run the chaos demo")

    assert conversation.tools == ["cluster_status", "load_start", *["load_stop", "load_start"] * 2]
    assert conversation.calls[3][1] == {"rate": 150.0}
    assert "It is not steady" in end
    assert "I break nothing" in end


async def test_a_fault_whose_effect_was_not_seen_is_healed_all_the_same() -> None:
    conversation = Conversation(
        {"store_kill": {"ok": False, "fault": 1, "nodes": ["etcd-2"], "node": "etcd-2", "verified": False}}
    )

    await conversation.ask("run the chaos demo")

    assert conversation.tools[-1] == "store_restart"
    assert any("its effect was not seen" in said for said in conversation.said)


@pytest.mark.parametrize("broken", ["wait_for_detection", "diagnose"])
async def test_whatever_fails_after_the_kill_the_store_is_started_again(broken: str) -> None:
    conversation = Conversation({broken: {"ok": False, "error": "a bug"}})

    await conversation.ask("run the chaos demo")

    assert conversation.tools[-1] == "store_restart"


async def test_a_detection_that_runs_out_of_time_is_told_and_the_demo_goes_on() -> None:
    conversation = Conversation({"wait_for_detection": {"detected": False}})

    await conversation.ask("run the chaos demo")

    assert any("Nothing was detected" in said for said in conversation.said)
    assert conversation.tools[-1] == "store_restart"


async def test_results_that_say_little_are_told_with_little() -> None:
    empty: dict[str, Mapping[str, Any]] = {name: {} for name in RESULTS}
    conversation = Conversation({**empty, "cluster_status": {"state": "healthy"}})

    await conversation.ask("run the chaos demo")

    assert conversation.tools[-1] in {"store_restart", "fault_heal"}
    assert "None" not in " ".join(conversation.said)


async def test_without_a_record_nothing_is_imagined() -> None:
    conversation = Conversation({"incident_list": {"incidents": []}})

    answer = await conversation.ask("why did it fail?")

    assert conversation.tools == ["incident_list"]
    assert "There is no incident in the record" in answer


async def test_what_it_talks_of_is_the_incident_of_its_own_session() -> None:
    conversation = Conversation()
    await conversation.ask("run the chaos demo")

    await conversation.ask("was anything lost?")

    assert conversation.calls[-1] == ("incident_list", {"incident": "I1"})


async def test_each_call_has_an_id_of_its_own() -> None:
    conversation = Conversation()
    await conversation.ask("run the chaos demo")
    await conversation.ask("status")

    ids = [block["id"] for message in conversation.messages for block in message.content if "id" in block]
    assert len(ids) == len(set(ids)) == 7


async def test_kill_and_restart_work_by_themselves() -> None:
    conversation = Conversation()

    await conversation.ask("kill the leader")
    await conversation.ask("restart it")

    assert conversation.calls == [("store_kill", {"target": "leader"}), ("store_restart", {"node": "etcd-2"})]
