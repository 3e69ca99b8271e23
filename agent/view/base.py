"""What a view is: something that draws events, and can step aside while a person is asked."""

from contextlib import AbstractContextManager
from typing import Protocol

from tools.events import Event


class View(Protocol):
    """One way to draw what happens. Nothing else in the program prints."""

    @property
    def interactive(self) -> bool:
        """Whether a person watches, who can be asked."""
        ...

    @property
    def unread(self) -> bool:
        """Whether there was more to print after the reader of standard output had gone away."""
        ...

    def show(self, event: Event) -> None:
        """Draw `event`. Returns at once and never raises; a reader that went away is ignored."""
        ...

    def aside(self) -> AbstractContextManager[None]:
        """Leave the terminal to somebody else (a prompt); what is shown meanwhile is drawn afterwards."""
        ...

    async def aclose(self) -> None:
        """Draw what is left, within a bound. Nothing is drawn after it."""
        ...
