"""What the parts of a conversation promise each other: who hears, who feels, who thinks.

`evaluate.judges` and `serve.recognise` keep these promises without knowing of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from parlando.audio.clip import Clip

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    """What somebody said, as text models are told."""

    role: Role
    content: str


class Recogniser(Protocol):
    """Writes down what is said."""

    def hear(self, clip: Clip, language: str) -> str:
        """The words of a clip in a language (``en``, ``zh`` …); empty where there are none."""
        ...


class Feeling(Protocol):
    """How something was said."""

    @property
    def label(self) -> str:
        """The emotion's name, such as ``angry``."""
        ...


class FeelingListener(Protocol):
    """Hears how something is said."""

    def feel(self, clip: Clip) -> Feeling:
        """How a clip is said."""
        ...


class Reply(Protocol):
    """A reply while it is written, in pieces."""

    def __iter__(self) -> Iterator[str]:
        """The pieces, to be read once and by one thread.

        Raises:
            TextModelError: the model hangs, died or cannot be reached.
        """
        ...

    def cancel(self) -> None:
        """End it, from any thread; the iteration ends without an error."""
        ...


class TextModel(Protocol):
    """Writes what is said next."""

    def reply(self, messages: Sequence[Message]) -> Reply:
        """The next message of the assistant; nothing is done before it is read."""
        ...
