"""`operator watch`: the detector alone."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.commands.command import CLUSTER, command
from agent.commands.parameters import DURATION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.commands.command import Result
    from agent.setup import Setup
    from agent.view.base import View
    from subjects.access import Access
    from subjects.base import Cluster
    from tools.workbench import Workbench

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@command(*CLUSTER)
@click.option("--endpoints", metavar="URL,…", help="External cluster, read-only.")
@click.option("--cacert", type=_FILE, help="The authority that signed the endpoints' certificates.")
@click.option("--cert", type=_FILE, help="Our certificate, where they ask for one.")
@click.option("--key", type=_FILE, help="Its key.")
@click.option("--for", "for_s", type=DURATION, help="Then end: 30s, 10m, 8h. Default: watch until Ctrl-C.")
@click.option("--webhook", metavar="URL", help="Gets each detection and recovery as JSON.")
@click.option("--alertmanager", metavar="URL", multiple=True, help="Gets incidents as alerts; repeatable.")
@click.option("--metrics-listen", metavar="HOST:PORT", help="Serve Prometheus metrics and /healthz there.")
async def watch(
    setup: "Setup",
    view: "View",
    *,
    endpoints: str | None,
    cacert: Path | None,
    cert: Path | None,
    key: Path | None,
    for_s: float | None,
    webhook: str | None,
    alertmanager: tuple[str, ...],
    metrics_listen: str | None,
) -> "Result":
    """Watch a cluster and report what goes wrong, until Ctrl-C.

    User and password of a secured etcd come from ETCD_USERNAME and ETCD_PASSWORD (or ETCDCTL_USER as
    `user:password`).
    """
    given = [each.strip() for each in (endpoints or "").split(",") if each.strip()]
    if endpoints is not None and not given:
        raise click.UsageError("--endpoints names none.")
    if not given and (cacert or cert or key):
        raise click.UsageError("--cacert, --cert and --key go with --endpoints.")
    if (cert is None) != (key is None):
        raise click.UsageError("--cert and --key go together.")

    from agent.watch.access import access_from
    from agent.watch.receivers import Addresses
    from agent.watch.watching import watch as watch_cluster
    from agent.workbench import opened_workbench
    from tools.cluster import lifecycle, use

    to = Addresses(webhook, alertmanager, metrics_listen)
    async with opened_workbench(setup, view) as workbench:
        access = access_from(cacert, cert, key) if given else None
        cluster = await _cluster(workbench, given, access)
        try:
            if cluster.runtime.owned:
                workbench.use = use.begin(workbench.state, cluster)
            return await watch_cluster(cluster, workbench.incidents, view, for_s=for_s, to=to)
        finally:
            await lifecycle.release(workbench)


async def _cluster(workbench: "Workbench", endpoints: "Sequence[str]", access: "Access | None") -> "Cluster":
    """Return the cluster of the state folder, or the external one at `endpoints`.

    Raises NotReady when there is none, Unreachable when no endpoint is a database's.
    """
    from subjects.clusters import attach
    from subjects.errors import NotReady
    from tools.cluster import lifecycle

    if endpoints:
        subject = "etcd" if workbench.choice.subject == "auto" else workbench.choice.subject
        workbench.cluster = await attach(subject, endpoints, access)
        return workbench.cluster
    found = await lifecycle.chosen(workbench)
    if found is None:
        raise NotReady("No cluster is running: `operator deploy up` starts one, --endpoints names another's.")
    return found
