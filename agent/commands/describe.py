"""`operator describe NODE`: one node as everybody sees it."""

from typing import TYPE_CHECKING, Unpack

import click

from agent.commands.command import CLUSTER, PODS, Result, command
from agent.commands.endpoints import Endpoints, chosen_cluster, endpoint_options
from agent.commands.parameters import NODE

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View


@click.command()
@command(*CLUSTER, *PODS, listing=True)
@click.argument("node", type=NODE)
@endpoint_options
async def describe(setup: "Setup", view: "View", *, node: str, **endpoints: Unpack[Endpoints]) -> Result:
    """Show one node as everybody sees it.

    Its process, what clients, peers and itself say, its faults and incidents, and its log's end.
    """
    from agent.watch.node import node_report
    from agent.workbench import opened_workbench

    async with opened_workbench(setup, view) as workbench:
        cluster = await chosen_cluster(workbench, endpoints)
        name = workbench.require_node(node)
        report = await node_report(cluster, name, workbench.incidents, workbench.faults.journal)
    for event in report.drawn():
        view.show(event)
    return report.result()
