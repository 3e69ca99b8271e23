"""The modes of permission: a module of its own, since the prompt is drawn before the gate is loaded."""

from enum import StrEnum


class Mode(StrEnum):
    """What may run without asking: reads only, reads (and the rest after asking), or everything."""

    READ_ONLY = "read-only"
    ASK = "ask"
    AUTO = "auto"

    @property
    def following(self) -> "Mode":
        """The mode that Shift-Tab goes to."""
        modes = list(Mode)
        return modes[(modes.index(self) + 1) % len(modes)]
