"""Text that arrives while it is spoken: from pieces to tokens, and the order in which text and speech alternate.

Pure Python. `ArrivingText` is the text so far, shared by all who speak it; `Interleaver` is one request's way through
it: groups of text, each followed by its group of speech, then the rest of the text, the task mark and the rest.
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from parlando.core.errors import PromptTooLongError, TextError

Encode = Callable[[str], list[int]]

_TAG = re.compile(r"\[[^\[\]\n]{1,24}\]|<[^<>\n]{1,24}>")
_OPEN_TAG = re.compile(r"(?:\[[^\[\]\n]{0,24}|<[^<>\n]{0,24})\Z")
_WIDE_COLUMNS = 3
_APOSTROPHES = "'\u2019"


@dataclass(frozen=True)
class TextLimits:
    """What a text that arrives may be.

    ``most_tokens`` and ``most_blank_pieces`` (in a row) end a text that would never end.
    ``held_columns`` is how much without a border is held back at most, a wide character (such as a Chinese one)
    counting three; of that, the last ``margin_columns`` wait on, since what follows may change how they are cut.
    """

    most_tokens: int = 2000
    most_blank_pieces: int = 1000
    held_columns: int = 36
    margin_columns: int = 12


class ArrivingText:
    """Tokens of a text whose pieces come one by one; ``tokens`` only ever grows. Pieces are asked for by `pull` alone.

    A text's tokens depend on where it is cut, so the end of what came is held back up to a border across which no
    byte-pair merge reaches: where a word or number ends. Scripts without such borders, and words of endless length, are
    cut where the tokens of all that is held have a border, some way before the end. A tag in brackets is never cut.
    """

    def __init__(self, pieces: Iterable[str], encode: Encode, limits: TextLimits | None = None) -> None:
        """``encode`` must give the same tokens for the beginning of a text, whatever follows the beginning's end."""
        self.tokens: list[int] = []
        self.ended = False
        self._pieces: Iterator[str] = iter(pieces)
        self._encode, self._limits = encode, limits or TextLimits()
        self._before, self._held = "", ""
        self._has_sound, self._blank_pieces = False, 0

    def pull(self) -> None:
        """Take the next piece, as long as that takes, or learn that there is none; it may add no token yet.

        Raises:
            TextError: the text ended without anything to pronounce, or a piece is no string.
            PromptTooLongError: the text is longer than the limit, or only blank pieces come.
            Exception: whatever the source of the pieces raises, as it is.
        """
        piece = None if self.ended else next(self._pieces, None)
        if piece is None:
            self._finish()
            return
        if not isinstance(piece, str):
            raise TextError(f"a piece of text is {type(piece).__name__}; let the iterable yield str")
        self._blank_pieces = 0 if piece.strip() else self._blank_pieces + 1
        if self._blank_pieces > self._limits.most_blank_pieces:
            raise PromptTooLongError(
                f"{self._blank_pieces} blank pieces of text came in a row; end the text where nothing follows"
            )
        self._take(piece)

    def _take(self, piece: str) -> None:
        self._held += piece
        if not self.tokens and not self._before:
            self._held = self._held.lstrip()
        self._has_sound = self._has_sound or any(map(str.isalnum, piece))
        while cut := self._cut():
            self._commit(cut)

    def _finish(self) -> None:
        self._held = self._held.rstrip()
        self._commit(len(self._held))
        self.ended = True
        if not self._has_sound:
            raise TextError("nothing to pronounce; the text that arrived has no letter or digit")

    def _commit(self, end: int) -> None:
        """Encode up to ``end``, together with the part before it, so that an encoder sees what it follows."""
        part, self._held = self._held[:end], self._held[end:]
        known = len(self._encode(self._before)) if self._before else 0
        self.tokens += self._encode(self._before + part)[known:]
        self._before = part or self._before
        if len(self.tokens) > self._limits.most_tokens:
            raise PromptTooLongError(
                f"the text that arrives has more than {self._limits.most_tokens} tokens and has not ended; "
                "end it, or speak it sentence by sentence"
            )

    def _cut(self) -> int:
        """How many held characters can be encoded now."""
        open_tag = _OPEN_TAG.search(self._held)
        end = open_tag.start() if open_tag else len(self._held)
        return self._last_border(end) or self._forced_border(end)

    def _last_border(self, end: int) -> int:
        for place in range(min(end, len(self._held) - 1), 0, -1):
            if _is_border(self._held[place - 1], self._held[place]) and not self._is_inside_tag(place):
                return place
        return 0

    def _forced_border(self, end: int) -> int:
        """A border of tokens in something long without one of words, not too near to the end."""
        limits, held = self._limits, self._held
        if _columns(held) <= limits.held_columns:
            return 0
        last = end
        while last > 0 and _columns(held[last:]) < limits.margin_columns:
            last -= 1
        whole = self._encode(self._before + held)
        for place in range(last, max(0, last - limits.held_columns), -1):
            part = self._encode(self._before + held[:place])
            if part == whole[: len(part)] and not self._is_inside_tag(place):
                return place
        return last

    def _is_inside_tag(self, place: int) -> bool:
        return any(match.start() < place < match.end() for match in _TAG.finditer(self._held))


