"""Bytes that arrive in pieces, cut into lines in time that grows with their number alone."""


class Lines:
    """Takes pieces, gives back the lines that are whole."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        """The pieces of the line that has no end yet: joined once, when it has."""

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the lines that `piece` completes, without their line feeds."""
        first, *more = piece.split(b"\n")
        self._begun.append(first)
        if not more:
            return []
        whole = [b"".join(self._begun), *more[:-1]]
        self._begun = [more[-1]]
        return whole

    @property
    def pending(self) -> int:
        """Bytes of the line that has no end yet."""
        return sum(map(len, self._begun))

    def rest(self) -> bytes:
        """Return what came after the last line feed."""
        return b"".join(self._begun)
