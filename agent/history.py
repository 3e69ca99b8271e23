"""The history: messages that are only ever appended, valid for the API after anything.

The service binds later blocks to everything before them, so that nothing sent may change. What is
told between turns (a new mode, what the person types while tools run) is a `system` message right
after a user turn. `rebuild` makes the same history from a transcript, healed where a crash cut it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.models.base import Block, Message
from agent.repair import answered, keepable, text_block, tool_results
from prompts import remark


class History:
    """The messages of one conversation. Made by the session, appended to by the loop alone."""

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self._messages = list(messages)
        self._notes: list[str] = []
        self._said: list[str] = []
        self._remark = ""
        self._pasted: list[str] = []

    @property
    def messages(self) -> Sequence[Message]:
        """What the next request sends, oldest first."""
        return tuple(self._messages)

    def __len__(self) -> int:
        return len(self._messages)

    def user(self, text: str) -> str:
        """Append what the person asks, after the remark that waits, if any; return that remark."""
        if self._messages and self._messages[-1].role == "system":
            # A system message may only be followed by the assistant.
            self._messages.append(Message("assistant", (text_block(remark("unanswered")),)))
        before = "\n\n".join(part for part in (*self._pasted, self._remark) if part)
        self._pasted, self._remark = [], ""
        blocks = [text_block(part) for part in (before, text) if part.strip()]
        self._messages.append(Message("user", tuple(blocks) or (text_block("(empty)"),)))
        return before

    def assistant(self, content: Sequence[Block], stop_reason: str) -> tuple[Block, ...]:
        """Append what may be kept of a reply, and return that; appends nothing if it is nothing."""
        kept = keepable(content, stop_reason)
        if kept:
            if not self._messages and kept[0].get("type") != "compaction":  # the person has to be first
                self._messages.append(Message("user", (text_block(remark("lost")),)))
            self._messages.append(Message("assistant", kept))
        return kept

    def results(self, blocks: Sequence[Block]) -> None:
        """Append the results of all calls of the last reply, in one message."""
        self._messages.append(Message("user", tuple(blocks)))

    def note(self, text: str) -> None:
        """Keep `text` for the next place where a system message is allowed."""
        self._notes.append(text)

    def interject(self, text: str) -> None:
        """Keep what the person says while a reply is worked on, to be placed as a note is."""
        self._said.append(text)

    def unplaced(self) -> tuple[str, ...]:
        """Take back what was interjected and found no place yet."""
        said, self._said = tuple(self._said), []
        return said

    def remark(self, text: str) -> None:
        """Put `text` before what the person says next."""
        self._remark = text

    def paste(self, text: str) -> None:
        """Put `text`, which a tool or a database wrote, before what the person says next.

        Never as a note: a system message has the authority of whoever runs operator.
        """
        whole = text.replace("</pasted_content", "<\\/pasted_content")
        self._pasted.append(f"<pasted_content>\n{whole}\n</pasted_content>")

    def settle(self) -> str:
        """Place the waiting notes, just before a request; return what was placed."""
        if not self._messages or self._messages[-1].role != "user":
            return ""
        said = (remark("meanwhile", text=text) for text in self.unplaced())
        text = "\n\n".join((*self._notes, *said))
        if not text:
            return ""
        self._notes.clear()
        self._messages.append(Message("system", (text_block(text),)))
        return text

    def replace(self, messages: Iterable[Message]) -> None:
        """Start over from a summary: the one exception to `only appended`."""
        self._messages = list(messages)


def rebuild(entries: Iterable[Mapping[str, Any]]) -> History:
    """Return the history that a transcript's entries tell of.

    Calls without an outcome (the program was killed) are answered with what is known of them.
    Entries of other types are passed over.
    """
    history = History()
    pending: tuple[Block, ...] = ()
    started: set[str] = set()
    outcomes: dict[str, Mapping[str, Any]] = {}

    def close_round() -> None:
        nonlocal pending
        if pending:
            history.results(tool_results(pending, outcomes, started))
        pending = ()
        started.clear()
        outcomes.clear()

    for entry in entries:
        match entry.get("type"):
            case "user":
                close_round()
                history.remark(entry.get("remark", ""))
                history.user(entry["text"])
            case "assistant":
                close_round()
                kept = history.assistant(entry["content"], entry.get("stop_reason", ""))
                pending = tuple(block for block in kept if block.get("type") == "tool_use")
            case "call":
                started.add(entry["id"])
            case "outcome":
                outcomes[entry["id"]] = entry
                if answered(pending, outcomes):
                    close_round()
            case "system":
                close_round()
                _restore_system(history, entry)
            case "end":
                close_round()
            case _:
                continue
    close_round()
    return history


def _restore_system(history: History, entry: Mapping[str, Any]) -> None:
    if entry.get("kind") == "compaction":
        history.replace(Message(item["role"], tuple(item["content"])) for item in entry["messages"])
        return
    history.note(entry["text"])
    history.settle()
