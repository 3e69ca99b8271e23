"""What people ask after an incident, in their own words, is answered from the record; nothing acts."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from agent.models.base import Message, Reply, Request
from agent.models.offline import OfflineModel
from agent.models.offline.answers import change, clients, leader, oom, summary, what
from agent.models.offline.narration import TYPED, detection, status, tell
from agent.models.offline.questions import understand
from agent.models.offline.record import Record, Seen
from agent.models.offline.words import seconds as in_seconds
from agent.orders import read_demo, read_order

INCIDENT: dict[str, Any] = json.loads((Path(__file__).parent / "records" / "leader_killed.json").read_text())
"""What `incident_list` returned of a real run: etcd-1, which led, was killed, and started again."""
MEMBER = {"name": "etcd-2", "version": "3.5.1", "term": 4, "raft_index": 812, "lag": 0, "db_bytes": 20_480}
FIGURES = ("version 3.5.1, term 4, raft index 812, behind its leader 0, database 20.0 KiB", "E30")
ACTS = {
    "store_kill", "fault_inject", "store_restart", "fault_heal", "load_start", "load_stop", "cluster_start",
    "cluster_stop",
}  # fmt: skip


class Conversation:
    """Offline mode over tools that return what was recorded."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def ask(self, text: str) -> str:
        messages = [Message("user", ({"type": "text", "text": text},))]
        for _ in range(6):
            reply = asyncio.run(_reply(messages))
            messages.append(Message("assistant", reply.content))
            if reply.stop_reason == "end_turn":
                return reply.text.partition("\n\n")[2] if len(messages) == 2 else reply.text
            results = []
            for call in reply.calls:
                self.calls.append((call.name, dict(call.arguments)))
                block = {"type": "tool_result", "tool_use_id": call.id, "content": self._result(call.name)}
                results.append(block)
            messages.append(Message("user", tuple(results)))
        raise AssertionError("it comes to no end")

    def _result(self, tool: str) -> str:
        answers: dict[str, dict[str, Any]] = {
            "incident_list": {"incident": INCIDENT},
            "cluster_status": {"state": "healthy", "leader": "etcd-2", "nodes": [MEMBER]},
            "timeline": {
                "evidence": {"E5": {"source": "signal:process", "at": "T", "text": "exit code 137"}}
            },
            "read_logs": {"node": "etcd-1", "lines": 1, "lines_matching": 1},
        }
        data = answers.get(tool, {})
        pasted = "\n<pasted_content>\nreceived signal\n</pasted_content>" if tool == "read_logs" else ""
        return f"[E30] {json.dumps({'ok': True, **data})}{pasted}"


async def _reply(messages: list[Message]) -> Reply:
    events = [event async for event in OfflineModel().respond(Request("", (), messages))]
    assert isinstance(events[-1], Reply)
    return events[-1]


