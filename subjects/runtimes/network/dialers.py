"""Whose connections they are: the nodes whose processes own the other ends.

Asked for every new connection while a rule is in force, and nodes that are cut off dial again and again.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from subjects.runtimes import identity
from subjects.runtimes.network import sockdiag
from subjects.runtimes.network.sockdiag import Address, Ends

GONE = ""
"""In the place of a node: whoever dialled has closed its end already, so who it was is unknown."""


def who_dials(folder: Path, names: Sequence[str], connections: Sequence[Ends]) -> dict[Ends, str]:
    """Return the nodes that dialled these connections (theirs, ours); those of others are left out.

    GONE for an end that is closed (on Linux; elsewhere it counts as somebody else's).
    """
    if sys.platform != "linux":
        return _by_psutil(folder, names, connections)
    with contextlib.suppress(OSError):
        return _by_inode(folder, names, connections)
    return _by_psutil(folder, names, connections)


def _by_inode(folder: Path, names: Sequence[str], connections: Sequence[Ends]) -> dict[Ends, str]:
    wanted = {inode: ends for inode, ends in sockdiag.inodes(connections) if inode != sockdiag.NO_INODE}
    closed = set(connections).difference(wanted.values())
    owned = {
        wanted[inode]: name
        for name, pid in (_processes(folder, names) if wanted else ())
        for inode in _sockets(pid)
        if inode in wanted
    }
    return owned | dict.fromkeys(closed, GONE)


def _by_psutil(folder: Path, names: Sequence[str], connections: Sequence[Ends]) -> dict[Ends, str]:
    import psutil

    owners: dict[Address, str] = {}
    for name, pid in _processes(folder, names):
        with contextlib.suppress(psutil.Error):
            for each in psutil.Process(pid).net_connections("tcp"):
                if each.laddr:
                    owners[each.laddr.ip, each.laddr.port] = name
    return {ends: owners[ends[0]] for ends in connections if ends[0] in owners}


def _processes(folder: Path, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    for name in names:
        if (known := identity.read(folder / "nodes" / name / "process.json")) is not None:
            yield name, int(known.id)


def _sockets(pid: int) -> Iterator[str]:
    """Yield the inodes of the sockets that a process holds."""
    try:
        descriptors = list(os.scandir(f"/proc/{pid}/fd"))
    except OSError:
        return
    for each in descriptors:
        with contextlib.suppress(OSError):
            target = os.readlink(each.path)  # noqa: PTH115 - hundreds of times a second
            if target.startswith("socket:["):
                yield target[8:-1]
