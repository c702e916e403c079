"""What is said in one language, written in another: by a text model, or, where none can be had, by a phrasebook."""

from __future__ import annotations

import logging
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from parlando.converse.stages import Message, TextModel
from parlando.core.errors import ConfigError, FileMissingError, TextModelError

logger = logging.getLogger(__name__)
NAMES = {
    "en": "English",
    "zh": "Chinese",
    "de": "German",
    "ja": "Japanese",
    "ko": "Korean",
    "fr": "French",
    "es": "Spanish",
}
PROMPT = "Translate what the user says from {source} into {target}. Answer with the translation and nothing else."
_SENTENCE = re.compile(r"[^.?!。！？]+[.?!。！？]*")
_NO_LETTERS = re.compile(r"[^\w\s'’-]|_")


class Translator(Protocol):
    """Writes in another language what was said."""

    def translate(self, words: str) -> Iterator[str]:
        """The translation, in pieces as it is written.

        Raises:
            TextModelError: none can be had.
        """
        ...


@dataclass(frozen=True)
class ModelTranslator:
    """A text model that is told to translate; each turn by itself."""

    text_model: TextModel
    source: str
    target: str

    def translate(self, words: str) -> Iterator[str]:
        """The model's translation."""
        told = PROMPT.format(source=NAMES.get(self.source, self.source), target=NAMES.get(self.target, self.target))
        written = False
        for piece in self.text_model.reply([Message("system", told), Message("user", words)]):
            written = written or bool(piece.strip())
            yield piece
        if not written:
            raise TextModelError("the text model wrote no translation")


@dataclass(frozen=True)
class Phrasebook:
    """A stub that knows a few sentences and words; what it does not know stays as it was, with a warning."""

    phrases: Mapping[str, str]

    def translate(self, words: str) -> Iterator[str]:
        """Sentence by sentence, and where a sentence is not known word by word."""
        for sentence in _SENTENCE.findall(words):
            yield f"{self.phrases.get(_plain(sentence)) or self._by_words(sentence)} "

    def _by_words(self, sentence: str) -> str:
        known = [(word, self.phrases.get(_plain(word))) for word in sentence.split()]
        if missing := [word for word, translated in known if translated is None]:
            logger.warning("the phrasebook does not know, and leaves as it is: %s", " ".join(missing))
        return " ".join(word if translated is None else translated.rstrip(".?!") for word, translated in known)


def read_phrasebook(source: str, target: str, path: Path | None = None) -> Phrasebook:
    """The phrases from one language into another: a file's table ``FROM-TO``, or the few that are packaged.

    Raises:
        FileMissingError: there is no such file.
        ConfigError: it is not TOML, or has no such table.
    """
    if path is not None and not path.is_file():
        raise FileMissingError(path, "phrasebook")
    packaged = files("parlando.converse").joinpath("phrasebook.toml")
    where = "the packaged phrasebook" if path is None else f"'{path}'"
    try:
        tables = tomllib.loads((packaged if path is None else path).read_text("utf-8"))
    except ValueError as error:
        raise ConfigError(f"{where} is not TOML: {error}") from error
    table = tables.get(f"{source}-{target}")
    if not isinstance(table, dict):
        known = ", ".join(tables) or "none"
        raise ConfigError(
            f"{where} has no table [{source}-{target}], only: {known}; give --text-model, or --phrasebook"
        )
    return Phrasebook({_plain(phrase): str(translated) for phrase, translated in table.items()})


def _plain(words: str) -> str:
    return " ".join(_NO_LETTERS.sub(" ", words).casefold().split())
