"""Chaos Mesh's controller and daemon: carries out NetworkChaos on the pods, as the real ones were seen to.

A finalizer holds each object until it is undone; while the controller is away neither the end of its time nor
a delete does anything. Without sch_netem a delay never takes effect, and is never undone either.
"""

import asyncio
import re
import time
from dataclasses import dataclass, field
from datetime import datetime

from subjects.runtimes.network.pipe import Shaping
from tests.standins.kubernetes_standin.admission import RECORDS
from tests.standins.kubernetes_standin.kinds import Object
from tests.standins.kubernetes_standin.kubelet import Kubelet
from tests.standins.kubernetes_standin.pod_network import Chaos
from tests.standins.kubernetes_standin.store import Store, now

LABELS = {"app.kubernetes.io/name": "chaos-mesh", "app.kubernetes.io/component": "controller-manager"}
NAMESPACE = "chaos-mesh"
INJECT_S, UNDO_S = 1.0, 0.3
NO_NETEM = "RTNETLINK answers: No such file or directory"
_LOOK_S = 0.05


@dataclass
class ChaosMesh:
    """Both, in one cluster."""

    store: Store
    kubelet: Kubelet
    version: str = ""
    """Empty where it is not installed."""
    netem: bool = True
    alive: bool = True
    _since: dict[str, float] = field(default_factory=dict)
    """When the present state of each object, by uid, was seen first."""
    _injected: dict[str, Object] = field(default_factory=dict)

    def install(self) -> None:
        """Make the controller's Deployment."""
        phase = {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
        self.store.create("namespaces", {"metadata": {"name": NAMESPACE}, **phase})
        image = f"ghcr.io/chaos-mesh/chaos-mesh:v{self.version}"
        metadata = {"name": "chaos-controller-manager", "namespace": NAMESPACE, "labels": LABELS}
        template = {"spec": {"containers": [{"name": "chaos-mesh", "image": image}]}}
        self.store.create("deployments", {"metadata": metadata, "spec": {"template": template}})
        self.set_alive(alive=True)

    def set_alive(self, *, alive: bool) -> None:
        """Have the controller run, or not."""
        self.alive = alive
        status = {"readyReplicas": 1} if alive else {}
        self.store.update(
            "deployments", NAMESPACE, "chaos-controller-manager", lambda each: each.update(status=status)
        )

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if self.version and self.alive:
                for each in self.store.list("networkchaos"):
                    self._settle(each)

    def _settle(self, chaos: Object) -> None:
        uid = chaos["metadata"]["uid"]
        over = "deletionTimestamp" in chaos["metadata"] or _expired(chaos)
        state = f"{uid} {'over' if over else 'wanted'}"
        since = time.monotonic() - self._since.setdefault(state, time.monotonic())
        stuck = chaos["spec"]["action"] == "delay" and not self.netem
        if not over and uid not in self._injected and since >= INJECT_S:
            if stuck:
                self._tell(chaos, "Not Injected/Wait", NO_NETEM)
            else:
                self._injected[uid] = chaos
                self._carry_out()
                self._tell(chaos, "Injected")
        elif over and since >= UNDO_S and not (stuck and "experiment" in _told(chaos)):
            if self._injected.pop(uid, None) is not None:
                self._carry_out()
            self._tell(chaos, "Not Injected")
            if "deletionTimestamp" in chaos["metadata"]:
                meta = chaos["metadata"]
                self.store.update("networkchaos", meta["namespace"], meta["name"], _let_go)

    def _carry_out(self) -> None:
        made: dict[str, list[Chaos]] = {}
        for each in self._injected.values():
            spec = each["spec"]
            target = (spec.get("target") or {}).get("selector")
            peers = frozenset(self._uids(target)) if target else None
            for uid in self._uids(spec["selector"]):
                made.setdefault(uid, []).append(_chaos(spec, peers))
        self.kubelet.network.set_chaos(made)

    def _uids(self, selector: Object) -> list[str]:
        found = [
            self.kubelet.find(namespace, name)
            for namespace, names in selector["pods"].items()
            for name in names
        ]
        return [each.uid for each in found if each is not None]

    def _tell(self, chaos: Object, phase: str, trouble: str = "") -> None:
        over = "deletionTimestamp" in chaos["metadata"] or _expired(chaos)
        event = {"type": "Failed", "operation": "Apply", "message": trouble, "timestamp": now()}
        record = {"id": "", "selectorKey": ".", "phase": phase, "events": [event] if trouble else []}
        status = {
            "conditions": [
                {"type": "Selected", "status": "True"},
                {"type": "AllInjected", "status": str(phase == "Injected")},
                {"type": "AllRecovered", "status": str(phase == "Not Injected")},
                {"type": "Paused", "status": "False"},
            ],
            "experiment": {"desiredPhase": "Stop" if over else "Run", "containerRecords": [record]},
        }
        meta = chaos["metadata"]
        self.store.update(
            "networkchaos", meta["namespace"], meta["name"], lambda each: each.update(status=status)
        )


def _told(chaos: Object) -> Object:
    """Return what was told once something was tried."""
    status: Object = chaos.get("status") or {}
    return status if "conditions" in status else {}


def _let_go(chaos: Object) -> None:
    chaos["metadata"]["finalizers"] = [each for each in chaos["metadata"]["finalizers"] if each != RECORDS]


def _expired(chaos: Object) -> bool:
    found = re.fullmatch(r"(\d+)s", chaos["spec"].get("duration", ""))
    made = datetime.fromisoformat(chaos["metadata"]["creationTimestamp"]).timestamp()
    return found is not None and time.time() > made + int(found[1])


def _chaos(spec: Object, peers: frozenset[str] | None) -> Chaos:
    cut = Shaping(cut=True)
    match spec["action"]:
        case "delay":
            return Chaos(
                out=Shaping(delay_s=float(spec["delay"]["latency"].removesuffix("ms")) / 1e3), peers=peers
            )
        case "bandwidth":
            return Chaos(
                out=Shaping(bytes_per_s=float(spec["bandwidth"]["rate"].removesuffix("bps"))), peers=peers
            )
    both = spec["direction"] == "both"
    return Chaos(
        out=cut if both or spec["direction"] == "to" else Shaping(),
        into=cut if both or spec["direction"] == "from" else Shaping(),
        peers=peers,
    )
