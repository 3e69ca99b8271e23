"""The keys are chosen as YCSB chooses them."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.load.choosers import Latest, ScrambledZipfian, Zipfian, fnv64, key_name

DRAWS = 100_000


def test_keys_are_those_that_ycsb_writes() -> None:
    # The first key of every YCSB load, as its own output and many published traces show it.
    assert key_name(0) == "user6284781860667377211"


@given(st.integers(0, 10**10))
def test_hashes_fit_a_signed_64_bit_number(number: int) -> None:
    assert 0 <= fnv64(number) <= 1 << 63


def test_keys_of_many_records_are_all_different() -> None:
    assert len({fnv64(number) for number in range(100_000)}) == 100_000


@given(st.integers(1, 300), st.integers())
def test_every_chooser_stays_within_the_records(items: int, seed: int) -> None:
    random = Random(seed)
    zipfian, scrambled, latest = Zipfian(items), ScrambledZipfian(items), Latest(items)

    for _ in range(50):
        assert 0 <= zipfian.draw(random) < items
        assert 0 <= scrambled.draw(random) < items
        assert 0 <= latest.draw(random, items + 7) < items + 7


def test_zipfian_draws_the_nth_with_probability_of_one_over_n() -> None:
    random, zipfian = Random(1), Zipfian(1000)
    drawn = Counter(zipfian.draw(random) for _ in range(DRAWS))
    total = sum(1 / n**0.99 for n in range(1, 1001))

    for n in (1, 2, 10, 100):
        # Gray's approximation is off by some per cent at small ranks beyond the second.
        assert drawn[n - 1] / DRAWS == pytest.approx(1 / n**0.99 / total, rel=0.25)


def test_scrambled_zipfian_is_as_flat_as_the_original_at_a_thousand_keys() -> None:
    random, scrambled = Random(2), ScrambledZipfian(1000)
    drawn = Counter(scrambled.draw(random) for _ in range(DRAWS)).most_common(10)

    assert drawn[0][1] / DRAWS == pytest.approx(0.039, abs=0.004)
    assert sum(count for _, count in drawn) / DRAWS == pytest.approx(0.13, abs=0.01)


def test_latest_prefers_the_newest_records_also_those_that_came_later() -> None:
    random, latest = Random(3), Latest(1000)
    drawn = Counter(latest.draw(random, 1500) for _ in range(DRAWS))

    assert drawn.most_common(1)[0][0] == 1499
    assert sum(count for number, count in drawn.items() if number >= 1490) / DRAWS > 0.3


def test_a_zipfian_that_grew_is_the_same_as_one_of_that_size() -> None:
    grown, fresh = Zipfian(10), Zipfian(500)
    grown.grow(500)

    assert [grown.draw(Random(n)) for n in range(500)] == [fresh.draw(Random(n)) for n in range(500)]