def _is_border(before: str, after: str) -> bool:
    """Whether a word or number ends between two characters; byte-pair tokenizers never merge across that.

    An apostrophe may go on with its word (don't), which only what follows it tells.
    """
    kind = _kind(before)
    return kind in ("letter", "digit") and _kind(after) not in (kind, "mark")


def _kind(character: str) -> str:
    if character.isalpha():
        return "letter"
    if character.isnumeric():
        return "digit"
    if character in _APOSTROPHES:
        return "mark"
    return "mark" if unicodedata.category(character).startswith("M") else "other"


def _columns(text: str) -> int:
    return sum(_WIDE_COLUMNS if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


class Due(Enum):
    """What comes next when it is no token of text: a code or a request for text, a code or the end, or more text."""

    GROUP_SPEECH = auto()
    LAST_SPEECH = auto()
    ARRIVAL = auto()


@dataclass
class Interleaver:
    """Which position is next, for one request; ``lead`` is text that comes before what arrives.

    Groups follow from the tokens alone, never from when they came: as long as a whole group of text is there it is fed,
    and what is left when the text has ended is the last, partial one. After the last text comes ``task``. A position is
    told once, so nothing is fed twice (the published loop feeds the last code before the task mark a second time).
    """

    text: ArrivingText
    lead: tuple[int, ...]
    task: int
    group_text_tokens: int
    group_speech_tokens: int
    taken_tokens: int = 0
    speech_left: int = 0
    is_last: bool = False
    feeding: deque[int] = field(default_factory=deque)

    @property
    def text_tokens(self) -> int:
        """Tokens of text so far, the lead's included."""
        return len(self.lead) + len(self.text.tokens)

    def fresh(self) -> Interleaver:
        """One at the same place that goes its own way; the text is shared."""
        return replace(self, feeding=deque(self.feeding))

    def due(self) -> int | Due:
        """The token to feed next, which is counted as fed, or what has to be decided or fetched before."""
        if not self.feeding and not self.speech_left and not self.is_last:
            self._open_group()
        if self.feeding:
            return self.feeding.popleft()
        if self.is_last:
            return Due.LAST_SPEECH
        return Due.GROUP_SPEECH if self.speech_left else Due.ARRIVAL

    def spoke(self) -> None:
        """Count a code as fed."""
        self.speech_left = max(0, self.speech_left - 1)

    def end_group(self) -> None:
        """The model asks for text before its group of speech is full."""
        self.speech_left = 0

    def opening(self, codes: Sequence[int]) -> tuple[list[int], list[bool]]:
        """Positions up to the first that the model decides, with ``codes`` as the first speech: values, and whether
        each is a code; waits for as much text as that needs.

        Codes that are left when the text has ended follow the task mark (the published loop drops them).

        Raises:
            TextError, PromptTooLongError, Exception: as `ArrivingText.pull`.
        """
        left = deque(codes)
        values: list[int] = []
        is_code: list[bool] = []
        while True:
            due = self.due()
            if due is Due.ARRIVAL:
                self.text.pull()
                continue
            if isinstance(due, Due) and not left:
                return values, is_code
            is_code.append(isinstance(due, Due))
            values.append(left.popleft() if isinstance(due, Due) else due)
            if is_code[-1]:
                self.spoke()

    def _open_group(self) -> None:
        size = self.group_text_tokens
        if self.text_tokens - self.taken_tokens >= size:
            self.feeding.extend(self._take(size))
            self.speech_left = self.group_speech_tokens
        elif self.text.ended:
            self.feeding.extend((*self._take(size), self.task))
            self.is_last = True

    def _take(self, count: int) -> list[int]:
        start = self.taken_tokens
        arrived_start = max(0, start - len(self.lead))
        found = [*self.lead[start : start + count], *self.text.tokens[arrived_start : arrived_start + count]][:count]
        self.taken_tokens += len(found)
        return found
