"""go-ycsb, TiKV's load: how it is called, and what its lines say.

Its figures are cumulative since the first sample of each operation, and never reset; its exit status is
0 even if everything failed. So lines are differenced, and the load is judged by counts and error rows.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from subjects.base import LoadTarget

LOCAL, IN_NETWORK = "local", "in-network"
"""Where go-ycsb runs: as a process here, or as a container in the cluster's own network."""

DRIVER = "go-ycsb"

_LINE = re.compile(r"^(\S+)\s+- (Takes\(s\): .*)$")
_ERROR = "_ERROR"
TOTAL = "TOTAL"


def load_target(argv: tuple[str, ...], endpoints: tuple[str, ...], where: str) -> LoadTarget:
    """Return how the load is started: `argv`, followed by go-ycsb's own arguments. Empty: there is none."""
    return LoadTarget(DRIVER, endpoints, {"argv": json.dumps(argv), "where": where})


def command(
    target: LoadTarget,
    phase: str,
    *,
    records: int,
    rate: float,
    threads: int,
    proportions: Mapping[str, float],
) -> tuple[str, ...]:
    """Return the whole command line of the phase `load` or `run`.

    `maxexecutiontime` is not implemented there: a run gets operations without end, and is stopped.
    """
    properties = {
        "tikv.pd": ",".join(target.endpoints),
        "tikv.type": "raw",
        "tikv.conncount": "4",  # 128 by default, for each of which a laptop pays
        "workload": "core",
        "recordcount": str(records),
        "operationcount": str(records if phase == "load" else 1_000_000_000),
        "requestdistribution": "zipfian",
        "silence": "false",
        "outputstyle": "plain",
        **{name: f"{share:g}" for name, share in proportions.items()},
    }
    arguments = [argument for name, value in properties.items() for argument in ("-p", f"{name}={value}")]
    rate_limit = ["--target", str(max(1, round(rate)))] if phase == "run" else []
    argv = tuple(json.loads(target.options["argv"]))
    return (*argv, phase, "tikv", *arguments, "--threads", str(threads), "--interval", "1", *rate_limit)


def go_ycsb_key(record: int) -> str:
    """Return the raw key of a record: the table, and FNV-1a of its number, the highest of eight bytes first.

    The last byte reaches the last 48 bits only: the keys of a small load begin alike (pkg/util/hash.go).
    """
    digest = 0xCBF29CE484222325
    for byte in record.to_bytes(8, "big"):
        digest = (digest ^ byte) * 0x100000001B3 % (1 << 64)
    return f"usertable:user{min(digest, (1 << 64) - digest)}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line: one kind of operation since its first sample. Latencies are of all that time: not read."""

    operation: str
    """As go-ycsb writes it: READ, UPDATE, …, TOTAL; errors end in `_ERROR`."""
    count: int

    @property
    def failed(self) -> bool:
        """Whether it counts failures."""
        return self.operation.endswith(_ERROR)


@dataclass(frozen=True, slots=True)
class Growth:
    """What was added to one kind of operation between two lines."""

    operation: str
    count: int


def read_row(line: str) -> Row | None:
    """Read one line of either format; None for any other text."""
    found = _LINE.match(line.strip())
    if found is None:
        return None
    values: dict[str, float] = {}
    for part in found[2].split(", "):
        name, _, value = part.partition(": ")
        try:
            values[name] = float(value)
        except ValueError:
            return None
    if "Count" not in values:
        return None
    return Row(found[1], int(values["Count"]))


@dataclass(slots=True)
class Differences:
    """Turns cumulative rows into what was added since the row before."""

    _before: dict[str, Row] = field(default_factory=dict)

    def add(self, row: Row) -> Growth:
        """Return what `row` adds. A count that fell is that of a new run: all of it was added."""
        before = self._before.get(row.operation)
        self._before[row.operation] = row
        if before is None or row.count < before.count:
            return Growth(row.operation, row.count)
        return Growth(row.operation, row.count - before.count)
