"""A view of a watch that only keeps what it is shown."""

from tests.standins.quiet_view import QuietView
from tools.events import Notice


class Quiet(QuietView):
    """Keeps events, and knows what a watch says first."""

    def started(self) -> bool:
        """Whether the watch has said that it watches."""
        return any(isinstance(each, Notice) and each.text.startswith("Watching ") for each in self.events)

    def warned(self, words: str) -> bool:
        """Whether a warning with these words was shown."""
        return any(isinstance(each, Notice) and words in each.text for each in self.events)