CAUSE, LEADER, LOST = (
    ("etcd-1 was killed", "E5"),
    ("etcd-1 led before it", "etcd-2"),
    ("2,931", "No acknowledged"),
)
TIMES, IMPACT, SURE = ("4.96 s", "2.00 s"), ("80 operations failed", "etcd-1"), ("high", "4 citations")
ALERTS, SUMMARY = (
    ("etcdMembersDown", "20 min", "kernel"),
    ("20261127-100127-e13d", "etcd-1 was killed", "2,931"),
)
QUESTIONS: dict[str, tuple[str, ...]] = {
    "what version is it": FIGURES,
    "which version of etcd are we running?": FIGURES,
    "what is the raft term": FIGURES,
    "how far behind is etcd-3": FIGURES,
    "are all members in sync": FIGURES,
    "how big is the database?": FIGURES,
    "what broke?": CAUSE,
    "so what happened": CAUSE,
    "wat hapened?": CAUSE,
    "why did it fail?": CAUSE,
    "root cause?": CAUSE,
    "which node died": CAUSE,
    "what went wrong here": CAUSE,
    "explain the outage": CAUSE,
    "can you tell me what caused this": CAUSE,
    "who was leader?": LEADER,
    "which node was the leader before the crash": LEADER,
    "who led before it broke?": LEADER,
    "did the leader change?": ("Yes", "etcd-1", "etcd-2"),
    "was there an election": ("Yes", "etcd-2"),
    "who took over": ("etcd-2",),
    "did leadership move to another node?": ("Yes", "etcd-2"),
    "was anything lost?": LOST,
    "did we lose any writes": LOST,
    "any data loss?": LOST,
    "is my data safe": LOST,
    "are all acknowleged writes still there?": LOST,
    "how long did it take?": TIMES,
    "how long was the outage": TIMES,
    "how long were clients affected?": TIMES,
    "what was the mttr": TIMES,
    "when did it recover?": TIMES,
    "how fast did you detect it": TIMES,
    "downtime?": TIMES,
    "was it the OOM killer?": ("operator sent SIGKILL itself",),
    "could this be out of memory": ("operator sent SIGKILL itself",),
    "what does E5 say?": ("exit code 137",),
    "show me e5": ("exit code 137",),
    "how sure are you?": SURE,
    "do you trust your diagnosis?": SURE,
    "are you certain": SURE,
    "how confident r u in that": SURE,
    "could you be wrong?": SURE,
    "how do you know?": ("E4", "connection of etcd-1: reset"),
    "whats the evidence": ("E17", "lost_by_all"),
    "prove it": ("E5", "exit code 137"),
    "what else could it be?": ("partition", "disk full"),
    "could it have been the network?": ("partition",),
    "what did you rule out": ("pause", "disk full"),
    "what was the blast radius?": IMPACT,
    "how many requests failed?": IMPACT,
    "how bad was it": IMPACT,
    "who was affected": IMPACT,
    "what would have told me?": ALERTS,
    "how would i have noticed": ALERTS,
    "would prometheus have alerted?": ALERTS,
    "what should I change?": ("Start etcd-1 again",),
    "how do we prevent this next time": ("Find out who or what ended the process",),
    "any action items?": ("Find out who",),
    "why did writes stall?": ("817.1 ms", "until another is elected"),
    "why was latency so high": ("817.1 ms",),
    "did throughput drop?": ("286 operations/s",),
    "a summary for Slack": SUMMARY,
    "sumarize this for the ticket": SUMMARY,
    "tl;dr": SUMMARY,
    "give me a short recap": SUMMARY,
    "what did you predict?": ("at most 4 s", "etcd-1 → etcd-2"),
    "was it you?": ("operator itself injected it", "kill"),
    "did it recover": ("recovered", "started again"),
    "is everything healthy now?": ("healthy", "etcd-2"),
    "show me the logs of the dead node around the crash": ("etcd-1's log", "received signal"),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_with_figures_and_ids(question: str) -> None:
    """By what one or two reading calls return, which a model has for its answer, too."""
    talk = Conversation()

    answer = talk.ask(question)

    for expected in QUESTIONS[question]:
        assert expected in answer
    assert "E30" in answer
    assert 1 <= len(talk.calls) <= 2
    assert {name for name, _ in talk.calls} & ACTS == set()


NAMED = {
    "what": (
        "which member had the problem?",
        "exit code?",
        "what signal killed it",
        "what actually went down", "waht broke", "ok what just happend", "what was that all about",
        "who died", "why is etcd-1 dead", "is kill the root cause", "pause or kill?",
        "was it a partition or a crash", "name the root cause", "start with the root cause",
        "which node was kaputt", "rca", "RCA please", "did etcd-1 crash?", "what broke\uff1f",
        "what\u2019s wrong\u2026",
    ),
    "injected": (
        "what have you done so far",
        "what did you do to the cluster",
        "was it our fault", "who killed etcd-1?", "did you kill it or was it real?",
        "was the kill intentional", "what fault was it?", "was kill -9 used", "kill of which node was it",
    ),
    "elected": (
        "how many leader elections happened",
        "how come the leader moved", "how often did the leader change",
        "did killing the leader trigger an election", "show me how the leader moved",
    ),
    "leader": (
        "was it the leader that died?", "was it a follower", "was etcd-1 the leader when it died",
        "what role did it have",
        "leader before?", "tell me who the leader was",
    ),
    "quorum": (
        "was quorum lost?", "did we keep quorum", "did we lose the majority?",
    ),
    "lost": (
        "did the kill lose data", "is the data still all there", "what have we lost", "writes lost",
        "did any acked write vanish", "which writes are indeterminate?", "prove that no write was lost",
        "check if any data was lost",
    ),
    "consistent": ("is the data consistent?", "is it linearizable", "were there stale reads?"),
    "duration": (
        "time between kill and detection",
        "when did you heal it",
        "how quick was recovery",
        "how long was there no leader",
        "when did clients recover",
        "since when is the node dead", "how long has it dauert", "when exactly", "detection time",
        "heal time?", "time to recovery", "recover time", "restart of etcd-1, how long did it take",
    ),
    "blast": (
        "was the cluster available the whole time?",
        "could clients still read during the outage?",
        "did reads fail too", "did clients notice?",
        "success rate",
        "what did clients see",
        "how severe is it",
        "how many failed requests in total",
        "how many requests timed out",
        "was bad or harmless?", "how much errors were there", "errors?", "impact on clients",
        "describe the impact",
    ),
    "stall": (
        "why is p99 700 ms",
        "p99 before and after?",
        "what is the baseline",
        "how many ops per second did we do",
        "what was the worst latency",
        "p99?", "what was p99 during the fault", "longest stall", "p99 during",
        "explain why clients saw errors", "why users saw timeouts",
    ),
    "predicted": (
        "did it go as you expected",
        "compare prediction and outcome", "tell me if the kill was predicted",
    ),
    "sure": (
        "is the diagnosis verified", "what would prove you wrong",
        "did claude diagnose this",
        "who made the diagnosis",
        "how sure are you yourself", "confidence", "stop guessing, what do you know for sure",
    ),
    "alternatives": (
        "why not a pause", "was it killed?", "was it a pause?", "was there packet loss",
        "was the disk full?",
        "is it the disk?",
        "how do you know it was not a partition",
        "what evidence contradicts it",
        "why do you rule out the network",
        "could that also the network have been", "other causes",
        "list everything that was ruled out",
    ),
    "alerts": (
        "what was the first sign of trouble?",
        "which signal came first",
        "what tipped you off?",
        "how come nobody paged me",
        "how long did the kill take to be noticed", "who has it noticed first",
        "how did you detect it", "who detected it first", "is there a missing alert",
    ),
    "change": (
        "do i need to do anything?", "what's next", "next steps", "show what you would change",
        "fix suggestions", "what should i do now",
        "which node should i check first",
    ),
    "recovered": (
        "is the incident closed?",
        "what is the status of the incident",
        "did you undo the fault",
        "undo done?", "did the node come back healthy", "is it over?",
    ),
    "order": (
        "timeline pls", "give me the timeline", "run me through the timeline", "what happened after the kill",
    ),
    "summary": (
        "write the executive summary", "write me a slack update",
        "bullet points please",
        "what do I tell my manager",
        "please give me a summary for my boss", "for slack", "postmortem",
    ),
    "evidence": (
        "explain E5 and E4",
        "E5", "and E9?", "quote E5",
    ),
    "status": (
        "is anything still broken", "leader?", "is etcd-2 down", "is etcd-2 the leader?",
        "anything broken rn?", "is all again ok", "what is with the cluster?", "leader now?",
        "is etcd-3 ok", "how many nodes are up", "which node is the leader", "do we have quorum",
    ),
    "load": (
        "what is the error rate now", "is the load still running",
    ),
    "report": (
        "show me the report", "where can i find the report",
    ),
    "incidents": (
        "what is the incident id",
        "what happened yesterday?", "how many incidents this week",
    ),
    "open_faults": (
        "are there open faults", "what faults are open",
    ),
}  # fmt: skip
"""What people mean, and how some of them word it: half sentences, typos, orders that are questions."""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("what broke, who led, and was anything lost?", ("what", "leader", "lost")),
        ("what broke? was anything lost? who's leader?", ("what", "lost", "status")),
        ("who led, what broke, how long was it down", ("leader", "what", "duration")),
        ("what broke. who led", ("what", "leader")),
    ],
)
def test_each_question_of_several_is_answered(text: str, names: tuple[str, ...]) -> None:
    assert understand(text) == names


