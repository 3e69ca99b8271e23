"""PDs and three stores as local processes: the real binaries, on free ports of loopback."""

import asyncio
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from subjects.base import Nodes, Scope
from subjects.runtimes.layout import Layout, Link, NodeSpec
from subjects.runtimes.ports import HOST, free_ports
from subjects.tikv.binaries import Program, go_ycsb, pd_count, pd_server, tikv_server
from subjects.tikv.go_ycsb import LOCAL, load_target
from subjects.tikv.loads import Loads, operator_load
from subjects.tikv.members import Member
from subjects.tikv.pd import PdClient
from subjects.tikv.subject import TikvSubject

Ports = Mapping[str, Mapping[str, int]]
"""By node, and by what each is for."""

STORES = ("tikv0", "tikv1", "tikv2")

CAPACITY = "8GB"
"""Of each store, as PD is told: without it all three would claim the whole disk."""


async def make_layout(folder: Path) -> Layout:
    """Find the binaries, choose ports, and write down how every node is started."""
    pd, tikv, ycsb = await asyncio.to_thread(lambda: (pd_server(), tikv_server(), go_ycsb()))
    pds = tuple(f"pd{number}" for number in range(pd_count()))
    ports = iter(free_ports(4 * len(pds) + 3 * len(STORES)))
    own = {name: {"client": next(ports), "peer": next(ports)} for name in pds}
    own |= {name: {"data": next(ports), "status": next(ports)} for name in STORES}
    # One scope for all: everything that nodes say to each other. A store has one port for peers and clients.
    links = tuple(
        Link(name, Scope.PEERS, next(ports), port)
        for name, ports_of in own.items()
        for key, port in ports_of.items()
        if key != "status"
    )
    public = {link.target: f"{HOST}:{link.port}" for link in links}
    return Layout(
        "tikv",
        (
            *(_pd(name, pd, folder, own, public, pds) for name in pds),
            *(_store(name, tikv, folder, own, public, pds) for name in STORES),
        ),
        links,
        {"go-ycsb": "\n".join((*ycsb.argv, *ycsb.flags)) if ycsb else ""},
    )


def make_subject(layout: Layout, nodes: Nodes) -> TikvSubject:
    """Return the subject that asks these nodes on their own ports, past the network between them."""
    members = []
    for node in layout.nodes:
        if "client" in node.ports:
            members.append(Member(node.name, "pd", f"http://{HOST}:{node.ports['client']}", on_host=True))
            continue
        shown = layout.link(node.name, Scope.PEERS).port
        members.append(
            Member(
                node.name,
                "store",
                f"http://{HOST}:{node.ports['status']}",
                (HOST, shown),
                on_host=True,
            )
        )
    pds = [member for member in members if member.kind == "pd"]
    # As for clients that know nothing of operator: through the network that it may break.
    endpoints = tuple(f"{HOST}:{layout.link(member.name, Scope.PEERS).port}" for member in pds)
    argv = layout.options.get("go-ycsb", "")
    ycsb = load_target(tuple(argv.split("\n")) if argv else (), endpoints, LOCAL)
    return TikvSubject(
        members, nodes, PdClient([member.url for member in pds]), Loads(operator_load(endpoints), ycsb)
    )


def _pd(
    name: str,
    program: Program,
    folder: Path,
    own: Ports,
    public: Mapping[int, str],
    pds: Sequence[str],
) -> NodeSpec:
    """Return how a PD is started; `public` has the address under which others reach each port."""
    ports = own[name]
    initial = ",".join(f"{pd}=http://{public[own[pd]['peer']]}" for pd in pds)
    argv = (
        *program.argv,
        f"--name={name}",
        f"--data-dir={folder / 'nodes' / name / 'data'}",
        f"--client-urls=http://{HOST}:{ports['client']}",
        f"--advertise-client-urls=http://{public[ports['client']]}",
        f"--peer-urls=http://{HOST}:{ports['peer']}",
        f"--advertise-peer-urls=http://{public[ports['peer']]}",
        f"--initial-cluster={initial}",
        *program.flags,
    )
    return NodeSpec(name, argv, ports)


def _store(
    name: str,
    program: Program,
    folder: Path,
    own: Ports,
    public: Mapping[int, str],
    pds: Sequence[str],
) -> NodeSpec:
    """Return how a store is started."""
    ports = own[name]
    argv = (
        *program.argv,
        f"--config={files('subjects.tikv').joinpath('tikv.toml')}",
        f"--addr={HOST}:{ports['data']}",
        f"--advertise-addr={public[ports['data']]}",
        f"--status-addr={HOST}:{ports['status']}",
        f"--advertise-status-addr={HOST}:{ports['status']}",
        f"--data-dir={folder / 'nodes' / name / 'data'}",
        f"--capacity={CAPACITY}",
        f"--pd-endpoints={','.join(public[own[pd]['client']] for pd in pds)}",
        *program.flags,
    )
    return NodeSpec(name, argv, ports, after=tuple(pds))
