"""`operator watch`: the detector alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.command_line.options import everywhere, placed, run_command

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@everywhere
@placed
@click.option("--endpoints", metavar="URL,…", help="Somebody else's cluster; it is only looked at.")
@click.option("--cacert", type=_FILE, help="The authority that signed the endpoints' certificates.")
@click.option("--cert", type=_FILE, help="Our certificate, where they ask for one.")
@click.option("--key", type=_FILE, help="Its key.")
@click.option(
    "--for", "for_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="Then end."
)
@click.option("--webhook", metavar="URL", help="Gets each detection and recovery as JSON.")
@click.pass_context
def watch(
    context: click.Context,
    /,
    endpoints: str | None,
    cacert: Path | None,
    cert: Path | None,
    key: Path | None,
    for_s: float | None,
    webhook: str | None,
    **_: Any,
) -> None:
    """Watch a cluster and tell of what goes wrong, until Ctrl-C.

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

    async def work(setup: "Setup", view: "View") -> dict[str, Any]:
        from agent.watch.access import access_from
        from agent.watch.command import watch_command

        access = access_from(cacert, cert, key) if given else None
        return await watch_command(setup, view, endpoints=given, access=access, for_s=for_s, webhook=webhook)

    run_command(context, "watch", work)
