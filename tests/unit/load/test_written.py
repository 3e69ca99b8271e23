"""What was acknowledged is compared with what is there, and nothing else passes for it."""

from hypothesis import given, settings
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


class TestWithoutRevisions:
    """Raw keys: of writes that were under way at once, the database alone knows the order."""

    def test_a_write_that_had_ended_when_the_last_one_began_is_a_lost_one(self) -> None:
        state = Written()
        first, older = state.begin(7)
        state.acknowledge(7, first, None)
        second, newer = state.begin(7)
        state.acknowledge(7, second, None)

        assert state.judge(7, Record(newer, None)) is Verdict.KEPT
        assert state.judge(7, Record(older, None)) is Verdict.LOST

    def test_of_writes_under_way_at_once_each_may_be_the_last_whatever_was_answered_first(self) -> None:
        state = Written()
        (first, one), (second, two) = state.begin(7), state.begin(7)
        state.acknowledge(7, second, None)
        state.acknowledge(7, first, None)

        assert state.judge(7, Record(one, None)) is Verdict.KEPT
        assert state.judge(7, Record(two, None)) is Verdict.KEPT
        assert (state.acknowledged, state.keys) == (2, 1)

    def test_a_write_that_overlapped_one_of_two_is_lost_once_the_other_has_overwritten_it(self) -> None:
        state = Written()
        (long, slow), (short, quick) = state.begin(7), state.begin(7)
        state.acknowledge(7, short, None)
        later, last = state.begin(7)
        state.acknowledge(7, later, None)
        assert state.judge(7, Record(quick, None)) is Verdict.LOST

        state.acknowledge(7, long, None)  # it ended after the latest one began

        assert state.judge(7, Record(slow, None)) is Verdict.KEPT
        assert state.judge(7, Record(last, None)) is Verdict.KEPT
        assert state.judge(7, Record(quick, None)) is Verdict.LOST

    def test_an_unanswered_write_may_have_landed_whenever(self) -> None:
        state = Written()
        unsure, value = state.begin(7)
        state.doubt(7, unsure)
        write, _ = state.begin(7)
        state.acknowledge(7, write, None)

        assert state.judge(7, Record(value, None)) is Verdict.KEPT
        assert state.judge(7, None) is Verdict.LOST

    def test_writes_one_after_the_other_take_no_more_memory(self) -> None:
        state = Written()
        for _ in range(1000):
            write, _value = state.begin(0)
            state.acknowledge(0, write, None)

        assert state._overlapping == {}

    @settings(max_examples=300)
    @given(st.data())
    def test_no_register_that_keeps_its_writes_is_called_a_liar(self, data: st.DataObject) -> None:
        """Each write takes effect at some moment between its begin and its end."""
        state, now = Written(), b""
        under_way: dict[int, tuple[bytes, bool]] = {}
        for _ in range(data.draw(st.integers(1, 25))):
            if not under_way or data.draw(st.booleans()):
                write, value = state.begin(3)
                under_way[write] = (value, False)
                continue
            write = data.draw(st.sampled_from(sorted(under_way)))
            value, landed = under_way[write]
            if not landed:
                now, under_way[write] = value, (value, True)
                if data.draw(st.booleans()):
                    continue
            state.acknowledge(3, write, None)
            del under_way[write]
        for write, (value, landed) in under_way.items():
            if data.draw(st.booleans()):
                now = now if landed else value
            state.doubt(3, write)

        if state.has(3):
            assert state.judge(3, Record(now, None)) is Verdict.KEPT


@given(st.integers(0, 10**9), st.integers(0, 10**12))
def test_every_value_has_the_size_of_a_record_and_names_its_write(number: int, write: int) -> None:
    values = Values()
    value = values.make(number, write)

    assert len(value) == RECORD_BYTES
    assert values.read(value) == (number, write)


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reading_of_values(value: bytes) -> None:
    assert Values("run").read(value) is None
