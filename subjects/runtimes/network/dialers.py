"""Whose connections they are: the nodes that own the local ends, read from the kernel's tables.

Asked for every new connection while a rule is in force, and nodes that are cut off dial again and again: so
the table is read once a question, not once a node or once a connection.
"""

import contextlib
import json
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

Address = tuple[str, int]
_MAPPED = "0000000000000000FFFF0000"
"""A dual-stack socket has its address mapped into IPv6."""


def who_dials(folder: Path, names: Sequence[str], addresses: Sequence[Address]) -> dict[Address, str]:
    """Return the nodes that dialled from `addresses`; those from which no node did are left out."""
    if sys.platform != "linux":
        return _by_psutil(folder, names, addresses)
    sockets = dict(_bound_to(addresses))
    if not sockets:
        return {}
    return {
        sockets[inode]: name
        for name, pid in _processes(folder, names)
        for inode in _sockets(pid)
        if inode in sockets
    }


def _processes(folder: Path, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    for name in names:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            yield name, int(json.loads((folder / "nodes" / name / "process.json").read_text())["pid"])


def _bound_to(addresses: Sequence[Address]) -> Iterator[tuple[str, Address]]:
    """Yield (inode, address) of the sockets bound to one: from /proc/net/tcp (proc(5))."""
    wanted = {_hexadecimal(address): address for address in addresses}
    for table, prefix in (("tcp", ""), ("tcp6", _MAPPED)):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                _, local, *rest = line.split(maxsplit=10)
                address = wanted.get(local.removeprefix(prefix))
                if address is not None and rest[7] != "0":
                    yield rest[7], address


def _hexadecimal(address: Address) -> str:
    host, port = address
    return f"{struct.unpack('=I', socket.inet_aton(host))[0]:08X}:{port:04X}"


def _sockets(pid: int) -> Iterator[str]:
    """Yield the sockets that a process holds."""
    try:
        descriptors = list(os.scandir(f"/proc/{pid}/fd"))
    except OSError:
        return
    for each in descriptors:
        with contextlib.suppress(OSError):
            target = str(Path(each.path).readlink())
            if target.startswith("socket:["):
                yield target[8:-1]


def _by_psutil(folder: Path, names: Sequence[str], addresses: Sequence[Address]) -> dict[Address, str]:
    import psutil

    found: dict[Address, str] = {}
    for name, pid in _processes(folder, names):
        with contextlib.suppress(psutil.Error):
            ends = [tuple(each.laddr) for each in psutil.Process(pid).net_connections("tcp") if each.laddr]
            found |= {address: name for address in addresses if address in ends}
    return found
