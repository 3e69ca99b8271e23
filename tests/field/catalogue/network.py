"""What happens between members, and between them and us."""

import subprocess
import sys
import time

from subjects.runtimes.ports import free_ports
from tests.field.case import Field, Say, case
from tests.field.members import HOST, Members, NotHere


@case(
    Say(
        kinds=("partition",),
        within_s=6.0,
        confidence=("high", "medium"),
        states=("degraded",),
        advice="network|link|route|firewall|reach",
    ),
    "etcd-io/etcd#15488",
)
def follower_cut_off(field: Field) -> None:
    """A follower is cut off from its peers; clients still reach it."""
    with field.members(3, relayed=True) as etcd, field.watching(etcd, settle_s=25):
        n = etcd.follower()
        assert etcd.links is not None
        etcd.links.isolate(etcd[n].name, tuple(name for name in etcd.names if name != etcd[n].name))
        field.happens(etcd[n].name)
        time.sleep(4)
        field.truth(
            "it serves no linearizable read, the others do",
            holds=not etcd.read(n, timeout_s=2) and etcd.read(etcd.leader()),
        )


@case(
    Say(kinds=("partition",), within_s=6.0, confidence=("high", "medium"), states=("degraded",)),
    "etcd-io/etcd#13284",
)
def leader_cut_off(field: Field) -> None:
    """The leader is cut off from its peers: the others elect another one."""
    with field.members(3, relayed=True) as etcd, field.watching(etcd, settle_s=25):
        n = etcd.leader()
        assert etcd.links is not None
        etcd.links.isolate(etcd[n].name, tuple(name for name in etcd.names if name != etcd[n].name))
        field.happens(etcd[n].name)
        others = [k for k in range(3) if k != n]
        etcd.wait(lambda: etcd.put(others[0]), "the others go on", 15)


@case(
    Say(
        kinds=("partition", "unknown"),
        unknown=True,
        within_s=30.0,
        confidence=("medium", "low"),
        states=("degraded", "healthy"),
        node=False,
    ),
    "etcd-io/etcd#18801",
)
def one_edge_cut(field: Field) -> None:
    """Leader and one follower can't reach each other; both reach the third."""
    with field.members(3, relayed=True) as etcd, field.watching(etcd, settle_s=30):
        n, leader = etcd.follower(), etcd.leader()
        assert etcd.links is not None
        a, b = etcd[n].name, etcd[leader].name
        etcd.links.cut((a, b), (b, a))
        field.happens(a)
        time.sleep(20)


@case(
    Say(
        kinds=("leader_loss",),
        within_s=30.0,
        states=("degraded", "healthy"),
        node=False,
        confidence=("medium", "low"),
        says="leader",
    ),
    "etcd-io/etcd#13587",
)
def leader_moves(field: Field) -> None:
    """Leadership is moved by the API every 2.5 s, twelve times: nobody is down."""
    with field.members(3) as etcd, field.watching(etcd, settle_s=6):
        field.happens()
        for _ in range(12):
            leader = etcd.leader()
            target = (leader + 1) % 3
            etcd.try_post(
                leader, "maintenance/transfer-leadership", {"targetID": str(int(etcd.id(target), 16))}, 5
            )
            time.sleep(2.2)


@case(Say(kinds=(), states=("healthy",)), "etcd-io/etcd#15477", quick=True)
def one_leader_move(field: Field) -> None:
    """Leadership is handed over once, as before maintenance: no incident."""
    with field.members(3) as etcd, field.watching(etcd, settle_s=6):
        field.happens()
        leader = etcd.leader()
        etcd.post(
            leader, "maintenance/transfer-leadership", {"targetID": str(int(etcd.id((leader + 1) % 3), 16))}
        )
        field.truth("puts are taken", holds=etcd.put(0))


BALANCER = """
import asyncio, sys
listen, *targets = map(int, sys.argv[1:])
turn = 0
async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data); await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
async def serve(reader, writer):
    global turn
    for _ in targets:
        turn += 1
        try:
            r, w = await asyncio.open_connection("127.0.0.1", targets[turn % len(targets)])
            break
        except OSError:
            continue
    else:
        writer.close(); return
    await asyncio.gather(pump(reader, w), pump(r, writer))
async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", listen) as server:
        await server.serve_forever()
asyncio.run(main())
"""


