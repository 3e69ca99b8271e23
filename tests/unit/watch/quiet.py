"""A view that only keeps what it is shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tools.events import Event, Notice


@dataclass
class Quiet:
    """Keeps events."""

    interactive: bool = False
    events: list[Event] = field(default_factory=list)

    def show(self, event: Event) -> None:
        self.events.append(event)

    @contextmanager
    def aside(self) -> Iterator[None]:
        yield

    async def aclose(self) -> None:
        return

    def started(self) -> bool:
        """Whether the watch has said that it watches."""
        return any(isinstance(each, Notice) and each.text.startswith("Watching ") for each in self.events)

    def warned(self, words: str) -> bool:
        """Whether a warning with these words was shown."""
        return any(isinstance(each, Notice) and words in each.text for each in self.events)
