"""Offline mode: a script behind the same protocol as Claude, for when there is no key or with `--offline`."""

from agent.models.offline.model import OfflineModel

__all__ = ["OfflineModel"]
