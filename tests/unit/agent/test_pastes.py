"""What is pasted comes in whole up to a length, and what comes after the paste is typed again."""

from collections.abc import Iterable

import pytest

from agent.chat.pastes import LEFT_OUT, LONGEST_PASTE, EndedPastes

BEGIN, END = "\x1b[200~", "\x1b[201~"


class Chunks:
    """What a terminal sends, read in pieces."""

    def __init__(self, pieces: Iterable[str]) -> None:
        self._pieces = iter(pieces)

    def read(self) -> str:
        return next(self._pieces)


def taken(text: str, size: int) -> str:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    reader = EndedPastes(Chunks(pieces))
    return "".join(reader.read() for _ in pieces)


@pytest.mark.parametrize("size", [1000, 1009, 1024])
def test_a_paste_of_ten_megabytes_is_cut_and_says_so(size: int) -> None:
    got = taken(f"{BEGIN}{'0123456789' * 1_000_000}{END}next\r", size)

    assert got.endswith(f"{LEFT_OUT}{END}next\r")
    assert LONGEST_PASTE < len(got) < LONGEST_PASTE + 2000


def test_a_key_ends_a_long_paste_whose_end_was_lost() -> None:
    got = taken(f"{BEGIN}{'x' * 2_000_000}\x03", 1000)

    assert got.endswith(f"x{LEFT_OUT}{END}\x03")


def test_a_paste_up_to_that_length_is_whole_and_the_next_is_counted_anew() -> None:
    both = f"{BEGIN}{'x' * 900_000}{END}\r" * 2

    assert taken(both, 1024) == both
