"""Three etcd members as local processes."""

from pathlib import Path

from subjects.base import Nodes, Scope
from subjects.etcd.binary import find_binary
from subjects.etcd.client import EtcdClient
from subjects.etcd.subject import Endpoint, EtcdSubject
from subjects.runtimes.layout import Layout, Link, NodeSpec
from subjects.runtimes.ports import HOST, free_ports

MEMBERS = ("etcd-1", "etcd-2", "etcd-3")

HEARTBEAT_MS = 100
"""etcd's default."""
ELECTION_MS = 700
"""etcd's default of 1000 makes an election take up to 2 s (raft waits once to twice as long): a leader that
is lost and brought back at once would be missed for longer than the 2 s that operator promises. On loopback
a heartbeat takes less than 1 ms, and six in a row may be missed."""


async def caveat() -> str:
    """Return what speaks against the etcd that would be started, a clause; empty if nothing does."""
    return (await find_binary()).caveat


async def make_layout(folder: Path) -> Layout:
    """Find etcd, choose ports, and write down how each member is started.

    Others reach it through the network process. NotReady when there is no etcd, or are no free ports.
    """
    binary = await find_binary()
    ports = iter(free_ports(5 * len(MEMBERS)))
    own = {name: {key: next(ports) for key in ("client", "peer", "metrics")} for name in MEMBERS}
    links = tuple(
        Link(name, scope, next(ports), own[name][key])
        for name in MEMBERS
        for scope, key in ((Scope.CLIENTS, "client"), (Scope.PEERS, "peer"))
    )
    public = {(link.node, link.scope): f"http://{HOST}:{link.port}" for link in links}
    initial = ",".join(f"{name}={public[name, Scope.PEERS]}" for name in MEMBERS)
    nodes = tuple(
        NodeSpec(
            name,
            (
                str(binary.path),
                f"--name={name}",
                f"--data-dir={folder / 'nodes' / name / 'data'}",
                f"--listen-client-urls=http://{HOST}:{own[name]['client']}",
                f"--advertise-client-urls={public[name, Scope.CLIENTS]}",
                f"--listen-peer-urls=http://{HOST}:{own[name]['peer']}",
                f"--initial-advertise-peer-urls={public[name, Scope.PEERS]}",
                f"--listen-metrics-urls=http://{HOST}:{own[name]['metrics']}",
                f"--initial-cluster={initial}",
                "--initial-cluster-state=new",
                "--initial-cluster-token=operator",
                "--logger=zap",
                f"--heartbeat-interval={HEARTBEAT_MS}",
                f"--election-timeout={ELECTION_MS}",
                # Without compaction a load that runs for hours fills etcd's 2 GB quota.
                "--auto-compaction-mode=revision",
                "--auto-compaction-retention=10000",
            ),
            own[name],
        )
        for name in MEMBERS
    )
    return Layout("etcd", nodes, links)


def make_subject(layout: Layout, nodes: Nodes) -> EtcdSubject:
    """Return the subject that asks the members both as clients do and on their own ports."""
    endpoints = {
        node.name: Endpoint(
            client=f"http://{HOST}:{layout.link(node.name, Scope.CLIENTS).port}",
            direct=f"http://{HOST}:{node.ports['client']}",
            metrics=f"http://{HOST}:{node.ports['metrics']}",
        )
        for node in layout.nodes
    }
    return EtcdSubject(endpoints, nodes, EtcdClient())
