"""A user's own pronunciations, ``word=pronunciation``, put into the text before it is normalised.

How one reaches a model depends on what that reads (`parlando.core.types.Notation`). A model of phones is given phones:
``{p aa0 r l aa1 n d ow0}``, and for pinyin the nearest it has. One of plain text has no input for a pronunciation, so
the word is written as what is read that way: pinyin as characters of that sound, phones as letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from parlando.core.errors import ConfigError, FileMissingError
from parlando.core.types import Notation
from parlando.text.lexicon import Phones, parse_phones, with_s
from parlando.text.markup import notation_pattern
from parlando.text.pinyin import homophones, parse_pinyin, phones_of, spread_erhua
from parlando.text.scripts import HAN, HANGUL, KANA

_HAN, _SPELLED = re.compile(f"[{HAN}]"), re.compile(f"[{KANA}{HANGUL} ]+")
_LETTERS: Mapping[str, str] = {
    "aa": "ah", "ae": "a", "ah": "uh", "ao": "aw", "aw": "ow", "ax": "uh", "ay": "y", "eh": "e", "er": "er", "ey": "ay",
    "ih": "i", "iy": "ee", "ow": "oh", "oy": "oy", "uh": "oo", "uw": "oo", "hh": "h", "jh": "j", "dh": "th", "y": "y",
    "zh": "zh",
}  # fmt: skip


@dataclass(frozen=True)
class Pronunciation:
    """How a word is said: as phones, as pinyin syllables with tone numbers, or written otherwise (kana, Hangul)."""

    word: str
    phones: Phones = ()
    syllables: tuple[str, ...] = ()
    spelling: str = ""

    def written(self, notation: Notation, possessive: bool = False) -> str:
        """The text that makes a model of this notation say it; ``possessive`` is with an 's.

        Raises:
            MissingDependencyError: pinyin for a model of plain text needs pypinyin.
            ConfigError: no character is pronounced so.
        """
        if self.spelling:
            return self.spelling
        if notation.phones:
            phones = self.phones or phones_of(self.syllables)
            return f"{{{' '.join(with_s(phones) if possessive else phones)}}}"
        said = homophones(self.word, self.syllables) if self.syllables else _respelled(self.phones)
        return said + ("'s" if possessive else "")


@dataclass(frozen=True)
class UserLexicon:
    """Pronunciations by word; where several fit, the longest word is taken. Latin words fit in any case, as a whole."""

    entries: Mapping[str, Pronunciation] = field(default_factory=dict)

    @classmethod
    def parse(cls, entries: Iterable[str], where: str = "lexicon") -> UserLexicon:
        """Read ``word=pronunciation`` entries; blank ones and those that start with ``#`` are skipped.

        Raises:
            ConfigError: an entry has no ``=``, or its pronunciation is neither phones nor pinyin.
        """
        parsed = {}
        for number, entry in enumerate(entries, start=1):
            if entry.strip() and not entry.lstrip().startswith("#"):
                pronunciation = parse_entry(entry, f"{where}:{number}")
                parsed[_folded(pronunciation.word)] = pronunciation
        return cls(MappingProxyType(parsed))

    @classmethod
    def read(cls, path: str | Path) -> UserLexicon:
        """Read a file with an entry on each line, as for `parse`.

        Raises:
            FileMissingError: there is no such file.
            ConfigError: it is not UTF-8, or as for `parse`; the message has the line number.
        """
        path = Path(path)
        if not path.is_file():
            raise FileMissingError(path, "lexicon")
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from error
        return cls.parse(lines, str(path))

    @classmethod
    def collect(cls, sources: Iterable[str | Path]) -> UserLexicon:
        """One lexicon of entries and files, told apart by the ``=``; later ones win.

        Raises:
            FileMissingError, ConfigError: as for `read` and `parse`.
        """
        merged: dict[str, Pronunciation] = {}
        for source in sources:
            is_entry = isinstance(source, str) and "=" in source
            merged.update((cls.parse([str(source)]) if is_entry else cls.read(source)).entries)
        return cls(MappingProxyType(merged))

    def apply(self, text: str, notation: Notation) -> str:
        """The text with its words as they are to be said; tags of the notation stay as they are.

        Raises:
            MissingDependencyError, ConfigError: as for `Pronunciation.written`.
        """
        if not self.entries:
            return text
        tags = notation_pattern(notation)
        parts = tags.split(text) if tags else [text]
        return "".join(part if index % 2 else self._replaced(part, notation) for index, part in enumerate(parts))

    def _replaced(self, text: str, notation: Notation) -> str:
        return self._pattern.sub(lambda m: self.entries[_folded(m["word"])].written(notation, bool(m["s"])), text)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        words = sorted((entry.word for entry in self.entries.values()), key=len, reverse=True)
        return re.compile(
            rf"(?P<word>{'|'.join(map(_whole_word, words))})(?P<s>(?<=[A-Za-z])['\u2019]s(?![A-Za-z]))?", re.IGNORECASE
        )


def parse_entry(entry: str, where: str = "lexicon") -> Pronunciation:
    """One ``word=pronunciation``: phones as in `parlando.text.lexicon`, pinyin, or the word in kana or Hangul.

    What is both is pinyin for a word of Chinese characters, and phones for any other.

    Raises:
        ConfigError: there is no ``=``, or the pronunciation is nothing of these.
    """
    word, equals, said = (part.strip() for part in entry.partition("="))
    if not equals or not word or not said:
        raise ConfigError(f"{where}: expected 'word=pronunciation', got '{entry.strip()}'")
    if _SPELLED.fullmatch(said):
        return Pronunciation(word, spelling=said)
    chinese = bool(_HAN.search(word))
    try:
        return _as_pinyin(word, said, where) if chinese else Pronunciation(word, parse_phones(said, where))
    except ConfigError as refused:
        try:
            return Pronunciation(word, parse_phones(said, where)) if chinese else _as_pinyin(word, said, where)
        except ConfigError:
            raise refused from None


def _as_pinyin(word: str, said: str, where: str) -> Pronunciation:
    syllables = parse_pinyin(said, where)
    characters = len(_HAN.findall(word))
    if characters == len(word) and characters not in (len(syllables), len(spread_erhua(syllables))):
        raise ConfigError(
            f"{where}: '{word}' has {characters} characters and {len(syllables)} syllables; give one for each"
        )
    return Pronunciation(word, syllables=syllables)


def _folded(word: str) -> str:
    return word.lower()


def _whole_word(word: str) -> str:
    """The pattern of a word; next to a Latin letter or digit only another script may stand."""
    before = r"(?<![A-Za-z0-9])" if word[0].isascii() and word[0].isalnum() else ""
    after = r"(?![A-Za-z0-9])" if word[-1].isascii() and word[-1].isalnum() else ""
    return before + re.escape(word) + after


def _respelled(phones: Phones) -> str:
    """Phones as letters that English readers say that way: ``p aa0 r l aa1 n d ow0`` is ``pahrlahndoh``."""
    return "".join(_LETTERS.get(phone.rstrip("01"), phone.rstrip("01")) for phone in phones)
