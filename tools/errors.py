"""The errors of tools.

ToolError             could not be done; the text says why, `next` what to do
├── NoCluster         there is no cluster yet
├── UnknownNode       no node has that name; the text names those that are
├── Refused           the guard refused a fault
└── NothingToDo       the state that was asked for is there already, or there is nothing to act on
"""


class ToolError(Exception):
    """An expected failure of a tool."""

    def __init__(self, message: str, next: str = "") -> None:  # noqa: A002 - the result's field
        super().__init__(message)
        self.next = next


class NoCluster(ToolError):
    """There is no cluster to work on."""

    def __init__(self) -> None:
        super().__init__("No cluster is running.", "Start one with cluster_start.")


class UnknownNode(ToolError):
    """The cluster has no such node."""

    def __init__(self, node: str, known: tuple[str, ...]) -> None:
        super().__init__(f"There is no node {node!r}.", f"The nodes are: {', '.join(known)}.")


class Refused(ToolError):
    """The guard refused: too large a blast radius, not ours, or not possible here."""


class NothingToDo(ToolError):
    """There is nothing to act on."""
