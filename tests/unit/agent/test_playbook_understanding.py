"""The playbook takes a request for what it is, and for nothing when it is something else."""

import pytest

from agent.models.playbook.intents import Intent, understand
from agent.models.playbook.settings import Settings, settings


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("run the chaos demo", Intent.DEMO),
        ("Run the chaos demo.", Intent.DEMO),
        ("please run the chaos demo with fault pause on the leader", Intent.DEMO),
        ("can you run the demo?", Intent.DEMO),
        ("status", Intent.STATUS),
        ("is it healthy now?", Intent.STATUS),
        ("Is it healthy now", Intent.STATUS),
        ("start load", Intent.LOAD_START),
        ("start the load with workload B", Intent.LOAD_START),
        ("stop the load", Intent.LOAD_STOP),
        ("start the cluster", Intent.CLUSTER_START),
        ("stop the cluster", Intent.CLUSTER_STOP),
        ("kill a store", Intent.KILL),
        ("kill the leader", Intent.KILL),
        ("pause etcd-2", Intent.INJECT),
        ("inject a partition on etcd-1", Intent.INJECT),
        ("restart it", Intent.HEAL),
        ("start it again", Intent.HEAL),
        ("bring etcd-2 back", Intent.HEAL),
        ("why did it fail?", Intent.WHY),
        ("what happened", Intent.WHY),
        ("which store?", Intent.WHY),
        ("why did writes stall?", Intent.STALL),
        ("how do you know?", Intent.HOW_KNOWN),
        ("what else could it have been?", Intent.ELSE),
        ("was anything lost?", Intent.LOST),
        ("what was lost?", Intent.LOST),
        ("how long were clients affected?", Intent.AFFECTED),
        ("how would I have noticed?", Intent.NOTICED),
        ("what should I change?", Intent.CHANGE),
        ("help", Intent.HELP),
        ("what can you do?", Intent.HELP),
    ],
)
def test_each_request_of_the_issue_is_understood(text: str, meant: Intent) -> None:
    assert understand(text) == (meant,)


def test_two_questions_in_one_are_both_heard_in_the_order_of_their_answers() -> None:
    assert understand("which store, and how do you know?") == (Intent.WHY, Intent.HOW_KNOWN)


@pytest.mark.parametrize("text", ["", "   ", "tell me a joke", "bonjour", "rm -rf /", "is water wet?"])
def test_what_has_no_pattern_is_not_understood(text: str) -> None:
    assert understand(text) == ()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("run the chaos demo", Settings()),
        ("run the chaos demo with fault pause on the leader", Settings(fault="pause", target="leader")),
        ("kill etcd-2", Settings(target="etcd-2")),
        ("run the demo, fault: partition, target follower", Settings(fault="partition", target="follower")),
        ("demo with workload b at 500 operations/s", Settings(workload="B", rate=500.0)),
        ("run the chaos demo; wait up to 30 s for detection", Settings(timeout_s=30.0)),
    ],
)
def test_particulars_are_read_from_the_request(text: str, meant: Settings) -> None:
    assert settings(text) == meant