@pytest.mark.parametrize("text", ["what happened to etcd-3?", "why did etcd-3 die", "was etcd-3 oom-killed?"])
def test_a_node_that_the_incident_is_not_about_is_not_told_of_another_as_if_it_were_its_own(
    text: str,
) -> None:
    answer = Conversation().ask(text)

    assert answer.startswith("etcd-3 is not among this incident's nodes (etcd-1).")
    assert "not among" not in Conversation().ask(text.replace("etcd-3", "etcd-1"))


def test_what_else_it_could_be_begins_with_what_it_was() -> None:
    """`Was it a partition?` after one must not be answered by what was ruled out alone."""
    assert Conversation().ask("was it a pause?").startswith("Diagnosed (high confidence): etcd-1 was killed")


def test_advice_from_before_the_recovery_is_not_told_as_what_is_to_be_done_now() -> None:
    assert change(INCIDENT).startswith("The incident is recovered; when it was diagnosed, this was advised:")
    assert "- Next:" not in summary(INCIDENT)
    assert change({**INCIDENT, "state": "open", "seconds_open": None}).startswith("- Start etcd-1 again")


def test_who_led_all_the_time_is_said_once() -> None:
    led = dict.fromkeys(("before", "under_fault", "now"), "etcd-3")

    assert leader({"leader": led}) == "etcd-3 led throughout: before it, under the fault and at the end."
    assert "no node when the healing began" in leader({"leader": {**led, "under_fault": None}})


