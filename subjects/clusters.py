"""Opening a cluster: which subject on which runtime, found again or made new."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from subjects.base import Cluster, Scope
from subjects.errors import BadSetup
from subjects.state import StateFolder

if TYPE_CHECKING:
    from subjects.etcd.client import Access

SUBJECTS = ("etcd", "tikv")
RUNTIMES = ("process", "docker")


@dataclass(frozen=True, slots=True)
class Decision:
    """Which cluster it will be, and why: `auto` is decided before anything is started."""

    subject: Literal["etcd", "tikv"]
    runtime: Literal["process", "docker"]
    reason: str

    @property
    def id(self) -> str:
        """The name of its folder under `clusters/`."""
        return f"{self.subject}-{self.runtime}"


async def decide(subject: str, runtime: str) -> Decision:
    """Resolve `auto`: TiKV where an engine answers and has the images, else etcd on local processes."""
    if subject == "auto" and runtime in ("auto", "docker"):
        from subjects.runtimes.docker import images_present

        present, why = await images_present("tikv")
        if present:
            return Decision("tikv", "docker", f"tikv on docker: {why}")
        if runtime == "docker":
            return Decision("etcd", "docker", f"etcd on docker: {why}")
        return Decision("etcd", "process", f"etcd on local processes: {why}")
    chosen = "etcd" if subject == "auto" else subject
    where = runtime if runtime != "auto" else ("docker" if chosen == "tikv" else "process")
    return Decision(chosen, where, f"{chosen} on {where}, as asked")  # type: ignore[arg-type]


async def open_cluster(state: StateFolder, decision: Decision, compose_file: Path | None = None) -> Cluster:
    """Return the cluster, found in the state folder or laid out new. Nothing is started."""
    if decision.runtime == "docker":
        from subjects.runtimes.docker import open_docker

        return await open_docker(decision.subject, state, compose_file)
    if compose_file is not None:
        raise BadSetup("--compose-file goes with --runtime docker.")
    folder = state.clusters / decision.id
    return await _process_cluster(decision.subject, folder)


async def open_by_id(state: StateFolder, cluster_id: str) -> Cluster | None:
    """Return the cluster of the state folder with that id; None when it is not there any more."""
    subject, _, runtime = cluster_id.partition("-")
    if subject not in SUBJECTS or runtime not in RUNTIMES:
        return None
    if runtime == "process" and not (state.clusters / cluster_id / "cluster.json").exists():
        return None
    return await open_cluster(state, Decision(subject, runtime, ""))  # type: ignore[arg-type]


@asynccontextmanager
async def opened(state: StateFolder, cluster_id: str) -> AsyncIterator[Cluster | None]:
    """Hold the cluster with that id open; None when it is not there any more."""
    cluster = await open_by_id(state, cluster_id)
    try:
        yield cluster
    finally:
        if cluster is not None:
            await cluster.aclose()


async def find_cluster(state: StateFolder, subject: str = "auto", runtime: str = "auto") -> Cluster | None:
    """Return the cluster that an earlier run left in the state folder, running or not.

    Only one of that subject and runtime, where they were asked for.
    """
    files = {"process": "cluster.json", "docker": "docker.json"}
    for name in SUBJECTS if subject == "auto" else (subject,):
        for where in RUNTIMES if runtime == "auto" else (runtime,):
            if (state.clusters / f"{name}-{where}" / files[where]).exists():
                return await open_cluster(state, Decision(name, where, "found"))  # type: ignore[arg-type]
    return None


async def attach(subject: str, endpoints: Sequence[str], access: "Access | None" = None) -> Cluster:
    """Return a cluster that somebody else runs, read-only. Unreachable when no endpoint answers."""
    if subject == "tikv":
        from subjects.tikv.attach import attach as attach_tikv

        return await attach_tikv(endpoints)
    from subjects.etcd.attach import attach as attach_etcd

    return await attach_etcd(endpoints, access)


async def _process_cluster(subject: str, folder: Path) -> Cluster:
    from subjects.runtimes import layout
    from subjects.runtimes.process import ProcessRuntime

    known = layout.load(folder)
    if subject == "tikv":
        from subjects.tikv.process import make_layout as tikv_layout
        from subjects.tikv.process import make_subject as tikv_subject

        cluster = known or await tikv_layout(folder)
        runtime = ProcessRuntime(folder, cluster)
        return Cluster(folder.name, tikv_subject(cluster, runtime), runtime)

    from subjects.etcd.binary import find_binary
    from subjects.etcd.client import EtcdClient
    from subjects.etcd.layout import make_layout
    from subjects.etcd.subject import Endpoint, EtcdSubject
    from subjects.runtimes.ports import HOST

    cluster = known or make_layout(folder, await find_binary())
    runtime = ProcessRuntime(folder, cluster)
    endpoints = {
        node.name: Endpoint(
            client=f"http://{HOST}:{cluster.link(node.name, Scope.CLIENTS).port}",
            direct=f"http://{HOST}:{node.ports['client']}",
            metrics=f"http://{HOST}:{node.ports['metrics']}",
        )
        for node in cluster.nodes
    }
    return Cluster(folder.name, EtcdSubject(endpoints, runtime, EtcdClient()), runtime)
