"""The errors of subjects and runtimes. Each message names the thing, what was expected, what to do next.

SubjectError
├── NotReady           the environment is not ready: no engine, no binary, no free port, no access
│   └── LaidOutMeanwhile  another operator made the same cluster in the same moment
├── BadSetup           a file or setting that was given is wrong
│   └── NeedsConsent   a person must allow it first
├── Unreachable        a node or endpoint did not answer, or answered something else
├── StaleTarget        the process or container is not the one that was meant
├── Unsupported        this runtime cannot do that, and why
└── NewerState         the state folder was written by a newer version
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from subjects.base.snapshot import Unseen


class SubjectError(Exception):
    """Something about the cluster or where it runs; its text is fit to be shown."""


class NotReady(SubjectError):
    """The environment is not ready; the text says what to install, start or change."""


class LaidOutMeanwhile(NotReady):
    """Another operator made this cluster while we did: open it again, as it was written down."""


class BadSetup(SubjectError):
    """A file or setting that was given is wrong."""


class NeedsConsent(BadSetup):
    """Nothing is made there unless a person allows it; the text says by which option."""

    def __init__(self, text: str, place: str, question: str) -> None:
        super().__init__(text)
        self.place = place
        """What they allow."""
        self.question = question
        """How they are asked for it, where there is somebody."""


class Unreachable(SubjectError):
    """A node did not answer, or answered something that is not this database."""

    def __init__(self, text: str, unseen: "Unseen | None" = None) -> None:
        super().__init__(text)
        self.unseen = unseen
        """Why, sorted by whose fault it is, where that is known."""


class StaleTarget(SubjectError):
    """The target is no longer the process or container that was meant; it was not touched."""


class Unsupported(SubjectError):
    """The runtime cannot do this here; the text is the reason."""


class NewerState(SubjectError):
    """The state folder was written by a newer version of operator."""
