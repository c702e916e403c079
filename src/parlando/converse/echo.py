"""A text model that thinks nothing: it says again what was said, or what a script has for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from parlando.converse.stages import Message, Reply


class WrittenReply:
    """A reply whose words are there already, or come from an iterator."""

    def __init__(self, pieces: Iterable[str]) -> None:
        self._pieces, self._cancelled = pieces, False

    def cancel(self) -> None:
        """No further piece comes."""
        self._cancelled = True

    def __iter__(self) -> Iterator[str]:
        for piece in self._pieces:
            if self._cancelled:
                return
            yield piece


class Echo:
    """Says again what the user said last."""

    def reply(self, messages: Sequence[Message]) -> Reply:
        """The last message of the user, word by word."""
        said = next((each.content for each in reversed(messages) if each.role == "user"), "")
        return WrittenReply(f"{word} " for word in said.split())
