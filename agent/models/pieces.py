"""Text that arrives in many small pieces, kept in memory of about its own size."""

MANY = 512
"""So many pieces are joined into one: 50,000 small strings cost 14 times their characters."""


class Pieces:
    """A text that grows."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def add(self, piece: str) -> None:
        """Append `piece`."""
        self._pieces.append(piece)
        if len(self._pieces) > MANY:
            self._pieces = ["".join(self._pieces)]

    def __str__(self) -> str:
        return "".join(self._pieces)
