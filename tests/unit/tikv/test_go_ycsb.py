"""go-ycsb's lines, in both formats: cumulative figures become what was added."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable

import pytest

from subjects.tikv.go_ycsb import LOCAL, Differences, command, go_ycsb_key, load_target, read_row
from subjects.tikv.spread import RECORDS, split_keys
from tests.standins.go_ycsb_standin import key_of
from tools.load.choosers import key_name

NEW = (
    "READ   - Takes(s): 10.0, Count: 19332, OPS: 1933.3, Avg(us): 247, Min(us): 138, Max(us): 1110, "
    "50th(us): 243, 90th(us): 289, 95th(us): 317, 99th(us): 407, 99.9th(us): 661, 99.99th(us): 871"
)
OLD = (
    "UPDATE - Takes(s): 2.0, Count: 100, OPS: 50.0, Avg(us): 247, Min(us): 138, Max(us): 1110, "
    "99th(us): 407, 99.9th(us): 661, 99.99th(us): 871"
)


def test_the_new_format_is_read() -> None:
    row = read_row(NEW)

    assert row is not None
    assert (row.operation, row.count) == ("READ", 19332)
    assert not row.failed


def test_the_old_format_is_read() -> None:
    row = read_row(OLD)

    assert row is not None
    assert (row.operation, row.count) == ("UPDATE", 100)


def test_error_rows_are_failures() -> None:
    row = read_row(NEW.replace("READ  ", "READ_ERROR"))

    assert row is not None
    assert row.failed


@pytest.mark.parametrize(
    "line", ["", '"recordcount"="1000"', "Run finished, takes 1m0.5s", "READ - nonsense: x"]
)
def test_other_lines_are_none(line: str) -> None:
    assert read_row(line) is None


def test_cumulative_counts_are_differenced() -> None:
    differences = Differences()
    rows = [read_row(NEW), read_row(NEW.replace("10.0", "11.0").replace("19332", "20000"))]

    added = [differences.add(row) for row in rows if row]

    assert [growth.count for growth in added] == [19332, 668]


def test_a_run_gets_no_end_and_tells_its_errors() -> None:
    target = load_target(("go-ycsb",), ("pd0:2379", "pd1:2379"), LOCAL)

    argv = command(target, "run", records=100, rate=300.0, threads=4, proportions={"readproportion": 0.5})

    assert argv[:3] == ("go-ycsb", "run", "tikv")
    assert "tikv.pd=pd0:2379,pd1:2379" in argv
    assert "silence=false" in argv
    assert "operationcount=1000000000" in argv
    assert argv[-2:] == ("--target", "300")


def test_its_keys_are_those_that_the_real_one_wrote() -> None:
    assert go_ycsb_key(0) == "usertable:user6284781860667377211"
    assert go_ycsb_key(999) == "usertable:user6283716433899829977"
    assert all(key_of(record).decode() == go_ycsb_key(record) for record in range(RECORDS))


@pytest.mark.parametrize("key", [go_ycsb_key, key_name])
def test_a_new_cluster_is_split_so_that_every_region_has_its_part_of_a_load(
    key: Callable[[int], str],
) -> None:
    keys = split_keys()
    held = Counter(bisect_right(keys, key(record)) for record in range(RECORDS))

    assert len(held) == 6
    assert min(held.values()) > RECORDS / 10