def test_a_healthy_cluster_with_an_open_incident_is_told_with_it() -> None:
    told = status({"state": "healthy", "open_incidents": [{"id": "I1", "text": "clients see errors"}]})

    assert told == "The cluster is healthy. Incident I1 is open: clients see errors."


def test_no_load_is_said_only_of_what_is_known() -> None:
    seen = {"source": "client", "seconds": 0.8, "text": "p99 2300 ms in 1.0 s"}
    unmeasured = {**INCIDENT, "load": None, "timeline": [seen, seen, seen, seen]}

    assert "p99 2300 ms" in clients(unmeasured)
    assert "1 more signal" in clients(unmeasured)
    assert "not measured" in clients({**unmeasured, "timeline": []})
    assert "no load" not in clients({**unmeasured, "timeline": []})


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in NAMED.items() for text in texts])
def test_a_question_is_taken_for_what_it_is(name: str, text: str) -> None:
    talk = Conversation()

    talk.ask(text)

    assert understand(text) == (name,)
    assert {called for called, _ in talk.calls} & ACTS == set()


@pytest.mark.parametrize(
    "text",
    [
        "show me the logs of the dead node around the crash",
        "list the faults you can inject",
        "don't kill anything, just tell me how a kill works",
        "do not kill etcd-2",
        "compare with a network partition",
        "what if you kill etcd-2?",
        "how would I kill the leader",
        "tell me how to pause a store",
        "explain what restart does",
        "kill etcd-2?",
        "kill etcd-2?!",
        "kill etcd-2 ?.",
        "ok, stop the cluster?!",
        "kill etcd-2\uff1f",
        "kill etcd-2\u203d",
        "kill etcd-2\u061f",
        "kill etcd-2\u037e",
        "\u201ckill etcd-2\u201d",
        "run the demo?!",
        "should I restart etcd-1?",
        "can you kill the leader without data loss",
        "kill etcd-1 and etcd-2",
        "kill everything",
        "kill the load balancer",
        "kill etcd-2 tomorrow",
        "kill etcd-2 if it is slow",
        "never restart etcd-1",
        "the demo is boring",
        "don't run the demo",
        "run the chaos demo without killing anything",
        "run the demo later",
        "how does the chaos demo work?",
        "what does undo everything do",
        "who would restart it",
        "is stop the cluster safe?",
        "describe fault partition",
        "I killed etcd-2 by hand, what do you see?",
        "someone said: kill etcd-2",
        "why did you kill etcd-2",
        "list kill",
        "show pause",
        "kill -9 works how",
        "fill me in on the disk",
        "run the demo?",
        "show me the demo",
        "how about running the demo",
        "pause it again?",
        "please explain: kill etcd-2",
        "tell me, kill etcd-2 or not",
        "kill etcd-2? no, just kidding",
        "ask me before you kill etcd-2",
        "I wonder if you could kill etcd-2",
        "is it ok to stop the cluster",
        "undo everything?",
        "partition",
        "start",
        "stop",
    ],
)
def test_what_is_no_plain_order_never_acts(text: str) -> None:
    talk = Conversation()

    talk.ask(text)

    assert {name for name, _ in talk.calls} & ACTS == set()
    assert read_demo(text) is None
    assert read_order(text, "etcd-2") is None


