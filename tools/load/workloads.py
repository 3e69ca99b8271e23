"""YCSB's core workloads A to F: which operation comes next, and on which key."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from types import MappingProxyType
from typing import Literal

from tools.load.choosers import Latest, ScrambledZipfian

MAX_SCAN = 100
"""YCSB's maxscanlength in workload E; lengths are uniform from 1."""


class Kind(StrEnum):
    """The kinds of operation."""

    READ = "read"
    UPDATE = "update"
    INSERT = "insert"
    SCAN = "scan"
    READ_MODIFY_WRITE = "read_modify_write"


@dataclass(frozen=True, slots=True)
class Workload:
    """One of YCSB's core workloads."""

    name: str
    mix: Mapping[Kind, float]
    """The share of each kind; they add up to 1."""
    chooser: Literal["zipfian", "latest"] = "zipfian"


WORKLOADS: Mapping[str, Workload] = MappingProxyType(
    {
        workload.name: workload
        for workload in (
            Workload("A", {Kind.READ: 0.5, Kind.UPDATE: 0.5}),
            Workload("B", {Kind.READ: 0.95, Kind.UPDATE: 0.05}),
            Workload("C", {Kind.READ: 1.0}),
            Workload("D", {Kind.READ: 0.95, Kind.INSERT: 0.05}, "latest"),
            Workload("E", {Kind.SCAN: 0.95, Kind.INSERT: 0.05}),
            Workload("F", {Kind.READ: 0.5, Kind.READ_MODIFY_WRITE: 0.5}),
        )
    }
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation that is due."""

    kind: Kind
    number: int
    """Of the record; `choosers.key_name` makes a key of it."""
    count: int = 0
    """How many records a scan asks for."""


class Operations:
    """The endless sequence of a workload's operations: the same for the same seed, whatever the timing.

    Zipfian keys are drawn from the records of the load phase, so that the often used ones stay the same
    when inserts come; `latest` draws from all that have been issued.
    """

    def __init__(self, workload: Workload, records: int, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - a repeatable sequence is what is wanted
        self._kinds = tuple(workload.mix.items())
        self._keys = Latest(records) if workload.chooser == "latest" else ScrambledZipfian(records)
        self._issued = records

    def draw(self) -> Operation:
        """Return the next operation."""
        kind = self._kind()
        if kind is Kind.INSERT:
            self._issued += 1
            return Operation(kind, self._issued - 1)
        number = self._number()
        if kind is Kind.SCAN:
            return Operation(kind, number, self._random.randint(1, MAX_SCAN))
        return Operation(kind, number)

    def _kind(self) -> Kind:
        left = self._random.random()
        for kind, share in self._kinds:
            left -= share
            if left < 0:
                return kind
        return self._kinds[-1][0]

    def _number(self) -> int:
        if isinstance(self._keys, Latest):
            return self._keys.draw(self._random, self._issued)
        return self._keys.draw(self._random)
