"""Opening a cluster of operator's own: found again in the state folder, or laid out new. Nothing is made."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from subjects.base import Cluster
from subjects.errors import BadSetup, NotReady
from subjects.runtimes.kubernetes import canary, layout
from subjects.runtimes.kubernetes.api import Api, connect, kubeconfig_files
from subjects.runtimes.kubernetes.context import require_allowed
from subjects.runtimes.kubernetes.layout import KubernetesLayout
from subjects.runtimes.kubernetes.manifest import Database
from subjects.runtimes.kubernetes.options import KubernetesOptions, chosen_images
from subjects.runtimes.kubernetes.pods import Pods
from subjects.runtimes.kubernetes.runtime import KubernetesRuntime
from subjects.runtimes.kubernetes.way import Way
from subjects.state import StateFolder


async def open_kubernetes(
    subject: str, plan: ModuleType, state: StateFolder, options: KubernetesOptions
) -> Cluster:
    """Return the cluster, found again or laid out new. Nothing is made.

    `plan` is the database's `kubernetes` module. Raises BadSetup for a context that is not there or not
    allowed, NotReady where the API server does not answer, or the kubeconfig leads elsewhere than it did.
    """
    folder = state.clusters / f"{subject}-kubernetes"
    known = layout.load(folder)
    api = await connect(
        known.context if known else options.context, known.kubeconfig if known else kubeconfig_files()
    )
    try:
        if known is None:
            require_allowed(api, options.allowed)
            images = chosen_images(options, plan.IMAGES)
            known = KubernetesLayout(
                subject,
                kubeconfig_files(),
                api.context,
                api.server,
                layout.new_namespace(subject),
                images=images,
                nodes=tuple(node for each in plan.databases(images) for node in each.nodes),
            )
        _require_same(known, api, options, folder)
        runtime = await _runtime(folder, known, plan.databases(known.images), api)
        try:
            await runtime.pods.start()
            await runtime.find_out()
            return Cluster(folder.name, await plan.make_subject(runtime), runtime, runtime)
        except BaseException:
            await runtime.aclose()
            raise
    except BaseException:
        await api.aclose()
        raise


def _require_same(known: KubernetesLayout, api: Api, options: KubernetesOptions, folder: Path) -> None:
    """Raise unless the cluster that is there is the one that is meant, and is where it was."""
    if options.context not in (None, known.context):
        raise BadSetup(
            f"A cluster in the context {known.context} is still there: stop it first "
            f"(`operator deploy down`), then use {options.context}."
        )
    if known.server != api.server:
        raise NotReady(
            f"The context {known.context} leads to {api.server} now; the cluster of {folder} is at "
            f"{known.server}. Put the kubeconfig {known.kubeconfig} back."
        )


async def _runtime(
    folder: Path, known: KubernetesLayout, databases: Sequence[Database], api: Api
) -> KubernetesRuntime:
    said = await api.get("/version")
    with api.reading("GET /version", said):
        version = (int(said["major"]), int("".join(sign for sign in said["minor"] if sign.isdigit())))
    pods = Pods(
        api,
        known.namespace,
        f"app in ({','.join(database.name for database in databases)})",
        expected=[node for database in databases for node in database.nodes],
    )
    way = Way(api, known.namespace, pods, "probe", None)
    return KubernetesRuntime(folder, known, databases, api, pods, way, canary.of_api(api), version)
