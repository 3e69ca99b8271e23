"""What counts as a second witness against a node."""

import pytest

from tools.detection.conditions import Conditions
from tools.observe.kinds import signal
from tools.observe.signal import CLIENT_PORT, HEALTH_PORT, Signal

SILENT = signal("silent", "n2", "", via=HEALTH_PORT)
PEERS = signal("peer_lost", "n2", "2 of 2 peers lost connection")
EDGE = signal("edge_lost", "n2", "1 of 2 peers lost connection")
DISK = signal("slow_disk", "n2", "slow score 90")
LATE = signal("late_port", "n2", "answered in 700 ms")


@pytest.mark.parametrize(
    ("held", "witnessed"),
    [
        ((SILENT,), False),
        ((SILENT, PEERS), True),
        ((SILENT, signal("silent", "n2", "", via=CLIENT_PORT)), True),
        ((SILENT, signal("silent", "n3", "", via=CLIENT_PORT)), False),
        # A lost edge is about two nodes.
        ((EDGE, DISK), False),
        ((DISK, EDGE), False),
        ((LATE, EDGE), False),
        ((DISK, PEERS), True),
    ],
)
def test_a_second_witness(held: tuple[Signal, ...], witnessed: bool) -> None:
    conditions = Conditions()
    first, *_ = [conditions.put(each) for each in held]

    assert conditions.witnessed(first) is witnessed
