"""The network between pods: every pod has an address, and what its processes listen on is reached there.

A pod's processes really listen on a second, hidden address; what comes to the shown one is relayed, so that
drops can be put in force. A port is open only while the pod's own is: refused stays refused.
"""

import asyncio
import contextlib
import ipaddress
import os
import random
import socket
import struct
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from subjects.runtimes.network import sockdiag
from subjects.runtimes.network.pipe import PLAIN, Pipe, Shaping

_CLAIM_PORT = 45454
_NETLINK_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, _TCP_LISTEN = 4, 20, 0x301, 10
_HEADER = struct.Struct("=IHHII")
_MAPPED = bytes(10) + b"\xff\xff"
"""What comes before an IPv4 address in one of IPv6: RFC 4291, 2.5.5.2."""
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)
"""Classic BPF, `ret 0`: bpf(4)."""
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_CUT = Shaping(cut=True)
ANYWHERE = "0.0.0.0/0"
OWNERS_S = 0.02
"""The processes of all pods are looked through no more often for those who dial."""
Pids = Callable[[], Mapping[str, Collection[int]]]
"""Returns the processes of each pod, by its uid."""


@dataclass(frozen=True, order=True)
class Rule:
    """One rule of a pod's own routing, as `ip rule` has it: the first that fits a packet counts."""

    priority: int
    to: str
    """The network that packets go to."""
    passes: bool
    """Whether they take the usual way, or are lost."""


@dataclass(frozen=True)
class Chaos:
    """What is done to one pod's traffic from outside it."""

    out: Shaping = PLAIN
    into: Shaping = PLAIN
    peers: frozenset[str] | None = None
    """The pods, by uid, whose traffic with it is meant; None for all there is."""

    def meets(self, other: "Door | None") -> bool:
        return self.peers is None or (other is not None and other.uid in self.peers)


@dataclass
class Door:
    """One pod's place in the network."""

    uid: str
    address: str
    """As the API tells it."""
    inner: str
    """Where pods and the node reach it; the same, where the cluster's network can be reached from outside."""
    hidden: str
    """Where its processes listen."""
    alias: str = ""
    """The address of its name, which another pod of that name has after it."""
    rules: list[Rule] = field(default_factory=list)
    chaos: list[Chaos] = field(default_factory=list)
    silent: list[socket.socket] = field(default_factory=list)
    servers: dict[tuple[str, int], tuple[socket.socket, asyncio.Server]] = field(default_factory=dict)

    def sends(self, address: str) -> bool:
        """Whether what the pod sends there gets out."""
        to = ipaddress.ip_address(address)
        fitting = (rule for rule in sorted(self.rules) if to in ipaddress.ip_network(rule.to, strict=False))
        return next((rule.passes for rule in fitting), True)

    def dark(self) -> bool:
        """Whether nothing at all gets out."""
        return any(rule.to == ANYWHERE for rule in self.rules) and not any(rule.passes for rule in self.rules)


class _Wire:
    """One relayed connection."""

    def __init__(self, door: Door, port: int, near: Pipe) -> None:
        self.door, self.port, self.near, self.far = door, port, near, Pipe()
        self.source: Door | None = None
        self.asked = self.held = self.ended = False

    def ends(self) -> sockdiag.Ends | None:
        if self.near.transport is None:
            return None
        theirs, ours = (self.near.transport.get_extra_info(name) for name in ("peername", "sockname"))
        return ((theirs[0], theirs[1]), (ours[0], ours[1])) if theirs and ours else None


