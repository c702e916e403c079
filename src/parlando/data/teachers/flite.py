"""Flite as a teacher: speech with exact phone times, through the C library (no process per sentence).

Flite (Black and Lenzo, 2001) comes from the system's packages (`apt-get install libflite1`); nothing is bundled.
"""

from __future__ import annotations

import ctypes
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from parlando.core.errors import MissingDependencyError, VoiceNotFoundError
from parlando.data.sentences import plain_sentences
from parlando.data.teachers.protocol import Line, Source, Spoken, Unspoken, refuse_language, refuse_tempo

FLITE_VOICES = ("slt", "rms", "awb", "kal16")


class _Wave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


def _declare(library: ctypes.CDLL, name: str, result: object, *arguments: object) -> None:
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments


@cache
def _library() -> ctypes.CDLL:
    try:
        for name in ("libflite.so.1", "libflite_usenglish.so.1", "libflite_cmulex.so.1"):
            library = ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise MissingDependencyError("flite", "apt-get install libflite1") from error
    library = ctypes.CDLL("libflite.so.1")
    pointer, text = ctypes.c_void_p, ctypes.c_char_p
    _declare(library, "flite_init", ctypes.c_int)
    _declare(library, "flite_synth_text", pointer, text, pointer)
    _declare(library, "utt_wave", ctypes.POINTER(_Wave), pointer)
    _declare(library, "utt_relation", pointer, pointer, text)
    _declare(library, "relation_head", pointer, pointer)
    _declare(library, "item_next", pointer, pointer)
    _declare(library, "item_feat_string", text, pointer, text)
    _declare(library, "item_feat_float", ctypes.c_float, pointer, text)
    _declare(library, "delete_utterance", None, pointer)
    _declare(library, "lex_lookup", pointer, pointer, text, text, pointer)
    _declare(library, "val_car", pointer, pointer)
    _declare(library, "val_cdr", pointer, pointer)
    _declare(library, "val_string", text, pointer)
    _declare(library, "delete_val", None, pointer)
    library.flite_init()
    return library


@cache
def _voice(name: str) -> int:
    if name not in FLITE_VOICES:
        raise VoiceNotFoundError(name, FLITE_VOICES)
    library = _library()
    language = ctypes.CDLL(f"libflite_cmu_us_{name}.so.1")
    register = getattr(language, f"register_cmu_us_{name}")
    _declare(language, register.__name__, ctypes.c_void_p, ctypes.c_char_p)
    del library
    return int(register(None))


def _segments(library: ctypes.CDLL, utterance: int) -> Iterator[tuple[str, float]]:
    item = library.relation_head(library.utt_relation(utterance, b"Segment"))
    while item:
        name = library.item_feat_string(item, b"name").decode()
        yield name, round(float(library.item_feat_float(item, b"end")), 3)
        item = library.item_next(item)


def speak(text: str, voice: str) -> Spoken:
    """Synthesise ``text`` with one of `FLITE_VOICES`; about sixty times faster than real time on one core."""
    library = _library()
    utterance = library.flite_synth_text(text.encode("ascii", "ignore"), _voice(voice))
    try:
        wave = library.utt_wave(utterance).contents
        samples = np.ctypeslib.as_array(wave.samples, shape=(wave.num_samples,)).copy()
        return Spoken(samples, wave.sample_rate, list(_segments(library, utterance)))
    finally:
        library.delete_utterance(utterance)


@cache
def _lexicon() -> int:
    lexicon = ctypes.CDLL("libflite_cmulex.so.1")
    _declare(lexicon, "cmu_lex_init", ctypes.c_void_p)
    return int(lexicon.cmu_lex_init())


def pronounce(word: str) -> list[str]:
    """Phones of one lower-case word with stress digits on vowels, by flite's lexicon and its letter-to-sound rules."""
    library = _library()
    phones = library.lex_lookup(_lexicon(), word.encode("ascii"), None, None)
    result, cell = [], phones
    while cell:
        result.append(library.val_string(library.val_car(cell)).decode())
        cell = library.val_cdr(cell)
    library.delete_val(phones)
    return result


@dataclass(frozen=True)
class Flite:
    """See `parlando.data.teachers.protocol.Teacher`."""

    name: str = "flite"
    batch: int = 24
    voices: Collection[str] = FLITE_VOICES
    sources: Sequence[Source] = (
        Source("Flite and its voices, Carnegie Mellon University", "free, without restriction", "apt: libflite1"),
    )

    def shares(self, language: str) -> str:
        """See `Teacher`."""
        return "slt=5,rms=4,awb=4,kal16=2"

    def describe(self, voice: str) -> str:
        """See `Teacher`."""
        return "a voice of Flite"

    def check(self, voice: str, language: str) -> None:
        """See `Teacher`."""
        refuse_language(self.name, language)
        if voice not in FLITE_VOICES:
            raise VoiceNotFoundError(voice, FLITE_VOICES)

    def prepare(self) -> None:
        """See `Teacher`."""

    def sentences(self, lines: Iterable[str], language: str) -> Iterator[str]:
        """See `Teacher`."""
        return plain_sentences(lines)

    def speak(self, lines: Sequence[Line], voice: str) -> list[Spoken | Unspoken]:
        """See `Teacher`."""
        refuse_tempo(self.name, lines)
        return [speak(line.text, voice) for line in lines]
