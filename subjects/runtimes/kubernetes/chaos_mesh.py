"""Chaos Mesh, where it is installed, for what the agents in the pods cannot do: delays, limits, one-way cuts.

Each rule is a NetworkChaos in the cluster's own namespace, with a `duration`: Chaos Mesh undoes it then, if
nobody has deleted it before. The rule as it was asked for is in an annotation, so that any process finds it.
"""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import asdict

from subjects.base import Capability, Direction, LinkRule, Scope
from subjects.base.control import cannot
from subjects.errors import NotReady, Unsupported
from subjects.runtimes.kubernetes.api import Api, Denied, Json, NoSuch
from subjects.runtimes.kubernetes.manifest import MANAGED, PROBE
from subjects.runtimes.network.rules import rule_from_json

GROUP = "/apis/chaos-mesh.org/v1alpha1"
RULE = "chaos-operator/rule"
"""The annotation that holds a LinkRule as JSON."""
LEAST = (2, 8, 3)
"""Older ones do not undo what they did to a container that was restarted since (chaos-mesh #4829)."""
INJECT_S = 10.0
"""For a fault to be in force; 1.1 s were measured."""
UNDO_S = 10.0
"""For a fault to be undone; 0.3 s were measured."""
QUEUED_BYTES, BURST_BYTES = 100_000, 3_200
"""tbf: what may wait for its turn, and what goes at once: two packets."""
POD_CONNECTIONS = 16
"""A rate is meant for each connection, and Chaos Mesh's is of all that leaves the pod: as if of so many."""
TRIAL_S = 60
_CONTROLLER = "app.kubernetes.io/name=chaos-mesh,app.kubernetes.io/component=controller-manager"
_LOOK_S = 0.1


class ChaosMesh:
    """What Chaos Mesh can do to the pods of one namespace, and does."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.capability = cannot("whether Chaos Mesh is there was not asked yet")
        self._api = api
        self._namespace = namespace
        self._path = f"{GROUP}/namespaces/{namespace}/networkchaos"
        self._installed = False
        """Whether its kinds are: what it did stays to be undone where it does not run any more."""
        self._delays = False
        """Whether a packet was delayed already, so that the node's kernel can do that."""

    async def find(self) -> None:
        """Find out whether it is installed and runs, and which version it is."""
        why = await self._missing()
        self.capability = Capability(available=not why, reason=why or "by Chaos Mesh (NetworkChaos)")

    async def rules(self) -> tuple[LinkRule, ...]:
        """Return what is in force, or not undone yet, whichever process asked for it."""
        return tuple(rule for rule, over in (await self._found()).values() if not over)

    async def new(self, rules: Sequence[LinkRule]) -> list[LinkRule]:
        """Return the rules that are not in force yet; Unsupported for one that can't be put there."""
        kept = await self.rules()
        asked = [rule for rule in rules if rule not in kept]
        for rule in asked:
            _check(rule)
            if not self.capability.available:
                raise Unsupported(f"{rule.effect} cannot be done here: {self.capability.reason}.")
        return asked

    async def end_all_but(self, rules: Sequence[LinkRule]) -> None:
        """Undo what is in force beside these. NotReady, after all was tried, for what is not undone."""
        present = await self._found()
        ending = [name for name, (rule, over) in present.items() if over or rule not in rules]
        ended = await asyncio.gather(*map(self._delete, ending), return_exceptions=True)
        for failed in ended:
            if failed is not None:
                raise failed

    async def put(self, rule: LinkRule, others: Sequence[str], ttl_s: int) -> None:
        """Put one in force; `others` are the other members. NotReady, and it is undone, where it is not."""
        if rule.effect == "delay" and not self._delays:
            await self._try_delay()
        name = f"operator-{rule.node}-{rule.effect}-"
        spec = _spec(rule, self._namespace, others, ttl_s)
        made = await self._create(
            {"generateName": name, "annotations": {RULE: json.dumps(asdict(rule))}}, spec
        )
        if why := await self._not_injected(made):
            with contextlib.suppress(NotReady):
                await self._delete(made)
            raise NotReady(f"Chaos Mesh did not put the {rule.effect} on {rule.node} in force: {why}.")

    async def _missing(self) -> str:
        try:
            await self._api.get(GROUP)
        except NoSuch:
            self._installed = False
            return "it takes Chaos Mesh, which is not installed"
        self._installed = True
        try:
            found = await self._api.get("/apis/apps/v1/deployments", [("labelSelector", _CONTROLLER)])
        except Denied:
            return ""  # what is there is found out when it is used
        with self._api.reading("deployments", found):
            running = [each for each in found["items"] if (each.get("status") or {}).get("readyReplicas")]
            if not running:
                return "Chaos Mesh's kinds are installed, and no controller of it runs"
            image = running[0]["spec"]["template"]["spec"]["containers"][0]["image"]
        version = re.search(r":v?(\d+)\.(\d+)\.(\d+)", image)
        if version and tuple(map(int, version.groups())) < LEAST:
            least = ".".join(map(str, LEAST))
            return f"it takes Chaos Mesh: {least} or newer is needed, this is {version[0].lstrip(':v')}"
        return ""

    async def _found(self) -> dict[str, tuple[LinkRule, bool]]:
        """Return our rules by their objects' names, and whether each was undone because its time was over."""
        if not self._installed:
            return {}
        found = await self._api.get(self._path, [("labelSelector", _selector())])
        with self._api.reading(f"GET {self._path}", found):
            return {
                each["metadata"]["name"]: (rule_from_json(json.loads(note)), _is_over(each))
                for each in found["items"]
                if (note := (each["metadata"].get("annotations") or {}).get(RULE)) is not None
            }

    async def _try_delay(self) -> None:
        """Delay the probe pod's packets by 1 ms: where no kernel can, no member is left with what failed.

        Without sch_netem such an object never takes effect and never ends, and spoils later ones on its pod.
        """
        spec = _spec(LinkRule(PROBE, "delay", 1.0), self._namespace, (), TRIAL_S)
        trial = await self._create({"generateName": "operator-trial-"}, spec)
        why = await self._not_injected(trial)
        try:
            await self._delete(trial)
        except NotReady:
            if not why:
                raise
            # Nothing was done, and nobody will ever say that it is undone: the mark that waits for that goes.
            body: Json = {"metadata": {"finalizers": []}}
            await self._api.call(
                "PATCH", f"{self._path}/{trial}", body=body, content="application/merge-patch+json"
            )
        if why:
            raise Unsupported(
                f"Chaos Mesh cannot delay packets here (tried on the probe pod; no member was touched): "
                f"{why}."
            )
        self._delays = True

    async def _create(self, metadata: Json, spec: Json) -> str:
        """Make a NetworkChaos; returns its name."""
        body = {
            "apiVersion": "chaos-mesh.org/v1alpha1",
            "kind": "NetworkChaos",
            "metadata": {"labels": dict(MANAGED), **metadata},
            "spec": spec,
        }
        made = await self._api.call("POST", self._path, body=body)
        with self._api.reading(f"POST {self._path}", made):
            return str(made["metadata"]["name"])

    async def _not_injected(self, name: str) -> str:
        """Wait until it is in force; return why it is not, empty where it is."""
        deadline = time.monotonic() + INJECT_S
        while True:
            status = (await self._api.get(f"{self._path}/{name}")).get("status") or {}
            if _condition(status, "AllInjected"):
                return ""
            if time.monotonic() > deadline:
                return _trouble(status) or f"its controller says nothing for {INJECT_S:g} s"
            await asyncio.sleep(_LOOK_S)

    async def _delete(self, name: str) -> None:
        """Delete it and wait until Chaos Mesh has let it go; NotReady, with what to do, where it does not."""
        path = f"{self._path}/{name}"
        deadline = time.monotonic() + UNDO_S
        status: Json = {}
        with contextlib.suppress(NoSuch):
            await self._api.call("DELETE", path)
            while time.monotonic() < deadline:
                status = (await self._api.get(path)).get("status") or {}
                await asyncio.sleep(_LOOK_S)
            raise NotReady(
                f"Chaos Mesh has not undone {name} within {UNDO_S:g} s: "
                f"{_trouble(status) or 'its controller does not act'}. See that its controller and daemon "
                "run; if that does not help, `kubectl delete pod` gives the member another network."
            )