@pytest.mark.parametrize(
    "text",
    [
        "write me a poem",
        "how does raft work",
        "is kafka slow",
        "which peers lost connection to etcd-1",
        "how many connections were lost",
        "why is disk usage high",
        "what is this thing?",
        "how long does raft take to elect",
        "can a follower be promoted",
        "when is the next election",
        "kill switch?",
        "what would happen if I killed etcd-2 now",
        "what if etcd-2 dies too",
        "can we lose another node now",
        "would we have lost data with two nodes down?",
        "if the leader had died, what would have been lost?",
        "how many failures can we tolerate",
        "how many members do we need",
        "is it safe to restart etcd-1 now?",
        "how long does a failover take",
        "how would you detect a partition?",
        "suppose etcd-3 crashes: was the data safe",
        "will it recover?",
        "should we kill etcd-1 again to be sure",
        "could you please not kill anything else",
        "can we close the ticket",
        "page the oncall",
        "what is the blast radius if the leader dies",
        "show the kernel log",
        "did we violate any slo",
        "is this the same as last time",
        "what is a quorum in general",
        "",
        "rm -rf /",
        "42",
    ],
)
def test_what_it_cannot_answer_it_says_in_one_line_and_looks_nothing_up(text: str) -> None:
    talk = Conversation()

    answer = talk.ask(text)

    assert talk.calls == []
    assert "ANTHROPIC_API_KEY" in answer
    assert "\n" not in answer


def test_a_signal_that_three_nodes_gave_is_told_once() -> None:
    signals = [{"source": "process", "kind": "stopped"}] + [
        {"source": "connection", "kind": "silent", "node": f"etcd-{n}", "after_first_s": 0.45}
        for n in (1, 2, 3)
    ]

    said = detection({"detected": True, "text": "etcd-1 is frozen", "signals": signals})

    assert (
        said
        == "Detected: etcd-1 is frozen. First signal: process stopped. Then connection silent 0.45 s later."
    )


def test_after_a_later_fault_the_last_incident_is_talked_of() -> None:
    def seen(tool: str, incident: str) -> Seen:
        return Seen(tool, {}, ok=True, data={"incident": incident}, evidence="E1", text="")

    diagnosed = seen("diagnose", "I1")

    assert Record(seen=[diagnosed]).incident == "I1"
    assert Record(seen=[diagnosed, seen("store_kill", "")]).incident == "last"


def test_the_oom_killer_is_asked_of_the_diagnosis_where_no_process_ended() -> None:
    frozen = {"diagnosis": {"kind": "pause", "nodes": ["etcd-2"]}, "nodes": ["etcd-2"]}

    assert oom(frozen) == "Nothing says so: the diagnosis is pause of etcd-2, and no process ended."
    assert "journalctl" in oom({"nodes": ["etcd-2"]})


def test_what_broke_names_the_fault_also_where_nobody_diagnosed_it() -> None:
    by_hand = {
        "text": "etcd-2 is frozen",
        "injected": {"kind": "pause", "nodes": ["etcd-2"], "effect": "silent"},
    }

    assert what(by_hand) == ("etcd-2 is frozen. operator itself injected it: pause of etcd-2; seen: silent.")
    assert "diagnose" in what({"text": "etcd-2 is frozen"})


@pytest.mark.parametrize("tool", TYPED)
def test_advice_names_what_a_person_can_type_here(tool: str) -> None:
    failed = Seen(
        "store_kill", {}, ok=False, data={"error": "No.", "next": f"Try `{tool}`."}, evidence="E1", text=""
    )
    typed = TYPED[tool].strip("`").replace("NODE", "etcd-1")

    assert tell(failed) == f"store_kill did not work: No (E1). Try {TYPED[tool]}."
    assert Conversation().ask(typed)
    assert read_order(typed) or understand(typed) or tool in {"cluster_status", "read_logs", "incident_list"}


@pytest.mark.parametrize(
    ("span", "words"),
    [(0.04, "40 ms"), (5, "5.00 s"), (1_200, "20 min"), (61_200, "17 h"), (5_000_000, "1,388.9 h")],
)
def test_a_span_is_told_without_powers_of_ten(span: float, words: str) -> None:
    assert in_seconds(span) == words
