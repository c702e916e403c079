"""Words to the small integers that a phoneme model reads: phones by the lexicon, letters where it has none, and marks.

What else such a model reads (prompt strings, tags) is its family's; the ids here begin where the family's end.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from parlando.core.errors import ConfigError
from parlando.text.homographs import in_context
from parlando.text.lexicon import PHONES, Lexicon
from parlando.text.markup import PHONES_FORM

Pronounce = Callable[[str], tuple[str, ...] | None]
Spell = Callable[[str], bool]

_WORD_CACHE = 1 << 16


@dataclass(frozen=True, kw_only=True)
class PhonemeInventory:
    """What a phoneme model reads of ordinary text; ids count through the fields in this order."""

    boundary: str = " "
    punctuation: tuple[str, ...] = (",", ".", "?", "!", ";", ":", "-")
    phones: tuple[str, ...] = PHONES
    letters: tuple[str, ...] = (*"abcdefghijklmnopqrstuvwxyz", "'")

    def __post_init__(self) -> None:
        for name, entries in vars(self).items():
            if isinstance(entries, tuple) and (len(set(entries)) != len(entries) or not all(entries)):
                raise ConfigError(f"text.{name}: entries must be non-empty and different from each other")


class PhonemeReader:
    """Words become phones by the lexicon, or letters where it has none.

    Between two words stands the boundary, unless punctuation does; white space counts for nothing else. A word may also
    stand as its phones (``{hh ax0 l ow1}``), as a user's lexicon writes it. Characters outside the inventory are
    dropped.
    """

    def __init__(self, inventory: PhonemeInventory, first_id: int, pronounce: Pronounce | None = None) -> None:
        """``pronounce`` maps a lower-case word to phones; the packaged lexicon by default."""
        self._pronounce, self._knows_context = pronounce or Lexicon.default().pronounce, pronounce is None
        self._boundary = first_id
        self._punctuation_ids = number(inventory.punctuation, first_id + 1)
        self._first_phone = first_id + 1 + len(inventory.punctuation)
        self._phone_ids = number(inventory.phones, self._first_phone)
        self._letter_ids = number(inventory.letters, self._first_phone + len(inventory.phones))
        phones = tuple(f"{{{phone}}}" for phone in inventory.phones)
        self.surfaces = (inventory.boundary, *inventory.punctuation, *phones, *inventory.letters)
        self._units = re.compile(
            rf"{PHONES_FORM}|[^\W\d_]+(?:'[^\W\d_]+)*'?|'[^\W\d_]+|{any_of(self._punctuation_ids)}"
        )
        self._word = lru_cache(_WORD_CACHE)(self._word_ids)

    def read(self, text: str, spell: Spell | None = None) -> list[int]:
        """Ids of ordinary text; words for which ``spell`` says so are read by letters although the lexicon has them."""
        return [index for ids in self._read(self._units.findall(_plain(text)), spell) for index in ids]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """The characters of the text that each id of `read` stands for; none, where a boundary stands."""
        plain, places = _plain_places(text)
        found = [match.span() for match in self._units.finditer(plain)]
        spans = [(places[start], places[stop - 1] + 1) for start, stop in found]
        read = self._read([plain[start:stop] for start, stop in found])
        return [
            (span[0], span[0]) if index == self._boundary else span
            for ids, span in zip(read, spans, strict=True)
            for index in ids
        ]

    def _read(self, units: Sequence[str], spell: Spell | None = None) -> Iterator[tuple[int, ...]]:
        """Each unit's ids, after a boundary's where there is one before it."""
        after_word = False
        for index, unit in enumerate(units):
            mark = self._punctuation_ids.get(unit)
            if mark is not None:
                yield (mark,)
                after_word = False
                continue
            by_letters = spell is not None and spell(unit.lower())
            word = (not by_letters and self._in_context(units, index)) or self._word(unit.lower(), by_letters)
            yield (self._boundary, *word) if after_word and word else word
            after_word = after_word or bool(word)

    def measure(self, ids: Iterable[int]) -> tuple[int, int]:
        """How many of the ids are spoken (phones and letters), and how many are punctuation marks."""
        known = list(ids)
        pauses = sum(self._boundary < index < self._first_phone for index in known)
        return sum(index >= self._first_phone for index in known), pauses

    def unread(self, text: str) -> str:
        """The first word with a letter that is in no way in the inventory; empty if there is none."""
        for unit in self._units.findall(_plain(text)):
            word = unit.lower()
            lost = any(letter.isalpha() and letter not in self._letter_ids for letter in word)
            if lost and not word.startswith("{") and self._phones(word) is None:
                return unicodedata.normalize("NFC", unit)
        return ""

    def knows(self, word: str) -> bool:
        """Whether a word is read by its phones rather than by letters."""
        return self._phones(word.lower()) is not None

    def _in_context(self, units: Sequence[str], index: int) -> tuple[int, ...] | None:
        """A word that neighbours make another one (I have read it, vitamin A), where the packaged lexicon is used."""
        phones = in_context(units, index) if self._knows_context else None
        if phones is None or any(phone not in self._phone_ids for phone in phones):
            return None
        return tuple(self._phone_ids[phone] for phone in phones)

    def _word_ids(self, word: str, by_letters: bool) -> tuple[int, ...]:
        if word.startswith("{"):
            return tuple(self._phone_ids[phone] for phone in word[1:-1].split() if phone in self._phone_ids)
        phones = None if by_letters else self._phones(word)
        if phones is not None:
            return tuple(self._phone_ids[phone] for phone in phones)
        return tuple(self._letter_ids[letter] for letter in word.strip("'") if letter in self._letter_ids)

    def _phones(self, word: str) -> tuple[str, ...] | None:
        """A word's phones, tried with its outer apostrophes ('em, dogs') and then without."""
        return self._pronounce(word) or (self._pronounce(word.strip("'")) if "'" in word else None) or None


def number(entries: Sequence[str], first: int) -> dict[str, int]:
    """Ids of entries, in their order from ``first`` on."""
    return {entry: first + index for index, entry in enumerate(entries)}


def any_of(strings: Sequence[str] | Mapping[str, int]) -> str:
    """A pattern for any of the strings, the longest that fits first."""
    return "|".join(re.escape(text) for text in sorted(strings, key=len, reverse=True))


def _plain(text: str) -> str:
    """Accents dropped, typographic apostrophes and dashes made plain."""
    return text if text.isascii() else _plain_places(text)[0]


def _plain_places(text: str) -> tuple[str, Sequence[int]]:
    """The same, and which character of the text each of its characters comes from."""
    if text.isascii():
        return text, range(len(text))
    folded = [
        (part, place)
        for place, character in enumerate(text.translate(_TYPOGRAPHY))
        for part in unicodedata.normalize("NFKD", character)
        if not unicodedata.combining(part)
    ]
    return "".join(part for part, _ in folded), [place for _, place in folded]


_TYPOGRAPHY = str.maketrans({"\u2019": "'", "\u2018": "'", "\u2013": "-", "\u2014": "-", "\u2026": "."})
