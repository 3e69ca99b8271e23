"""What works on Kubernetes: the context, what the account may do, which faults there are and how."""

from typing import TYPE_CHECKING

from agent.commands.command import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.setup import Setup
    from agent.view.base import View
    from subjects.runtimes.kubernetes.api import Api
    from subjects.runtimes.kubernetes.rights import Rule

Row = tuple[str, str, str]


async def kubernetes(setup: "Setup", view: "View") -> Result:
    """Show it; nothing is made or changed."""
    from dataclasses import replace

    from agent.commands.doctor import fault_rows
    from agent.events import Verbatim
    from agent.setup import allowed_contexts
    from subjects.runtimes.kubernetes import rights
    from subjects.runtimes.kubernetes.api import connect
    from tools.events import Table

    options = replace(setup.choice.kubernetes, allowed=allowed_contexts(setup.choice))
    api = await connect(options.context)
    try:
        namespace = options.namespace or api.namespace
        rows = [await _context(api, options.allowed)]
        watch = await _rights(api, rights.WATCH, namespace, f"watch pods in {namespace}")
        own = [
            *await _rights(api, rights.OWN_CLUSTER, None, "a cluster of its own"),
            *await _rights(api, rights.OWN, None, "a cluster of its own"),
        ]
    finally:
        await api.aclose()
    view.show(Table("Kubernetes", ("what", "state", "what was found, or the remedy"), (*rows, *watch, *own)))
    roles = rights.role(rights.WATCH, namespace), rights.role((*rights.OWN_CLUSTER, *rights.OWN), None)
    view.show(Verbatim(f"The least that watching takes, for `kubectl apply -f -`:\n\n{roles[0]}"))
    view.show(Verbatim(f"The least that a cluster of operator's own takes:\n\n{roles[1]}"))
    faults = await fault_rows(setup, "kubernetes", options)
    view.show(Table("Faults on etcd × kubernetes", ("fault", "works", "how, or why not"), tuple(faults)))
    keys = ("name", "state", "text")
    return {
        "ok": all(row[1] != "denied" for row in watch),
        "checks": [dict(zip(keys, row, strict=True)) for row in (*rows, *watch, *own)],
        "faults": [dict(zip(("fault", "state", "text"), row, strict=True)) for row in faults],
        "roles": list(roles),
    }


async def _context(api: "Api", allowed: "Sequence[str]") -> Row:
    from subjects.runtimes.kubernetes.context import is_throwaway

    said = await api.get("/version")
    where = f"{api.context} ({api.server}), Kubernetes {said.get('gitVersion')}, namespace {api.namespace}"
    if is_throwaway(api.context) or api.context in allowed:
        return "context", "ok", where
    return (
        "context",
        "read-only",
        f"{where}; for a cluster of operator's own in it, give --allow-context {api.context}",
    )


async def _rights(api: "Api", rules: "Sequence[Rule]", namespace: str | None, what: str) -> list[Row]:
    from subjects.runtimes.kubernetes import rights

    found = []
    for rule, denied in await rights.missing(api, rules, namespace):
        text = f"{', '.join(rule.verbs)}: {rule.why}"
        if denied:
            text = f"the account may not {', '.join(denied)}: {rule.why}"
        state = "ok" if not denied else "optional" if rule.optional else "denied"
        found.append((f"{what}: {rule.resource}", state, text))
    return found
