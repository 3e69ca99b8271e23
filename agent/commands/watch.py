"""`operator watch`: the detector alone."""

from typing import TYPE_CHECKING, Unpack

import click

from agent.commands.command import CLUSTER, command
from agent.commands.endpoints import Endpoints, chosen_cluster, endpoint_options
from agent.commands.parameters import DURATION

if TYPE_CHECKING:
    from agent.commands.command import Result
    from agent.setup import Setup
    from agent.view.base import View


@click.command()
@command(*CLUSTER)
@endpoint_options
@click.option("--for", "for_s", type=DURATION, help="Then end: 30s, 10m, 8h. Default: watch until Ctrl-C.")
@click.option("--webhook", metavar="URL", help="Gets each detection and recovery as JSON.")
@click.option("--alertmanager", metavar="URL", multiple=True, help="Gets incidents as alerts; repeatable.")
@click.option("--metrics-listen", metavar="HOST:PORT", help="Serve Prometheus metrics and /healthz there.")
async def watch(
    setup: "Setup",
    view: "View",
    *,
    for_s: float | None,
    webhook: str | None,
    alertmanager: tuple[str, ...],
    metrics_listen: str | None,
    **endpoints: Unpack[Endpoints],
) -> "Result":
    """Watch a cluster and report what goes wrong, until Ctrl-C.

    User and password of a secured etcd come from ETCD_USERNAME and ETCD_PASSWORD (or ETCDCTL_USER as
    `user:password`).
    """
    from agent.watch.receivers import Addresses
    from agent.watch.watching import watch as watch_cluster
    from agent.workbench import opened_workbench
    from tools.cluster import lifecycle, use

    to = Addresses(webhook, alertmanager, metrics_listen)
    async with opened_workbench(setup, view) as workbench:
        cluster = await chosen_cluster(workbench, endpoints)
        try:
            if cluster.ours:
                workbench.use = use.begin(workbench.state, cluster)
            return await watch_cluster(cluster, workbench.incidents, view, for_s=for_s, to=to)
        finally:
            await lifecycle.release(workbench)
