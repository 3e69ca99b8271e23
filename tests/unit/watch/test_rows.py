"""A node's state in a word: who answers is not down."""

import pytest

from agent.watch.rows import node_state
from subjects.base import (
    NOT_PROBED,
    Connection,
    Health,
    NodeView,
    Probe,
    ProcessState,
    ProcessView,
    Role,
)

REFUSED = Probe(Connection.REFUSED)
ALARMED = Probe(Connection.ACCEPTED, Health.UNKNOWN, 1.0, '503 {"health":"false","reason":"ALARM NOSPACE"}')


@pytest.mark.parametrize(
    ("itself", "troubled", "state"),
    [
        (REFUSED, True, "down"),
        (NOT_PROBED, True, "down"),
        (ALARMED, True, "unhealthy"),
        (ALARMED, False, "unknown"),
        (REFUSED, False, "unknown"),
    ],
)
def test_who_answers_is_not_down(itself: Probe, state: str, *, troubled: bool) -> None:
    view = NodeView("m0", Role.FOLLOWER, "", ProcessView(ProcessState.UNKNOWN), NOT_PROBED, itself)

    assert node_state(view, ["m0"] if troubled else []) == state