def balancer(listen: int, targets: list[int]) -> "subprocess.Popen[bytes]":
    """Start a load balancer: each connection goes to the next member that takes it."""
    return subprocess.Popen(
        [sys.executable, "-c", BALANCER, str(listen), *map(str, targets)], stderr=subprocess.DEVNULL
    )


def ports_of(etcd: Members) -> list[int]:
    """Return the client ports of all members."""
    return [int(member.client.rpartition(":")[2]) for member in etcd.members]


@case(Say(kinds=(), states=("healthy",)), "etcd-io/etcd#13097", "k3s-io/k3s#4213", quick=True)
def behind_a_balancer(field: Field) -> None:
    """One address with three members behind it: three members, each by its own id, and nothing wrong."""
    (listen,) = free_ports(1)
    with field.members(3) as etcd:
        process = balancer(listen, ports_of(etcd))
        try:
            etcd.wait(lambda: _listens(listen), "the balancer listens", 10)
            with field.watching(f"http://{HOST}:{listen}", settle_s=8):
                field.happens()
        finally:
            process.kill()
            process.wait()


@case(
    Say(
        kinds=("crash", "unknown"),
        within_s=8.0,
        states=("degraded",),
        confidence=("low",),
        says="behind one address",
    ),
    "etcd-io/etcd#13097",
)
def behind_a_balancer_only(field: Field) -> None:
    """As before, but the members advertise addresses that can't be reached from here; one is killed."""
    (listen,) = free_ports(1)
    hidden = {n: f"http://etcd-{n}.invalid:2379" for n in range(3)}
    with field.members(3, advertise=hidden) as etcd:
        process = balancer(listen, ports_of(etcd))
        try:
            etcd.wait(lambda: _listens(listen), "the balancer listens", 10)
            with field.watching(f"http://{HOST}:{listen}", settle_s=20):
                time.sleep(2)
                n = etcd.follower()
                field.happens(etcd[n].name, at=etcd[n].end())
                time.sleep(6)
        finally:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@case(Say(kinds=("crash",), within_s=2.0, states=("degraded",)))
def two_watches_at_once(field: Field) -> None:
    """Two watches look at the same cluster; both must tell."""
    from tests.field.watching import Watch

    with field.members(3) as etcd, Watch(etcd.endpoints, field.folder) as other, field.watching(etcd):
        n = etcd.follower()
        at = etcd[n].end()
        field.happens(etcd[n].name, at=at)
        field.truth(
            "the other watch tells it, too",
            holds=other.until(lambda line: line["type"] == "detection", 5, at) is not None,
        )


@case(Say(kinds=("crash",), within_s=2.0, states=("degraded",)))
def one_endpoint_of_five(field: Field) -> None:
    """Five members, of which one endpoint was given; another is killed."""
    with field.members(5) as etcd, field.watching(etcd[0].client):
        n = next(k for k in range(1, 5) if k != etcd.leader())
        field.happens(etcd[n].name, at=etcd[n].end())


@case(Say(kinds=("crash",), within_s=2.0, states=("degraded",)))
def over_ipv6(field: Field) -> None:
    """The members are reached over IPv6."""
    import socket

    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        raise NotHere("there is no IPv6 here") from error
    with field.members(3, host="::1") as etcd, field.watching(etcd):
        n = etcd.follower()
        field.happens(etcd[n].name, at=etcd[n].end())


@case(
    Say(
        kinds=("partition", "unknown"),
        within_s=8.0,
        node=False,
        confidence=("low",),
        states=("unknown",),
        says="load balancer",
        never="while others answer|Start m",
    )
)
def balancer_gone(field: Field) -> None:
    """The load balancer, our only way in, dies; all members live."""
    (listen,) = free_ports(1)
    hidden = {n: f"http://etcd-{n}.invalid:2379" for n in range(3)}
    with field.members(3, advertise=hidden) as etcd:
        process = balancer(listen, ports_of(etcd))
        try:
            etcd.wait(lambda: _listens(listen), "the balancer listens", 10)
            with field.watching(f"http://{HOST}:{listen}", settle_s=20):
                time.sleep(2)
                process.kill()
                field.happens()
                field.truth("the members serve", holds=etcd.put(0))
        finally:
            process.kill()
            process.wait()