class _Accepted(Pipe):
    def __init__(self, network: "PodNetwork", door: Door, port: int) -> None:
        super().__init__()
        self._network, self.wire = network, _Wire(door, port, self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._network.accepted(self.wire)

    def eof_received(self) -> bool:
        super().eof_received()
        self.wire.ended = True
        return not self.wire.held


class PodNetwork:
    """All doors of one cluster."""

    def __init__(self, pids: Pids, *, reachable: bool = False) -> None:
        self._pids = pids
        self._reachable = reachable
        self.doors: dict[str, Door] = {}
        self._wires: set[_Wire] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._claim, self._second = _claim()
        self._next = 0
        self._aliases: dict[str, str] = {}
        self._looked_at = 0.0

    @property
    def node_address(self) -> str:
        """Where everything that is no pod's comes from."""
        return f"127.{self._second}.127.1"

    def add(self, uid: str, name: str, ports: Collection[int]) -> Door:
        """Give a pod addresses; `name` is that of the DNS, empty where it has none.

        From outside, nothing ever answers on its `ports` where the pods' addresses can't be reached.
        """
        self._next += 1
        high, low = divmod(self._next, 250)
        address, inner, hidden = (f"127.{self._second}.{base + high}.{low + 1}" for base in (0, 32, 128))
        alias = self.alias(name) if name else ""
        door = Door(uid, address, address if self._reachable else inner, hidden, alias)
        self.doors[uid] = door
        for port in () if self._reachable else ports:
            sock = socket.socket()
            sock.bind((address, port))
            sock.listen(1)
            _filter(sock, drop=True)
            door.silent.append(sock)
        return door

    def alias(self, name: str) -> str:
        """Return the address of a name: where the DNS would lead, whichever pod has the name."""
        return self._aliases.setdefault(name, f"127.{self._second}.64.{len(self._aliases) + 1}")

    def inner_of(self, address: str) -> str:
        """Return where an address as the API tells it is reached within the cluster."""
        return next((door.inner for door in self.doors.values() if door.address == address), address)

    def remove(self, door: Door) -> None:
        self.doors.pop(door.uid, None)
        for place in list(door.servers):
            self._shut(door, place)
        for sock in door.silent:
            sock.close()
        door.rules, door.chaos = [], []
        self._reshape()

    def close(self) -> None:
        for door in list(self.doors.values()):
            self.remove(door)
        self._claim.close()

    async def refresh(self) -> None:
        """Open what pods listen on by now, and shut what they don't any more."""
        listening: dict[str, set[int]] = {}
        for address, port in _listening():
            listening.setdefault(address, set()).add(port)
        for door in list(self.doors.values()):
            addresses = [each for each in {door.inner, door.alias} if each]
            wanted = {(each, port) for each in addresses for port in listening.get(door.hidden, ())}
            for place in set(door.servers) - wanted:
                self._shut(door, place)
            for place in wanted - set(door.servers):
                await self._open(door, place)

    def set_rules(self, door: Door, rules: list[Rule]) -> None:
        """Put exactly these in force."""
        door.rules = rules
        self._reshape()

    def set_chaos(self, chaos: Mapping[str, list[Chaos]]) -> None:
        """Put exactly this in force, by the pods' uids."""
        for door in self.doors.values():
            door.chaos = chaos.get(door.uid, [])
        self._reshape()

    def _reshape(self) -> None:
        if self._restricts:
            self._look([wire for wire in self._wires if not wire.asked])
        for wire in list(self._wires):
            self._shape(wire)
        for each in self.doors.values():
            for sock, _ in each.servers.values():
                _filter(sock, drop=each.dark())

    async def _open(self, door: Door, place: tuple[str, int]) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        try:
            sock.bind(place)
        except OSError:  # the pod that had the name before it is still there
            sock.close()
            return
        sock.listen(128)
        _filter(sock, drop=door.dark())
        server = await asyncio.get_running_loop().create_server(
            lambda: _Accepted(self, door, place[1]), sock=sock
        )
        door.servers[place] = (sock, server)

    def _shut(self, door: Door, place: tuple[str, int]) -> None:
        _, server = door.servers.pop(place, (None, None))
        if server is not None:
            server.close()

    def accepted(self, wire: _Wire) -> None:
        self._wires.add(wire)
        wire.near.on_closed = lambda: self._wires.discard(wire)
        task = asyncio.get_running_loop().create_task(self._dial(wire))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dial(self, wire: _Wire) -> None:
        """Join it with what the pod listens on; while rules are in force, once it is known who dialled."""
        while self._restricts and not wire.asked:
            wait_s = self._looked_at + OWNERS_S - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
                continue
            try:
                self._look([each for each in {wire, *self._wires} if not each.asked])
            except OSError:  # the kernel does not say whose it is
                wire.near.abort(reset=True)
                return
        self._shape(wire)
        if wire.held:
            if wire.ended:
                wire.near.abort()
            return
        wire.near.other, wire.far.other = wire.far, wire.near
        try:
            async with asyncio.timeout(60):
                await asyncio.get_running_loop().create_connection(
                    lambda: wire.far, wire.door.hidden, wire.port
                )
        except (OSError, TimeoutError):
            wire.near.abort(reset=True)
            return
        self._shape(wire)
        wire.near.release()
        wire.far.release()

    def _shape(self, wire: _Wire) -> None:
        """Lose what goes over a connection, both ways: TCP says nothing that is never acknowledged."""
        lost, joined = self._lost(wire), wire.near.other is not None
        asks, answers = _between(wire.source, wire.door), _between(wire.door, wire.source)
        cut = lost or asks.cut or answers.cut
        if not joined and cut:
            wire.held = True
        elif wire.held and not cut:
            wire.near.abort(reset=True)
        elif joined:
            wire.near.shape(_CUT if lost else asks)
            wire.far.shape(_CUT if lost else answers)

    @property
    def _restricts(self) -> bool:
        return any(door.rules or door.chaos for door in self.doors.values())

    def _lost(self, wire: _Wire) -> bool:
        if wire.source is None:
            return not wire.door.sends(self.node_address)
        return not (wire.door.sends(wire.source.inner) and wire.source.sends(wire.door.inner))

    def _look(self, wires: Collection[_Wire]) -> None:
        """Learn whose processes dialled."""
        sockets = {wire.ends(): wire for wire in wires}
        inodes = {inode: sockets[ends] for inode, ends in sockdiag.inodes([each for each in sockets if each])}
        owners = {each: uid for uid, pids in self._pids().items() for pid in pids for each in _sockets(pid)}
        for inode, wire in inodes.items():
            wire.source = self.doors.get(owners.get(inode, ""))
        for ends, wire in sockets.items():
            wire.asked = True
            dialler = ends[0][0] if ends else None
            for door in self.doors.values():
                if door.inner == dialler:  # dialled by its node for it
                    wire.source = door
        self._looked_at = time.monotonic()


def _between(source: Door | None, target: Door | None) -> Shaping:
    """Return what becomes of what one pod sends another; None is whatever is no pod."""
    meets = [each.out for each in (source.chaos if source else ()) if each.meets(target)]
    meets += [each.into for each in (target.chaos if target else ()) if each.meets(source)]
    return Shaping(
        cut=any(each.cut for each in meets),
        delay_s=sum(each.delay_s for each in meets),
        bytes_per_s=min((each.bytes_per_s for each in meets if each.bytes_per_s), default=0.0),
    )


def _claim() -> tuple[socket.socket, int]:
    """Take a part of 127.0.0.0/8 for this cluster alone, for as long as the socket is held."""
    for second in random.sample(range(16, 250), 234):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.bind((f"127.{second}.127.254", _CLAIM_PORT))
        except OSError:
            sock.close()
            continue
        return sock, second
    raise OSError("no part of 127.0.0.0/8 is free")


def _listening() -> Iterator[tuple[str, int]]:
    """Yield every IPv4 address and port that something listens on: gRPC does so by IPv6."""
    for address, port in _listeners(socket.AF_INET):
        yield socket.inet_ntoa(address[:4]), port
    for address, port in _listeners(socket.AF_INET6):
        if address.startswith(_MAPPED):
            yield socket.inet_ntoa(address[12:]), port


def _listeners(family: socket.AddressFamily) -> Iterator[tuple[bytes, int]]:
    """Yield the 16 bytes of each address of a family, and the port: sock_diag(7).

    /proc/net/tcp has the closed connections of the last minute, too: 50 ms for 28,000 of them (measured).
    """
    asked = _HEADER.pack(72, _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 0, 0)
    asked += struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, 1 << _TCP_LISTEN) + bytes(48)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
        netlink.send(asked)
        while True:
            answer = memoryview(netlink.recv(1 << 16))
            while answer:
                size, kind, *_ = _HEADER.unpack_from(answer)
                if kind != _SOCK_DIAG_BY_FAMILY:  # the end, or an error
                    return
                (port,) = struct.unpack_from("!H", answer, 20)
                yield bytes(answer[24:40]), port
                answer = answer[(size + 3) & ~3 :]


def _sockets(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for each in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(each.path)  # noqa: PTH115 - thousands of times
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


def _filter(sock: socket.socket, *, drop: bool) -> None:
    """Have the kernel drop whatever asks for a connection, as a network that carries nothing does."""
    with contextlib.suppress(OSError):
        if drop:
            program = bytearray(_DROP_ALL)
            keep = (_ctypes_array(program), len(program) // 8)
            sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", keep[1], keep[0][1]))
        else:
            sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def _ctypes_array(data: bytearray) -> tuple[object, int]:
    import ctypes

    array = (ctypes.c_char * len(data)).from_buffer(data)
    return array, ctypes.addressof(array)