def _check(rule: LinkRule) -> None:
    if rule.effect not in ("cut", "delay", "rate"):
        raise Unsupported(f"{rule.effect} is nothing that Chaos Mesh does.")
    if rule.scope is Scope.CLIENTS:
        raise Unsupported("Chaos Mesh cannot single out the traffic of clients: use the scope peers or both.")
    if rule.effect != "cut" and rule.direction is Direction.IN:
        raise Unsupported("Chaos Mesh delays and limits what leaves a pod: use the direction out or both.")


def _spec(rule: LinkRule, namespace: str, others: Sequence[str], ttl_s: int) -> Json:
    """Return the spec of a rule; a delay both ways is put on what leaves, so that a round trip is right."""
    to = {Direction.OUT: "to", Direction.IN: "from", Direction.BOTH: "both"}[rule.direction]
    spec: Json = {"selector": {"pods": {namespace: [rule.node]}}, "mode": "all"}
    spec["direction"] = to if rule.effect == "cut" else "to"
    spec["duration"] = f"{ttl_s}s"
    if rule.scope is Scope.PEERS:
        spec["target"] = {"selector": {"pods": {namespace: list(others)}}, "mode": "all"}
    if rule.effect == "cut":
        return spec | {"action": "partition"}
    if rule.effect == "delay":
        ways = 2 if rule.direction is Direction.BOTH else 1
        delay = {"latency": f"{ways * rule.value:g}ms", "jitter": "0ms", "correlation": "0"}
        return spec | {"action": "delay", "delay": delay}
    pod_rate = max(1, round(rule.value * POD_CONNECTIONS))  # bytes a second: tc's bps
    rate = {"rate": f"{pod_rate}bps", "limit": QUEUED_BYTES, "buffer": BURST_BYTES}
    return spec | {"action": "bandwidth", "bandwidth": rate}


def _is_over(found: Json) -> bool:
    status = found.get("status") or {}
    stopped = (status.get("experiment") or {}).get("desiredPhase") == "Stop"
    return stopped and _condition(status, "AllRecovered") and "deletionTimestamp" not in found["metadata"]


def _condition(status: Json, name: str) -> bool:
    return any(each["type"] == name and each["status"] == "True" for each in status.get("conditions") or ())


def _trouble(status: Json) -> str:
    """Return the last thing that went wrong, as Chaos Mesh wrote it."""
    records = (status.get("experiment") or {}).get("containerRecords") or ()
    events = [
        event for each in records for event in each.get("events") or () if event.get("type") == "Failed"
    ]
    return " ".join(str(events[-1].get("message", "")).split())[:300].rstrip(".") if events else ""


def _selector() -> str:
    return ",".join(f"{name}={value}" for name, value in MANAGED.items())
