"""What a database answers to one operation of a load: plain data, shared by the drivers of all databases.

A driver is a class `subjects.<database>.load:<Name>`; the protocol it fits is `tools.load.driver.Driver`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One record, as it was read back."""

    value: bytes
    revision: int | None
    """Of the write that left it so; a later write to the same key has a greater one. None where the database
    has none (TiKV's raw keys)."""


class OperationFailed(Exception):
    """One operation did not succeed.

    `timed_out`: there was no answer before the deadline. `indeterminate`: it was a write, it went out,
    and nobody knows whether it happened. `unsent`: it never reached the database, so that it may be sent
    elsewhere.
    """

    def __init__(
        self,
        text: str,
        *,
        timed_out: bool = False,
        indeterminate: bool = False,
        unsent: bool = False,
    ) -> None:
        super().__init__(text)
        self.timed_out = timed_out
        self.indeterminate = indeterminate
        self.unsent = unsent
