"""A cluster that somebody else runs, by its endpoints: its options, and which cluster a command works on."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar

import click

if TYPE_CHECKING:
    from subjects.access import Access
    from subjects.base import Cluster
    from tools.workbench import Workbench

Callback = TypeVar("Callback", bound=Callable[..., object])

_FILE = click.Path(path_type=Path, dir_okay=False)
_OPTIONS = (
    click.option("--endpoints", metavar="URL,…", help="External cluster, read-only."),
    click.option("--cacert", type=_FILE, help="The authority that signed the endpoints' certificates."),
    click.option("--cert", type=_FILE, help="Our certificate, where they ask for one."),
    click.option("--key", type=_FILE, help="Its key."),
)


class Endpoints(TypedDict):
    """The options as click gives them."""

    endpoints: str | None
    cacert: Path | None
    cert: Path | None
    key: Path | None


def endpoint_options(callback: Callback) -> Callback:
    """Give a command the options that name an external cluster."""
    for option in reversed(_OPTIONS):
        callback = option(callback)
    return callback


async def chosen_cluster(workbench: "Workbench", given: Endpoints) -> "Cluster":
    """Put the cluster of the state folder, or the external one that was named, on the workbench.

    Raises click.UsageError for options that don't go together, NotReady when no cluster is running,
    Unreachable when no endpoint is a database's.
    """
    named = [each.strip() for each in (given["endpoints"] or "").split(",") if each.strip()]
    if given["endpoints"] is not None and not named:
        raise click.UsageError("--endpoints names none.")
    from subjects.endpoints import parse_endpoints
    from subjects.errors import BadSetup, NotReady

    try:
        parse_endpoints(given["endpoints"] or "")
    except BadSetup as error:
        raise click.UsageError(str(error)) from error
    if not named and (given["cacert"] or given["cert"] or given["key"]):
        raise click.UsageError("--cacert, --cert and --key go with --endpoints.")
    if (given["cert"] is None) != (given["key"] is None):
        raise click.UsageError("--cert and --key go together.")

    from subjects.clusters import attach
    from tools.cluster import lifecycle
    from tools.events import Notice

    if named:
        subject = "etcd" if workbench.choice.subject == "auto" else workbench.choice.subject
        access = access_from(given["cacert"], given["cert"], given["key"])
        workbench.cluster = await attach(subject, named, access)
        for note in workbench.cluster.notes:
            workbench.emit(Notice(note, level="warning"))
        return workbench.cluster
    found = await chosen_pods(workbench) or await lifecycle.chosen(workbench)
    if found is None:
        raise NotReady("No cluster is running: `operator deploy up` starts one, --endpoints names another's.")
    return found


async def chosen_pods(workbench: "Workbench") -> "Cluster | None":
    """Put the pods that were named on the workbench, read-only; None where none were."""
    from subjects.clusters import attach_pods

    if workbench.choice.kubernetes.attached:
        subject = "etcd" if workbench.choice.subject == "auto" else workbench.choice.subject
        workbench.cluster = await attach_pods(subject, workbench.choice.kubernetes)
        return workbench.cluster
    return None


def access_from(
    cacert: Path | None, cert: Path | None, key: Path | None, environ: Mapping[str, str] | None = None
) -> "Access":
    """Return certificates as given, and user and password as etcdctl's own variables have them.

    ETCD_USERNAME and ETCD_PASSWORD, else ETCDCTL_USER (`user` or `user:password`) and ETCDCTL_PASSWORD.
    Raises BadSetup for bytes that are no text.
    """
    from subjects.access import Access
    from subjects.errors import BadSetup

    known = os.environ if environ is None else environ
    user, password = known.get("ETCD_USERNAME"), known.get("ETCD_PASSWORD")
    if not user and (both := known.get("ETCDCTL_USER")):
        user, colon, rest = both.partition(":")
        password = rest if colon else known.get("ETCDCTL_PASSWORD")
    if not f"{user}{password}".isprintable():
        raise BadSetup("The user or password in the environment (ETCD_USERNAME, …) is not valid UTF-8 text.")
    return Access(cacert, cert, key, user or None, password)
