"""Whether a line goes on in the next one, as hard-wrapped prose does, or ends there, as the lines of a list do."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from parlando.text.rules import words
from parlando.text.scripts import WIDE

_CLOSERS = r"[\"'\u201d\u2019\u300d\u300f\u3011\u300b\uff09)\]*_`]*"
_MARKED = re.compile(rf"[.?!,;:\u2026\u3002\uff01\uff1f\uff0c\u3001\uff1b\uff1a\u2013\u2014]{_CLOSERS}\s*$")
_HYPHENATED = re.compile(r"[^\W\d_]-$")
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_SPEAKER = re.compile(r"[ \t]*[^\W\d_][\w .'-]{0,39}?:\s")
_IS_WIDE = re.compile(rf"[{WIDE}]")

# Where a line of these many words or letters ends, nobody wrapped it for its length.
_SHORT_WORDS, _SHORT_CHARACTERS, _SHORT_WIDE = 7, 45, 10
_ITEM_WORDS, _ITEM_CHARACTERS, _BARE_ITEM_WORDS = 4, 30, 2
_FULL_SHARE = 0.75

# Words that a phrase does not end with, and that begin a part of a sentence.
_LEADING = words(
    "a an the of in on at to for with from by as into onto over under and or but nor if that which who whose when "
    "while where because than then so yet is are was were be been am has have had do does did will would can could "
    "shall should may might must not my your his her its our their this these those very"
)


@dataclass
class Paragraph:
    """What came of a paragraph so far: its last line, the width it was wrapped at, and whether it is a list."""

    last: str = ""
    width: int = 0
    is_list: bool = False

    @property
    def is_marked(self) -> bool:
        """Whether it ends with a mark, so that no stop is missing."""
        return not self.last.strip() or _MARKED.search(self.last) is not None

    @property
    def is_short(self) -> bool:
        """Whether its last line ends before any right margin."""
        if _IS_WIDE.search(self.last[-1:]):
            return len(self.last) <= _SHORT_WIDE
        return len(self.last) <= _SHORT_CHARACTERS and len(self.last.split()) <= _SHORT_WORDS

    @property
    def stop(self) -> str:
        """The full stop of its script."""
        return "\u3002" if _IS_WIDE.match(self.last.rstrip()[-1:]) else "."

    def separator(self, line: str, goes_on: bool) -> str:
        """What stands between it and the next line, which begins with ``line`` and ``goes_on`` or not."""
        if not self.last:
            return ""
        if self.is_marked:
            self.is_list = self.is_list or self.last.rstrip().endswith((":", "\uff1a"))
            return " "
        if _HYPHENATED.search(self.last) and line[:1].islower():
            return ""
        if not self._breaks(line, goes_on):
            self.width = max(self.width, len(self.last))
            return " "
        first = _WORD.search(line)
        return ", " if first and first[0].lower() in _LEADING else f"{self.stop} "

    def _breaks(self, line: str, goes_on: bool) -> bool:
        words, first = _WORD.findall(self.last), _WORD.search(line)
        if _SPEAKER.match(line) or unicodedata.category(line.lstrip()[:1] or " ") == "So":
            return True
        if not words or not first or words[-1].lower() in _LEADING:
            return False
        if _IS_WIDE.match(first[0]):
            return self.is_short and not goes_on and len(line) <= _SHORT_WIDE
        if first[0][0].islower():
            return self._is_item(words) and not goes_on and self._is_next_item(line, first[0])
        return self._ends_early(first[0]) if self.width else self.is_short

    def _ends_early(self, first: str) -> bool:
        """Whether the next word would have fitted into a line of the width that the others have."""
        return len(self.last) + 1 + len(first) < _FULL_SHARE * self.width

    def _is_item(self, words: list[str]) -> bool:
        return len(words) <= (_ITEM_WORDS if self.is_list else _BARE_ITEM_WORDS)

    def _is_next_item(self, line: str, first: str) -> bool:
        few = _ITEM_WORDS if self.is_list else _BARE_ITEM_WORDS
        return len(line) <= _ITEM_CHARACTERS and len(line.split()) <= few and first not in _LEADING
