"""What was acknowledged is compared with what is there, and nothing else passes for it."""

from hypothesis import given
from hypothesis import strategies as st

from subjects.load import Record
from tools.load.settings import RECORD_BYTES
from tools.load.written import MAX_UNSURE, Values, Verdict, Written


def written(*writes: tuple[int, int | None]) -> tuple[Written, list[Record]]:
    """Return writes to record 7 in the order they were sent: (revision, the one acknowledged or None)."""
    state, records = Written(), []
    for revision, acknowledged in writes:
        write, value = state.begin(7)
        records.append(Record(value, revision))
        if acknowledged is None:
            state.doubt(7, write)
        else:
            state.acknowledge(7, write, acknowledged)
    return state, records


def test_the_last_acknowledged_write_is_kept() -> None:
    state, (record,) = written((5, 5))

    assert state.judge(7, record) is Verdict.KEPT
    assert (state.acknowledged, state.keys, state.numbers()) == (1, 1, [7])


def test_a_record_that_is_gone_is_lost() -> None:
    state, _ = written((5, 5))

    assert state.judge(7, None) is Verdict.LOST


def test_an_older_write_of_ours_is_a_lost_one() -> None:
    state, (older, _) = written((5, 5), (6, 6))

    assert state.judge(7, older) is Verdict.LOST


def test_an_older_write_put_back_later_is_a_lost_one_too() -> None:
    state, (older, _) = written((5, 5), (6, 6))

    assert state.judge(7, Record(older.value, 9)) is Verdict.LOST


def test_of_concurrent_writes_the_greater_revision_is_the_last_whatever_was_answered_first() -> None:
    state, (first, second) = written((9, 9), (8, 8))

    assert state.judge(7, first) is Verdict.KEPT
    assert state.judge(7, second) is Verdict.LOST


def test_an_unanswered_write_that_landed_after_is_kept_and_one_that_landed_before_hides_a_loss() -> None:
    state, (_, unsure) = written((6, 6), (0, None))

    assert state.judge(7, Record(unsure.value, 7)) is Verdict.KEPT
    assert state.judge(7, Record(unsure.value, 5)) is Verdict.LOST
    assert state.indeterminate == 1


def test_what_nobody_wrote_is_changed() -> None:
    state, (record,) = written((5, 5))
    other = Values("another run").make(7, 0)

    assert state.judge(7, Record(b"surprise", 6)) is Verdict.CHANGED
    assert state.judge(7, Record(b"", 6)) is Verdict.CHANGED
    assert state.judge(7, Record(other, 6)) is Verdict.CHANGED
    assert state.judge(7, Record(record.value[:-1], 5)) is Verdict.CHANGED
    assert state.judge(7, Record(record.value[:-1] + b"!", 5)) is Verdict.CHANGED


def test_the_value_of_another_record_is_changed() -> None:
    state, _ = written((5, 5))
    write, value = state.begin(8)
    state.acknowledge(8, write, 6)

    assert state.judge(7, Record(value, 6)) is Verdict.CHANGED


def test_endless_unanswered_writes_take_no_more_memory_and_are_no_loss() -> None:
    state = Written()
    write, value = state.begin(0)
    state.acknowledge(0, write, 1)
    for _ in range(MAX_UNSURE * 10):
        write, value = state.begin(0)
        state.doubt(0, write)

    assert len(state._unsure[0]) == MAX_UNSURE + 1
    assert state.indeterminate == MAX_UNSURE * 10
    assert state.judge(0, Record(value, 2)) is Verdict.KEPT


def test_a_record_that_was_never_acknowledged_need_not_be_there() -> None:
    state = Written()
    write, _ = state.begin(3)
    state.doubt(3, write)

    assert not state.has(3)
    assert state.numbers() == []


@given(st.integers(0, 10**9), st.integers(0, 10**12))
def test_every_value_has_the_size_of_a_record_and_names_its_write(number: int, write: int) -> None:
    values = Values()
    value = values.make(number, write)

    assert len(value) == RECORD_BYTES
    assert values.read(value) == (number, write)


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reading_of_values(value: bytes) -> None:
    assert Values("run").read(value) is None
