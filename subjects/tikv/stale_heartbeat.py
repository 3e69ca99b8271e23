"""After a change of PD leader healthy stores can look Disconnected, until their next heartbeat.

PD persists a store's heartbeat time every five minutes at most, and a new leader begins with what was
persisted. So for a while its `Disconnected` counts only where something else speaks against the store.
"""

from dataclasses import replace

from subjects.base import Connection, ControlState, Health, NodeView, ProcessState

DOUBT_S = 30.0
"""The default store heartbeat (10 s), three times."""


class StaleHeartbeatFilter:
    """Knows since when the present PD leader has led, as far as that was seen."""

    def __init__(self) -> None:
        self._leader: str | None = None
        self._since = float("-inf")

    def leader(self, name: str | None, at: float) -> None:
        """Note who leads at monotonic `at`. The first look is a change too: nobody knows what came before."""
        if name is not None and name != self._leader:
            self._leader, self._since = name, at

    def judged(self, view: NodeView, at: float) -> NodeView:
        """Return the view, without PD's view where only a new leader speaks against a store."""
        doubtful = view.control in (ControlState.DISCONNECTED, ControlState.DOWN)
        if not doubtful or at - self._since > DOUBT_S or not _vouched_for(view):
            return view
        details = {**view.details, "pd_state": f"{view.details.get('pd_state')} (by a new PD leader)"}
        return replace(view, control=ControlState.UNKNOWN, details=details)


def _vouched_for(view: NodeView) -> bool:
    return (
        view.itself.health is Health.HEALTHY
        and view.client.connection in (Connection.ACCEPTED, Connection.UNKNOWN)
        and view.process.state in (ProcessState.RUNNING, ProcessState.UNKNOWN)
        and all(view.peers.values())
    )
