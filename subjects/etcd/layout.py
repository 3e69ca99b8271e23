"""Three etcd members as local processes."""

from pathlib import Path

from subjects.base import Scope
from subjects.etcd.binary import Binary
from subjects.runtimes.layout import Layout, Link, NodeSpec
from subjects.runtimes.ports import HOST, free_ports

MEMBERS = ("etcd-1", "etcd-2", "etcd-3")

HEARTBEAT_MS = 100
"""etcd's default."""
ELECTION_MS = 700
"""etcd's default of 1000 makes an election take up to 2 s (raft waits once to twice as long): a leader that
is lost and brought back at once would be missed for longer than the 2 s that operator promises. On loopback
a heartbeat takes less than 1 ms, and six in a row may be missed."""


def make_layout(folder: Path, binary: Binary) -> Layout:
    """Choose ports and write down how each member is started. Others reach it through the network process."""
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
    return Layout("etcd", nodes, links, {"version": binary.version, "origin": binary.origin})
