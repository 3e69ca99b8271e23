"""Opening a cluster: which database on which runtime, found again or made new.

What a database offers is modules in its folder: `process` where its nodes can be local processes,
`compose` where they can be containers, `kubernetes` where they can be pods; of a cluster that somebody else
runs, `attach` for its endpoints and `pods` for its pods.
"""

import importlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from subjects import RUNTIMES, databases
from subjects.base import Cluster
from subjects.errors import BadSetup, Unsupported
from subjects.runtimes.kubernetes.options import KubernetesOptions
from subjects.state import StateFolder

if TYPE_CHECKING:
    from subjects.access import Access


@dataclass(frozen=True, slots=True)
class Decision:
    """Which cluster it will be, and why: `auto` is decided before anything is started."""

    subject: str
    """One of `subjects.databases()`."""
    runtime: str
    """One of RUNTIMES."""
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
    return Decision(chosen, where, f"{chosen} on {where}, as asked")


async def open_cluster(
    state: StateFolder,
    decision: Decision,
    compose_file: Path | None = None,
    kubernetes: KubernetesOptions = KubernetesOptions(),  # noqa: B008 - frozen
) -> Cluster:
    """Return the cluster, found in the state folder or laid out new. Nothing is started.

    Unsupported when the database cannot be had on that runtime, BadSetup for a wrong Compose file, NotReady
    when what it takes is not here.
    """
    if decision.runtime == "docker":
        from subjects.runtimes.docker import open_docker

        plan = _offered(decision.subject, "compose", "run on docker")
        return await open_docker(decision.subject, plan, state, compose_file)
    if decision.runtime == "kubernetes":
        from subjects.runtimes.kubernetes.opening import open_kubernetes

        plan = _offered(decision.subject, "kubernetes", "run on kubernetes")
        return await open_kubernetes(decision.subject, plan, state, kubernetes)
    if decision.runtime != "process":
        raise Unsupported(f"{decision.runtime}: no way to open such a cluster is known here.")
    if compose_file is not None:
        raise BadSetup("--compose-file goes with --runtime docker.")
    return await _open_process(decision.subject, state.clusters / decision.id)


async def open_by_id(state: StateFolder, cluster_id: str) -> Cluster | None:
    """Return the cluster of the state folder with that id; None when it is not there any more."""
    subject, _, runtime = cluster_id.partition("-")
    if subject not in databases() or runtime not in RUNTIMES:
        return None
    if not (state.clusters / cluster_id / RUNTIMES[runtime]).exists():
        return None
    return await open_cluster(state, Decision(subject, runtime, ""))


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
    for name in databases() if subject == "auto" else (subject,):
        for where in RUNTIMES if runtime == "auto" else (runtime,):
            if (state.clusters / f"{name}-{where}" / RUNTIMES[where]).exists():
                return await open_cluster(state, Decision(name, where, "found"))
    return None


async def attach(subject: str, endpoints: Sequence[str], access: "Access | None" = None) -> Cluster:
    """Return a cluster that somebody else runs, read-only. Unreachable when no endpoint answers."""
    from subjects.access import Access

    cluster: Cluster = await _offered(subject, "attach", "be watched by its endpoints").attach(
        endpoints, access or Access()
    )
    return cluster


async def attach_pods(subject: str, options: KubernetesOptions, access: "Access | None" = None) -> Cluster:
    """Return pods that somebody else runs, read-only. BadSetup where there are none, Denied by the API."""
    from subjects.access import Access

    plan = _offered(subject, "pods", "be watched on kubernetes")
    database, nodes = await plan.attach(options, access or Access())
    return Cluster(f"{subject}-kubernetes", database, nodes)


async def _open_process(subject: str, folder: Path) -> Cluster:
    from subjects.runtimes import layout
    from subjects.runtimes.json_file import DAMAGE, damaged
    from subjects.runtimes.process import ProcessRuntime

    plan = _offered(subject, "process", "run as local processes")
    cluster = layout.load(folder) or await plan.make_layout(folder)
    runtime = ProcessRuntime(folder, cluster)
    try:
        database = plan.make_subject(cluster, runtime)
    except DAMAGE as error:  # a port or a link that this database has is not there
        raise damaged(folder / layout.FILE) from error
    return Cluster(folder.name, database, runtime, runtime)


async def caveat(decision: Decision) -> str:
    """Return what speaks against the version of the database that would be started; empty if nothing does."""
    if decision.runtime != "process":
        return ""
    plan = _offered(decision.subject, "process", "run as local processes")
    find_caveat = getattr(plan, "caveat", None)
    return str(await find_caveat()) if find_caveat is not None else ""


def _offered(subject: str, module: str, what: str) -> ModuleType:
    """Return a module of a database's folder; Unsupported, which says `what` cannot be, when it has none."""
    name = f"subjects.{subject}.{module}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise Unsupported(f"{subject} cannot {what} here: there is no {name}.") from error
