"""The playbook driver: a fixed script behind the same protocol as Claude."""

from agent.models.playbook.model import PlaybookModel

__all__ = ["PlaybookModel"]
