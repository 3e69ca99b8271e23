"""Free ports on loopback, outside the range from which the kernel takes ports for outgoing connections.

A member that is killed must find its port free when it is started again; a port of the ephemeral range
could have been taken by any client's connection in between.

Between the choice and the moment a member binds its port, another operator may look for ports as well. So
each chosen port is a locked byte of one file for each user, until the process that chose it ends.
"""

import fcntl
import functools
import os
import random
import socket
import sys
import tempfile
from pathlib import Path

from subjects.errors import NotReady

HOST = "127.0.0.1"
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_ATTEMPTS = 2000


def free_ports(count: int, within: tuple[int, int] | None = None) -> list[int]:
    """Return `count` ports that nothing listens on and nobody else has chosen.

    NotReady if there are too few, or where nothing reaches loopback.
    `within` are the lowest and the highest to choose from; left out, those that the kernel leaves alone.
    """
    _require_loopback()
    low, high = within or for_processes()
    held: list[socket.socket] = []
    ports: list[int] = []
    try:
        for _ in range(_ATTEMPTS):
            if len(ports) == count:
                return ports
            port = random.randint(low, high)  # noqa: S311 - not a secret
            candidate = socket.socket()
            try:
                candidate.bind((HOST, port))
            except OSError:
                candidate.close()
                continue
            held.append(candidate)
            if _reserve(port):
                ports.append(port)
    finally:
        for each in held:
            each.close()
    raise NotReady(
        f"No {count} free ports were found on {HOST} between {low} and {high}: stop what listens there."
    )


def _require_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        try:
            datagrams.connect((HOST, 9))  # sends nothing
        except OSError as error:
            raise NotReady(
                f"{HOST} cannot be reached on this machine: {error.strerror}. "
                "Its loopback interface is down: `ip link set lo up`."
            ) from error


_chosen: set[int] = set()
"""What this process has chosen: its own locks do not keep it out."""


def _reserve(port: int) -> bool:
    if port in _chosen:
        return False
    file = _locks()
    if file is not None:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            return False
    _chosen.add(port)
    return True


@functools.cache
def _locks() -> int | None:
    """Open the file whose bytes are ports; None where there can't be one: chance chooses then."""
    path = Path(tempfile.gettempdir()) / f"operator-ports-{os.getuid()}"
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return None


def for_processes() -> tuple[int, int]:
    """Return the range for what binds its ports at once."""
    low, high = _range()
    return low, low + 3 * (high - low) // 4


def for_containers() -> tuple[int, int]:
    """Return the range for containers: they bind seconds later, so no process may take from it meanwhile."""
    return for_processes()[1] + 1, _range()[1]


def _range() -> tuple[int, int]:
    if sys.platform != "linux":
        return 20_000, 49_000  # macOS takes ephemeral ports from 49152 up
    try:
        first = int(EPHEMERAL.read_text().split()[0])
    except OSError:  # a sandbox that shows no /proc/sys
        first = 32_768  # Linux's default
    return (15_000, first - 1) if first > 20_000 else (61_000, 65_000)
