"""How YCSB chooses keys: zipfian, scrambled zipfian, latest. Names and constants are YCSB's own.

Source: site.ycsb.generator (ZipfianGenerator, ScrambledZipfianGenerator, SkewedLatestGenerator) and
site.ycsb.Utils.fnvhash64.
"""

import math
from random import Random

THETA = 0.99
"""YCSB's ZIPFIAN_CONSTANT."""

SCRAMBLED_ITEMS = 10_000_000_000
SCRAMBLED_ZETA = 26.46902820178302
"""YCSB's ITEM_COUNT and ZETAN: zeta(10^10, 0.99), which would take minutes to sum."""

_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 1099511628211
_MASK = (1 << 64) - 1


def fnv64(number: int) -> int:
    """Return YCSB's FNV-1a hash of the eight bytes of `number`: the absolute value of a signed 64-bit."""
    digest = _FNV_OFFSET
    for _ in range(8):
        digest = ((digest ^ (number & 0xFF)) * _FNV_PRIME) & _MASK
        number >>= 8
    return digest if digest < 1 << 63 else (1 << 64) - digest


def key_name(number: int) -> str:
    """Return the key of record `number`: `user` and its hash, so that neighbours are scattered."""
    return f"user{fnv64(number)}"


class Zipfian:
    """Numbers from 0, small ones often: the n-th comes with probability proportional to 1/n^0.99."""

    def __init__(self, items: int, zeta: float | None = None) -> None:
        self._items = items
        self._zeta = _zeta(0, items) if zeta is None else zeta
        self._zeta2 = _zeta(0, 2)
        self._alpha = 1 / (1 - THETA)
        self._eta = self._next_eta()

    def grow(self, items: int) -> None:
        """Draw from `items` numbers from now on; never fewer than before."""
        if items > self._items:
            self._zeta += _zeta(self._items, items)
            self._items = items
            self._eta = self._next_eta()

    def draw(self, random: Random) -> int:
        """Return the next number (Gray et al., "Quickly generating billion-record synthetic databases")."""
        uniform = random.random()
        scaled = uniform * self._zeta
        if scaled < 1:
            return 0
        if scaled < 1 + 0.5**THETA:
            return 1
        return min(self._items - 1, int(self._items * (self._eta * uniform - self._eta + 1) ** self._alpha))

    def _next_eta(self) -> float:
        # Written so that two items or fewer do not divide by zero; the branch that uses it is then not met.
        rest = 1 - self._zeta2 / self._zeta
        return (1 - (2 / self._items) ** (1 - THETA)) / rest if rest else 0.0


class ScrambledZipfian:
    """A zipfian over ten billion numbers, hashed onto `items` keys: the often used ones lie anywhere."""

    def __init__(self, items: int) -> None:
        self._items = items
        self._zipfian = Zipfian(SCRAMBLED_ITEMS, SCRAMBLED_ZETA)

    def draw(self, random: Random) -> int:
        """Return the next key's number."""
        return fnv64(self._zipfian.draw(random)) % self._items


class Latest:
    """The newest records most often."""

    def __init__(self, items: int) -> None:
        self._zipfian = Zipfian(items)

    def draw(self, random: Random, items: int) -> int:
        """Return the number of one of `items` records, the last most often."""
        self._zipfian.grow(items)
        return items - 1 - self._zipfian.draw(random)


def _zeta(start: int, end: int) -> float:
    return math.fsum((n + 1.0) ** -THETA for n in range(start, end))
