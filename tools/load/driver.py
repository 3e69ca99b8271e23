"""What the load generator asks of a database."""

from typing import Protocol

from subjects.load import Record


class Driver(Protocol):
    """One client of one database, made of (endpoints, options) and used by one event loop.

    Deadlines are monotonic seconds (`time.monotonic()`, which is asyncio's clock). What does not succeed
    by then raises OperationFailed, which says whether it timed out and whether a write may have happened.
    A write that may have happened is never repeated.
    """

    async def connect(self) -> None:
        """Make ready; need not reach the database."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...

    async def read(self, key: str, deadline: float) -> Record | None:
        """Read one record, linearizably; None when there is none."""
        ...

    async def update(self, key: str, value: bytes, deadline: float) -> int | None:
        """Write one record and return the revision of the write: later writes have greater ones. None where
        the database has no revisions."""
        ...

    async def insert(self, key: str, value: bytes, deadline: float) -> int | None:
        """Write a new record and return the revision of the write, if there is one."""
        ...

    async def scan(self, start: str, count: int, deadline: float) -> int:
        """Read up to `count` records from `start` on; return how many there were."""
        ...

    def take_failures(self) -> dict[str, int]:
        """Return the failed attempts by endpoint since the last call, also those made up for elsewhere."""
        ...
