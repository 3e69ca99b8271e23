"""Whose connection it is: the node that owns the local end, read from the kernel's tables.

Asked for every connection while a rule is in force, and nodes that are cut off dial again and again: so the
table is read once a question, not once a node.
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


def who_dials(folder: Path, names: Sequence[str], address: Address) -> str | None:
    """Return the node that dialled from `address`; None when no node did."""
    if sys.platform != "linux":
        return _by_psutil(folder, names, address)
    inodes = set(_inodes(address))
    if not inodes:
        return None
    for name, pid in _processes(folder, names):
        if inodes & set(_sockets(pid)):
            return name
    return None


def _processes(folder: Path, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    for name in names:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            yield name, int(json.loads((folder / "nodes" / name / "process.json").read_text())["pid"])


def _inodes(address: Address) -> Iterator[str]:
    """Yield the sockets bound to `address`: proc(5), /proc/net/tcp, columns local_address and inode."""
    host, port = address
    as_v4 = f"{struct.unpack('=I', socket.inet_aton(host))[0]:08X}:{port:04X}"
    # A dual-stack socket has the address mapped into IPv6.
    for table, wanted in (("tcp", as_v4), ("tcp6", f"0000000000000000FFFF0000{as_v4}")):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(f"/proc/net/{table}").read_text().splitlines():
                if wanted in line and (fields := line.split())[1] == wanted and fields[9] != "0":
                    yield fields[9]


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


def _by_psutil(folder: Path, names: Sequence[str], address: Address) -> str | None:
    import psutil

    for name, pid in _processes(folder, names):
        with contextlib.suppress(psutil.Error):
            connections = psutil.Process(pid).net_connections("tcp")
            if any(each.laddr and tuple(each.laddr) == address for each in connections):
                return name
    return None
