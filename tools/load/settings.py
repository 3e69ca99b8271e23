"""What load is asked for."""

from dataclasses import dataclass

from tools.errors import ToolError
from tools.load.workloads import WORKLOADS, Workload

FIELDS, FIELD_BYTES = 10, 100
"""YCSB's defaults: a record is ten fields of a hundred bytes."""

RECORD_BYTES = FIELDS * FIELD_BYTES


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """One load: what, how much, for how long each operation may take."""

    workload: str = "A"
    records: int = 1000
    rate: float = 300.0
    """Operations that become due each second, whether or not earlier ones are done."""
    seed: int = 0
    """The same seed gives the same sequence of operations and keys."""
    deadline_s: float = 2.0
    """From when an operation is due; what is not done by then counts as a timeout."""
    max_in_flight: int = 128
    """The most operations under way at once; others wait their turn, and time out if it does not come."""

    def checked(self) -> "LoadSettings":
        """Return these settings with the workload's name in capitals; ToolError if they make no sense."""
        name = self.workload.strip().upper()
        if name not in WORKLOADS:
            raise ToolError(
                f"There is no workload {self.workload!r}.", f"The workloads are: {', '.join(WORKLOADS)}."
            )
        _within("records", self.records, 1, 1_000_000)
        _within("rate", self.rate, 1, 20_000)
        _within("deadline_s", self.deadline_s, 0.05, 60)
        _within("max_in_flight", self.max_in_flight, 1, 4096)
        return LoadSettings(name, self.records, self.rate, self.seed, self.deadline_s, self.max_in_flight)

    @property
    def chosen(self) -> Workload:
        """The workload itself."""
        return WORKLOADS[self.workload]


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ToolError(f"{name} is {value:g}.", f"It can be from {low:g} to {high:g}.")
