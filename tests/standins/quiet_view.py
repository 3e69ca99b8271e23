"""A view that draws nothing and keeps what it is shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tools.events import Event


@dataclass
class QuietView:
    """Keeps events, for tests to look at; nobody watches who could be asked."""

    interactive: bool = False
    unread: bool = False
    events: list[Event] = field(default_factory=list)

    def show(self, event: Event) -> None:
        self.events.append(event)

    @contextmanager
    def aside(self) -> Iterator[None]:
        yield

    async def aclose(self) -> None:
        return
