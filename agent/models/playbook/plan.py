"""From a request to the next step: one command, or all the questions in it."""

from collections.abc import Callable, Mapping
from typing import Any

from agent.models.playbook import demo
from agent.models.playbook.answers import ANSWERS
from agent.models.playbook.facts import HEALS, Facts
from agent.models.playbook.intents import Intent, understand
from agent.models.playbook.narration import tell
from agent.models.playbook.record import Record
from agent.models.playbook.settings import given, settings
from agent.models.playbook.step import Step
from agent.models.playbook.words import joined

HELP = """I understand:

- `run the chaos demo` (also: `with fault pause on the leader`)
- `status`, `is it healthy now?`
- `start the cluster`, `start load`, `stop the load`, `stop the cluster`
- `kill a store`, `pause etcd-2`, `restart it`
- `why did it fail?`, `how do you know?`, `what else could it have been?`
- `why did writes stall?`, `was anything lost?`, `how long were clients affected?`
- `how would I have noticed?`, `what should I change?`

For anything else a model is needed: set ANTHROPIC_API_KEY and start without `--offline`."""

UNKNOWN = (
    "I am a script and have no answer to that; I will not guess. `help` lists what I understand, and with "
    "a key (ANTHROPIC_API_KEY) Claude answers instead of me."
)


def plan(record: Record) -> Step:
    """Return the next step for the latest request."""
    if record.demo is not None:
        return demo.next_step(record, record.demo)
    intents = understand(record.request)
    if not intents:
        return Step(UNKNOWN)
    task = _TASKS.get(intents[0])
    return task(record) if task else _answer(intents, Facts(record))


def _answer(intents: tuple[Intent, ...], facts: Facts) -> Step:
    told = []
    for intent in intents:
        answer = ANSWERS[intent](facts) if intent in ANSWERS else _TASKS[intent](facts.record)
        if isinstance(answer, Step):
            if answer.tool is not None:
                return answer
            answer = answer.say
        told.append(answer)
    return Step("\n\n".join(told))


def _once(say: str, tool: str, **arguments: Any) -> Callable[[Record], Step]:
    """Call one tool, then tell what it returned."""

    def step(record: Record) -> Step:
        done = record.tried(tool)
        return Step(say, tool, given(**arguments)) if done is None else Step(tell(done))

    return step


def _load_start(record: Record) -> Step:
    wanted = settings(record.request)
    return _once("I start the load.", "load_start", workload=wanted.workload, rate=wanted.rate)(record)


def _kill(record: Record) -> Step:
    node = settings(record.request).target
    done = record.tried("store_kill")
    if done is None:
        named = {None: "a store", "random": "a store", "leader": "the leader", "follower": "a follower"}
        return Step(f"I kill {named.get(node, node)}.", "store_kill", given(target=node))
    again = "Say `restart it` to bring it back." if done.ok else ""
    return Step(joined(tell(done), again))


def _inject(record: Record) -> Step:
    wanted = settings(record.request)
    if wanted.kills:
        return _kill(record)
    return _once(
        f"I inject the fault {wanted.fault}.", "fault_inject", kind=wanted.fault, target=wanted.target
    )(record)


def _heal(record: Record) -> Step:
    done = record.tried(*HEALS)
    if done is not None:
        return Step(tell(done))
    injected = Facts(record).fault
    node = settings(record.request).target
    if injected is not None and injected.tool == "fault_inject" and node is None:
        return Step("I undo the fault.", "fault_heal", given(fault=injected.data.get("fault")))
    known = injected.data.get("node") if injected else None
    return Step("I start it again.", "store_restart", given(node=node or known))


def _no_demo(_record: Record) -> Step:
    return Step("Say `run the chaos demo`, in a mode that lets tools act: /mode ask.")


def _help(_record: Record) -> Step:
    return Step(HELP)


_TASKS: Mapping[Intent, Callable[[Record], Step]] = {
    Intent.DEMO: _no_demo,
    Intent.STATUS: _once("I look.", "cluster_status"),
    Intent.CLUSTER_START: _once("I start the cluster.", "cluster_start"),
    Intent.CLUSTER_STOP: _once("I stop the cluster.", "cluster_stop"),
    Intent.LOAD_START: _load_start,
    Intent.LOAD_STOP: _once("I stop the load and read back what was acknowledged.", "load_stop"),
    Intent.LOAD_STATUS: _once("I look at the load.", "load_status"),
    Intent.KILL: _kill,
    Intent.INJECT: _inject,
    Intent.HEAL: _heal,
    Intent.WAIT: _once("I wait for the monitor.", "wait_for_detection"),
    Intent.INCIDENTS: _once("I look in the record of incidents.", "incident_list"),
    Intent.HELP: _help,
}
