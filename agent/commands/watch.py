"""`operator watch`: the detector alone."""

from typing import TYPE_CHECKING, Any, Unpack

import click

from agent.commands.command import CLUSTER, PODS, Result, command
from agent.commands.endpoints import Endpoints, chosen_cluster, endpoint_options
from agent.commands.parameters import DURATION, WordedOption
from subjects.errors import BadSetup

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View


class FromConfig(click.Command):
    """A command whose options may also stand in the config file, in the table of its name."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Take what the file says for what is not given on the command line or in the environment."""
        return super().make_context(info_name, args, parent, default_map=self._configured(), **extra)

    def _configured(self) -> dict[str, Any]:
        from agent.setup import config_file, config_values

        try:
            table = config_values().get(self.name or "", {})
        except BadSetup as error:
            raise click.ClickException(str(error)) from error
        if not isinstance(table, dict):
            raise click.ClickException(f"{config_file()}: {self.name} must be a table, [{self.name}].")
        names = {name.removeprefix("--"): param.name for param in self.params for name in param.opts}
        if unknown := sorted(table.keys() - names.keys()):
            raise click.ClickException(f"{config_file()}: [{self.name}] has no setting {unknown[0]!r}.")
        return {str(names[key]): _as_given(key, value) for key, value in table.items()}


def _as_given(key: str, value: Any) -> Any:
    """Return a value of the file as the command line would have it: endpoints in one text."""
    return ",".join(map(str, value)) if key == "endpoints" and isinstance(value, list) else value


@click.command(cls=FromConfig, context_settings={"auto_envvar_prefix": "OPERATOR_WATCH"})
@command(*CLUSTER, *PODS)
@endpoint_options
@click.option(
    "--for",
    "for_s",
    type=DURATION,
    envvar="OPERATOR_WATCH_FOR",
    cls=WordedOption,
    show_default="until Ctrl-C",
    help="How long to watch: 30s, 10m, 8h.",
)
@click.option("--name", metavar="NAME", help="What alerts and metrics call the cluster.")
@click.option("--webhook", metavar="URL", help="Gets each detection and recovery as JSON.")
@click.option("--alertmanager", metavar="URL", multiple=True, help="Gets incidents as alerts; repeatable.")
@click.option("--metrics-listen", metavar="HOST:PORT", help="Serve Prometheus metrics and /healthz there.")
@click.option(
    "--retention",
    "keep_s",
    type=DURATION,
    default="90d",
    envvar="OPERATOR_WATCH_RETENTION",
    show_default=True,
    help="How long incidents that are over are kept.",
)
async def watch(
    setup: "Setup",
    view: "View",
    *,
    for_s: float | None,
    name: str | None,
    webhook: str | None,
    alertmanager: tuple[str, ...],
    metrics_listen: str | None,
    keep_s: float,
    **endpoints: Unpack[Endpoints],
) -> Result:
    """Watch a cluster and report what goes wrong, until Ctrl-C.

    User and password of a secured etcd come from ETCD_USERNAME and ETCD_PASSWORD (or ETCDCTL_USER as
    `user:password`). As a service: each option may also stand in the config file under [watch], or in the
    environment (OPERATOR_WATCH_ENDPOINTS, …).
    """
    from agent.watch.receivers import Addresses
    from agent.watch.watching import watch as watch_cluster
    from agent.workbench import opened_workbench
    from tools.cluster import lifecycle

    to = Addresses(webhook, alertmanager, metrics_listen, name)
    async with opened_workbench(setup, view) as workbench:
        cluster = await chosen_cluster(workbench, endpoints)
        try:
            if cluster.ours:
                lifecycle.share_use(workbench, cluster)
            return await watch_cluster(cluster, workbench.incidents, view, for_s=for_s, to=to, keep_s=keep_s)
        finally:
            await lifecycle.release(workbench)
