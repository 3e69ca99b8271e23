"""A cluster of operator's own on a stand-in, as tests hold it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from subjects.base import Cluster, ClusterState, Deployment
from subjects.clusters import decide, open_cluster
from subjects.errors import SubjectError
from subjects.runtimes.kubernetes.runtime import KubernetesRuntime
from subjects.state import StateFolder, open_state
from tests.standins.kubernetes_standin.handle import StandinCluster
from tools.errors import Refused
from tools.faults.journal import OPEN, Journal, Record
from tools.faults.service import FaultService, Injection

BOUND_S = 120.0
"""Ends what hangs."""


async def until_healthy(cluster: Cluster) -> None:
    async with asyncio.timeout(BOUND_S):
        while True:
            with suppress(SubjectError):
                if (await cluster.subject.observe()).state is ClusterState.HEALTHY:
                    return
            await asyncio.sleep(0.1)


@dataclass
class Own:
    """The cluster, its state folder, and the Kubernetes that it is on."""

    standin: StandinCluster
    state: StateFolder
    cluster: Cluster

    @property
    def runtime(self) -> KubernetesRuntime:
        assert isinstance(self.cluster.control, KubernetesRuntime)
        return self.cluster.control

    async def until(self, holds: Callable[[], Any], what: str) -> None:
        async with asyncio.timeout(BOUND_S):
            while not await asyncio.to_thread(holds):
                await asyncio.sleep(0.1)
        assert holds(), what

    async def healthy(self) -> None:
        await until_healthy(self.cluster)

    async def break_a_follower(self, faults: FaultService, fault: str) -> Injection:
        """Inject it; a member that a busy machine kept from answering for a moment is waited for."""
        async with asyncio.timeout(BOUND_S):
            while True:
                with suppress(Refused):
                    return await faults.inject(self.cluster, fault, "follower")
                await self.healthy()

    def pod(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.standin.pods(self.runtime.namespace)[name]
        return found

    def uid(self, name: str) -> str:
        return str(self.standin.pods(self.runtime.namespace).get(name, {}).get("metadata", {}).get("uid", ""))

    def delete(self, name: str) -> None:
        path = f"/api/v1/namespaces/{self.runtime.namespace}/pods/{name}"
        self.standin.call("DELETE", path, {"gracePeriodSeconds": 0})

    def last_fault(self) -> Record | None:
        journal = Journal(self.state.database)
        try:
            return journal.latest()
        finally:
            journal.close()

    def is_over(self) -> bool:
        last = self.last_fault()
        return last is not None and last.state not in OPEN

    async def follower(self) -> str:
        snapshot = await self.cluster.subject.observe()
        return next(name for name in self.cluster.subject.stores if name != snapshot.leader)


@contextmanager
def current(folder: Path, *options: str) -> Iterator[StandinCluster]:
    """Have a Kubernetes whose pods' addresses are reached from here, and KUBECONFIG lead to it."""
    with (
        StandinCluster(folder, "--reachable", "--speed", "10", *options) as made,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("KUBECONFIG", str(made.kubeconfig))
        yield made


@asynccontextmanager
async def own_cluster(standin: StandinCluster, folder: Path) -> AsyncIterator[Own]:
    """Have an etcd of operator's own there; nothing of it stays."""
    state = open_state(folder)
    cluster = await open_cluster(state, await decide("etcd", "kubernetes"))
    try:
        await cluster.require(Deployment).up()
        yield Own(standin, state, cluster)
    finally:
        await cluster.require(Deployment).down()
        await cluster.aclose()
