"""A cluster that somebody else runs, by its endpoints: its options, and which cluster a command works on."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar

import click

from agent.commands.command import PODS
from subjects.errors import BadSetup

if TYPE_CHECKING:
    from subjects.access import Access
    from subjects.base import Cluster
    from tools.workbench import Workbench

Callback = TypeVar("Callback", bound=Callable[..., object])

_FILE = click.Path(path_type=Path, dir_okay=False)
_ENDPOINTS = click.option("--endpoints", metavar="URL,…", help="A cluster of your own, read-only.")
_CERTIFICATES = (
    click.option("--cacert", type=_FILE, help="The authority that signed the members' certificates."),
    click.option("--cert", type=_FILE, help="Our certificate, where they ask for one."),
    click.option("--key", type=_FILE, help="Its key."),
)


class CertificateFiles(TypedDict):
    """The options for certificates, as click gives them."""

    cacert: Path | None
    cert: Path | None
    key: Path | None


class Endpoints(CertificateFiles):
    """The options for an external cluster, as click gives them."""

    endpoints: str | None


def certificate_options(callback: Callback) -> Callback:
    """Give a command the options that an external cluster's certificates take."""
    for option in reversed(_CERTIFICATES):
        callback = option(callback)
    return callback


def endpoint_options(callback: Callback) -> Callback:
    """Give a command the options that name an external cluster."""
    return _ENDPOINTS(certificate_options(callback))


async def chosen_cluster(workbench: "Workbench", given: Endpoints) -> "Cluster":
    """Put the cluster of the state folder, or the external one that was named, on the workbench.

    Raises click.UsageError for options that don't go together, NotReady when no cluster is running,
    Unreachable when no endpoint is a database's.
    """
    named = [each.strip() for each in (given["endpoints"] or "").split(",") if each.strip()]
    if given["endpoints"] is not None and not named:
        raise click.UsageError("--endpoints names none.")
    pods = workbench.choice.kubernetes
    if named and pods.attached:
        other = next(name for name in PODS if getattr(pods, name) is not None)
        raise click.UsageError(f"--endpoints and --{other} are two ways to name a cluster: give one.")
    from subjects.endpoints import parse_endpoints
    from subjects.errors import BadSetup, NotReady

    try:
        parse_endpoints(given["endpoints"] or "")
    except BadSetup as error:
        raise click.UsageError(str(error)) from error
    from subjects.clusters import attach
    from tools.cluster import lifecycle
    from tools.events import Notice

    if named:
        workbench.cluster = await attach(_subject(workbench), named, access(given))
        for note in workbench.cluster.notes:
            workbench.emit(Notice(note, level="warning"))
        return workbench.cluster
    found = await chosen_pods(workbench, given) or await lifecycle.chosen(workbench)
    if found is None:
        raise NotReady("No cluster is running: `operator deploy up` starts one, --endpoints names another's.")
    return found


async def chosen_pods(workbench: "Workbench", given: CertificateFiles) -> "Cluster | None":
    """Put the pods that were named on the workbench, read-only; None where none were.

    Raises click.UsageError for certificates that are for no cluster which was named.
    """
    from subjects.clusters import attach_pods

    if workbench.choice.kubernetes.attached:
        subject, pods = _subject(workbench), workbench.choice.kubernetes
        workbench.cluster = await attach_pods(subject, pods, access(given))
        return workbench.cluster
    if given["cacert"] or given["cert"] or given["key"]:
        ways = " or ".join(f"--{name}" for name in ("endpoints", *PODS))
        raise click.UsageError(f"--cacert, --cert and --key go with {ways}.")
    return None


def _subject(workbench: "Workbench") -> str:
    return "etcd" if workbench.choice.subject == "auto" else workbench.choice.subject


def access(given: CertificateFiles) -> "Access":
    """Return certificates as given, and user and password as etcdctl's own variables have them.

    ETCD_USERNAME and ETCD_PASSWORD, else ETCDCTL_USER (`user` or `user:password`) and ETCDCTL_PASSWORD.
    Raises click.UsageError for half a certificate, BadSetup for bytes that are no text.
    """
    from subjects.access import Access

    if (given["cert"] is None) != (given["key"] is None):
        raise click.UsageError("--cert and --key go together.")
    user, password = os.environ.get("ETCD_USERNAME"), os.environ.get("ETCD_PASSWORD")
    if not user and (both := os.environ.get("ETCDCTL_USER")):
        user, colon, rest = both.partition(":")
        password = rest if colon else os.environ.get("ETCDCTL_PASSWORD")
    if not f"{user}{password}".isprintable():
        raise BadSetup("The user or password in the environment (ETCD_USERNAME, …) is not valid UTF-8 text.")
    return Access(given["cacert"], given["cert"], given["key"], user or None, password)
