"""Why a node can't be looked at, where something on our side keeps us from it."""

from subjects.base import NodeView, Unseen, UnseenReason

_ITS_OWN = frozenset({UnseenReason.REFUSED, UnseenReason.SILENT, UnseenReason.UNREACHED})
"""What detection speaks of itself."""


def on_our_side(node: NodeView) -> Unseen | None:
    """Return why it can't be looked at; None where it can be, or where that is the node's own trouble."""
    return node.unseen if node.unseen is not None and node.unseen.reason not in _ITS_OWN else None


def sentence(node: str, unseen: Unseen) -> str:
    """Say it of a node, and what to do."""
    remedy = f" Remedy: {unseen.remedy}." if unseen.remedy else ""
    return f"{node} cannot be looked at: {unseen.text}.{remedy}"
