"""The workloads have YCSB's shape, and a seed repeats them."""

from collections import Counter
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.errors import ToolError
from tools.load.settings import LoadSettings
from tools.load.workloads import MAX_SCAN, WORKLOADS, Kind, Operations

NAMES = st.sampled_from(sorted(WORKLOADS))


@pytest.mark.parametrize("name", sorted(WORKLOADS))
def test_the_mix_is_the_one_that_ycsb_names(name: str) -> None:
    operations = Operations(WORKLOADS[name], 1000, seed=1)
    drawn = Counter(operations.draw().kind for _ in range(20_000))

    assert set(drawn) == set(WORKLOADS[name].mix)
    for kind, share in WORKLOADS[name].mix.items():
        assert drawn[kind] / 20_000 == pytest.approx(share, abs=0.01)


@given(NAMES, st.integers(1, 2000), st.integers())
def test_a_seed_gives_the_same_sequence_again(name: str, records: int, seed: int) -> None:
    one, two = (Operations(WORKLOADS[name], records, seed) for _ in range(2))

    assert [one.draw() for _ in range(100)] == [two.draw() for _ in range(100)]


def test_another_seed_gives_another_sequence() -> None:
    one, two = (Operations(WORKLOADS["A"], 1000, seed) for seed in (1, 2))

    assert [one.draw() for _ in range(100)] != [two.draw() for _ in range(100)]


@given(NAMES, st.integers(1, 200), st.integers())
def test_inserts_are_new_records_and_the_others_exist_by_then(name: str, records: int, seed: int) -> None:
    operations, new = Operations(WORKLOADS[name], records, seed), count(records)
    issued = records
    for _ in range(300):
        operation = operations.draw()
        if operation.kind is Kind.INSERT:
            assert operation.number == next(new)
            issued += 1
        else:
            assert 0 <= operation.number < issued
        assert (1 <= operation.count <= MAX_SCAN) == (operation.kind is Kind.SCAN)


def test_a_workload_may_be_written_in_small_letters() -> None:
    assert LoadSettings(workload=" b ").checked().workload == "B"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (LoadSettings(records=0), "records"),
        (LoadSettings(rate=-1), "rate"),
        (LoadSettings(rate=float("nan")), "rate"),
        (LoadSettings(deadline_s=0), "deadline_s"),
    ],
)
def test_figures_that_make_no_sense_are_refused_by_name(settings: LoadSettings, named: str) -> None:
    with pytest.raises(ToolError, match=named):
        settings.checked()
