"""Kokoro as a teacher: 82 million parameters, 54 voices and all that can be mixed of them, and exact phone times.

The model is Apache-2.0 (hexgrad); nothing is bundled, `parlando.data.teachers.kokoro.install` brings it together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from parlando.data.details import Details
from parlando.data.sentences import spoken_sentences
from parlando.data.teachers.kokoro.backends import AUTO, BACKENDS, Backend, choose_backend, prepare_parts
from parlando.data.teachers.kokoro.install import Files, installed
from parlando.data.teachers.kokoro.reading import LANGUAGES, UNREADABLE, numbered, reader
from parlando.data.teachers.kokoro.symbols import (
    SAMPLE_RATE,
    UNIT_SECONDS,
    is_gap,
    phones_of,
    seconds,
    timed_symbols,
    words_of,
)
from parlando.data.teachers.kokoro.voices import is_british, recipe
from parlando.data.teachers.protocol import Line, Source, Spoken, Unspoken, refuse_language

LONGEST_TOKENS = 500
END = 0  # the token at both ends
TRACK_VALUES_PER_UNIT = 2
LOWEST_HERTZ = 10.0  # below this the model itself takes a value for unvoiced
NATIVE = {"en": "ab", "es": "e", "fr": "f", "hi": "h", "it": "i", "ja": "j", "pt": "p", "zh": "z"}
MIXTURES = "mix_000..mix_199=1"


@dataclass(frozen=True)
class Kokoro:
    """See `parlando.data.teachers.protocol.Teacher`; ``backend`` is a key of `BACKENDS`, or "auto"."""

    backend: str = AUTO
    name: str = "kokoro"
    batch: int = 2
    sources: Sequence[Source] = (
        Source("Kokoro-82M, weights and voices, by hexgrad", "Apache-2.0", "huggingface.co/hexgrad/Kokoro-82M"),
        Source(
            "its int8 ONNX graph and table of tokens, by thewh1teagle", "MIT", "github.com/thewh1teagle/kokoro-onnx"
        ),
        Source("misaki (text to symbols), by hexgrad", "Apache-2.0", "github.com/hexgrad/misaki"),
        Source("espeak-ng (words that misaki does not know)", "GPL-3.0, a program; what it says is free", "espeak-ng"),
    )

    @property
    def voices(self) -> Collection[str]:
        """See `Teacher`."""
        return installed().voices.names

    def shares(self, language: str) -> str:
        """The language's own voices, one share each; in English 200 mixtures, too."""
        own = [f"{name}=1" for name in self.voices if name[0] in NATIVE[language]]
        return ",".join([*own, MIXTURES] if language == "en" else own)

    def describe(self, voice: str) -> str:
        """The voices that it is made of, and their weights."""
        return " + ".join(f"{weight:.2f} {name}" for name, weight in recipe(voice)).replace("+ -", "− ")

    def check(self, voice: str, language: str) -> None:
        """See `Teacher`."""
        refuse_language(self.name, language, LANGUAGES)
        installed().voices.check(voice)
        reader(language, is_british(voice))

    def prepare(self) -> None:
        """See `Teacher`."""
        if choose_backend(self.backend) == "openvino":
            prepare_parts(installed())

    def sentences(self, lines: Iterable[str], language: str) -> Iterator[str]:
        """See `Teacher`."""
        return spoken_sentences(lines, language)

    def speak(self, lines: Sequence[Line], voice: str) -> list[Spoken | Unspoken]:
        """See `Teacher`."""
        engine = _engine(choose_backend(self.backend))
        return [engine.say(line, voice) for line in lines]


class Engine:
    """A loaded model with its voices and its table of tokens."""

    def __init__(self, files: Files, backend: Backend) -> None:
        self._voices, self._backend = files.voices, backend
        self._vocabulary: Mapping[str, int] = files.vocabulary()

    def say(self, line: Line, voice: str) -> Spoken | Unspoken:
        """Speak one line, unless a part of it has no symbols or there are too many."""
        reading = reader(line.language, is_british(voice))(line.text)
        symbols, words = numbered(reading, self._vocabulary)
        if any(each not in self._vocabulary for each in reading.symbols if each.isalpha() or each == UNREADABLE):
            return Unspoken("a letter that has no symbol")
        if not any(not is_gap(symbol) for symbol in symbols):
            return Unspoken("nothing to say")
        if len(symbols) > LONGEST_TOKENS:
            return Unspoken(f"more than {LONGEST_TOKENS} symbols")
        return self._speak(symbols, words, line, voice)

    def _speak(self, symbols: Sequence[str], words: Sequence[tuple[str, int, int]], line: Line, voice: str) -> Spoken:
        tokens = np.array([[END, *(self._vocabulary[symbol] for symbol in symbols), END]], np.int64)
        said = self._backend.utter(tokens, self._voices.style(voice, len(symbols)), line.tempo)
        timed = timed_symbols(["", *symbols, ""], said.units.tolist())
        hertz = np.where(said.hertz > LOWEST_HERTZ, said.hertz, 0.0)
        details = Details(
            tuple((each.symbol, seconds(each.end)) for each in timed),
            words_of(timed, [(word, first + 1, last + 1) for word, first, last in words]),
            hertz,
            said.energy,
            TRACK_VALUES_PER_UNIT / UNIT_SECONDS,
        )
        pcm = np.round(np.clip(said.samples, -1, 1) * 32767).astype(np.int16)
        return Spoken(pcm, SAMPLE_RATE, phones_of(timed, line.language), details)


@cache
def _engine(backend: str) -> Engine:
    """The one engine of this process."""
    files = installed()
    return Engine(files, BACKENDS[backend](files))
