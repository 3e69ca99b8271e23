"""Free ports on loopback, outside the range from which the kernel takes ports for outgoing connections.

A member that is killed must find its port free when it is started again; a port of the ephemeral range
could have been taken by any client's connection in between.
"""

import random
import socket
import sys
from pathlib import Path

from subjects.errors import NotReady

HOST = "127.0.0.1"
_ATTEMPTS = 2000


def free_ports(count: int, within: tuple[int, int] | None = None) -> list[int]:
    """Return `count` ports that nothing listens on now. NotReady when there are not that many.

    `within` are the lowest and the highest to choose from; left out, those that the kernel leaves alone.
    """
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
            ports.append(port)
    finally:
        for each in held:
            each.close()
    raise NotReady(
        f"No {count} free ports were found on {HOST} between {low} and {high}: stop what listens there."
    )


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
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return (15_000, first - 1) if first > 20_000 else (61_000, 65_000)
