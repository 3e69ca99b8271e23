"""`operator doctor`: what works here and what doesn't, with the remedy."""

import os
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

import click

from agent.commands.command import Result, command
from subjects.errors import SubjectError

if TYPE_CHECKING:
    from agent.setup import Setup
    from agent.view.base import View
    from subjects.runtimes.kubernetes.options import KubernetesOptions

Row = tuple[str, str, str]


@click.command()
@command("runtime", "context", "namespace", "allow_context", listing=True)
async def doctor(setup: "Setup", view: "View") -> Result:
    """Show what works here and what doesn't, with the remedy.

    With --runtime kubernetes: what the account may do, the least of it as a Role, and which faults there are.
    """
    if setup.choice.runtime == "kubernetes":
        from agent.commands.doctor_kubernetes import kubernetes

        return await kubernetes(setup, view)
    from agent.setup import version
    from tools.events import Table

    rows: list[Row] = [
        ("operator", "ok", f"{version()}, Python {sys.version.split()[0]} on {sys.platform}"),
        _state_folder(setup),
        await _etcd(),
        await _docker(),
        await _tikv(),
        _claude(),
        _terminal(),
    ]
    view.show(Table("What works here", ("what", "state", "what was found, or the remedy"), tuple(rows)))
    faults = await fault_rows(setup, "process", setup.choice.kubernetes)
    view.show(Table("Faults on etcd × process", ("fault", "works", "how, or why not"), tuple(faults)))
    return {
        "ok": all(state == "ok" for _, state, _ in rows[1:3]),
        "checks": [dict(zip(("name", "state", "text"), row, strict=True)) for row in rows],
        "faults": [dict(zip(("fault", "state", "text"), row, strict=True)) for row in faults],
    }


def _state_folder(setup: "Setup") -> Row:
    from subjects.errors import SubjectError
    from subjects.state import open_state

    try:
        return "state folder", "ok", str(open_state(setup.state_dir).root)
    except SubjectError as error:
        return "state folder", "unusable", str(error)


async def _etcd() -> Row:
    from subjects.etcd.binary import find_binary

    try:
        found = await find_binary()
    except SubjectError as error:
        return "etcd", "missing", str(error)
    caveat = f"; {found.caveat}" if found.caveat else ""
    return "etcd", "ok", f"{found.version}, from {found.origin}{caveat}"


async def _docker() -> Row:
    from subjects.runtimes.engine import connect

    try:
        engine = await connect()
    except SubjectError as error:
        return "docker", "absent", f"{error} (TiKV needs it; etcd does not)"
    engine.close()
    return "docker", "ok", f"an engine answers at {engine.address}"


async def _tikv() -> Row:
    from subjects.runtimes.docker import images_present
    from subjects.tikv.loads import EXTRA, driver_installed

    present, why = await images_present("tikv")
    load = (
        "its load is operator's own"
        if driver_installed()
        else f"its load is go-ycsb (pip install '{EXTRA}' for percentiles and a check of every write)"
    )
    if present:
        return "TiKV", "ok", f"{why}; {load}"
    cost = (
        "; the first start pulls the images of pd and tikv, about a gigabyte" if "is not here" in why else ""
    )
    return "TiKV", "absent", f"{why}{cost}; {load}"


def _claude() -> Row:
    from agent.models.providers import credentials_found, setup_help

    if credentials_found():
        return "Claude", "ok", "credentials were found; they are tried with the first request"
    return "Claude", "absent", setup_help()


def _terminal() -> Row:
    if not sys.stdout.isatty():
        return "terminal", "ok", "standard output is not a terminal: plain text is printed"
    return "terminal", "ok", f"{os.environ.get('TERM', 'unknown')}, {os.get_terminal_size().columns} columns"


async def fault_rows(setup: "Setup", runtime: str, options: "KubernetesOptions") -> list[Row]:
    """Return each fault with whether it can be done on etcd at a runtime, and how or why not."""
    from subjects.clusters import Decision, open_cluster
    from subjects.state import open_state
    from tools.faults.catalogue import CATALOGUE, capability

    decision = Decision("etcd", runtime, "")
    try:
        cluster = await open_cluster(open_state(setup.state_dir), decision, kubernetes=options)
    except SubjectError as error:
        return [("all", "no", str(error))]
    async with aclosing(cluster):
        able = {kind: capability(fault, cluster) for kind, fault in CATALOGUE.items()}
    return [
        (kind, "yes" if each.available else "no", each.reason or CATALOGUE[kind].meaning)
        for kind, each in able.items()
    ]
