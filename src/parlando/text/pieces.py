"""The pieces of a text that still arrives, checked one by one: strings, not only blank ones, and not for ever."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from parlando.core.errors import TextError


@dataclass(frozen=True)
class ArrivalLimits:
    """How much may come: blank pieces in a row, and characters in all (a million are eighteen hours of speech)."""

    most_blank_pieces: int = 1000
    most_characters: int = 1_000_000


def checked_pieces(pieces: Iterable[str], limits: ArrivalLimits | None = None) -> Iterator[str]:
    """The pieces as they are.

    Raises:
        TextError: one is no string, only blank ones come, or they never end.
        Exception: whatever their source raises, as it is.
    """
    limits = limits or ArrivalLimits()
    blank_pieces = characters = 0
    for piece in pieces:
        if not isinstance(piece, str):
            raise TextError(f"a piece of text is {type(piece).__name__}; let the iterable yield str")
        blank_pieces = 0 if piece.strip() else blank_pieces + 1
        characters += len(piece)
        if blank_pieces > limits.most_blank_pieces:
            raise TextError(f"{blank_pieces} blank pieces of text came in a row; end the text where nothing follows")
        if characters > limits.most_characters:
            raise TextError(
                f"more than {limits.most_characters} characters of text came and it has not ended; speak it in parts"
            )
        yield piece
