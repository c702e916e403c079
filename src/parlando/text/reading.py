"""How a text is read out: its language, its user's pronunciations, and what the model understands besides words."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from parlando.core.types import Notation
from parlando.text.language import detect
from parlando.text.markup import check_markup
from parlando.text.normalize import TAG, check_language, normalize
from parlando.text.scripts import HAN, KANA
from parlando.text.user_lexicon import UserLexicon

AUTOMATIC = "auto"
"""Instead of a language: each sentence in the one that most of it is in."""

_CLOSING_TAGS = re.compile(r"(?:</\w+>)+$")
_WIDE = re.compile(rf"[{HAN}{KANA}]")
_WIDE_MARKS = {".": "。", ",": "，"}
_PAIRED_TAG = re.compile(r"</?\w+>")


@dataclass(frozen=True)
class Reading:
    """Everything that decides how written sentences become spoken ones; ``as_written`` leaves them as they are."""

    language: str = "en"
    lexicon: UserLexicon = field(default_factory=UserLexicon)
    notation: Notation = field(default_factory=Notation)
    as_written: bool = False

    def __post_init__(self) -> None:
        if self.language != AUTOMATIC:
            check_language(self.language)

    def check(self, text: str) -> None:
        """Refuse a whole text with tags that are not closed, or not known.

        Raises:
            TextError: there is one; the message says where.
        """
        check_markup(text, self.notation)

    def say(self, sentence: str) -> str:
        """A sentence as it is said: the lexicon's words first, then everything else in words.

        Raises:
            MissingDependencyError: the sentence needs a library that is not installed.
            ConfigError: the lexicon has a pronunciation that cannot be written for this model.
        """
        written = self.lexicon.apply(sentence, self.notation)
        if self.as_written:
            return written
        language = detect(written) if self.language == AUTOMATIC else self.language
        return normalize(written, language, self.notation)

    def has_sound(self, sentence: str) -> bool:
        """Whether there is anything in it but marks and tags that only say how."""
        words = TAG.sub("", _PAIRED_TAG.sub("", sentence) if self.notation.manners else sentence)
        return any(map(str.isalnum, words))

    def closed(self, sentence: str, mark: str) -> str:
        """With a mark at its end: models learn where speech ends from marks, and may say nothing of a bare word."""
        last = _CLOSING_TAGS.sub("", sentence)[-1:] or sentence[-1]
        if unicodedata.category(last).startswith("P") and not (last == "}" and self.notation.phones):
            return sentence
        return sentence + (_WIDE_MARKS[mark] if _WIDE.match(last) else mark)
