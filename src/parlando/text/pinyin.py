"""Pinyin: syllables with tone marks or numbers, characters of exactly that sound, and the nearest English phones."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib import import_module
from types import ModuleType

from parlando.core.errors import ConfigError, MissingDependencyError, nearest
from parlando.core.install import with_extra
from parlando.text.lexicon import Phones

INITIALS: Mapping[str, str] = {
    "": "", "b": "b", "p": "p", "m": "m", "f": "f", "d": "d", "t": "t", "n": "n", "l": "l", "g": "g", "k": "k",
    "h": "hh", "j": "jh", "q": "ch", "x": "sh", "zh": "jh", "ch": "ch", "sh": "sh", "r": "r", "z": "d z", "c": "t s",
    "s": "s", "y": "y", "w": "w",
}  # fmt: skip
FINALS: Mapping[str, str] = {
    "a": "aa1", "o": "w ao1", "e": "ah1", "i": "iy1", "u": "uw1", "ü": "y uw1", "ai": "ay1", "ei": "ey1", "ao": "aw1",
    "ou": "ow1", "an": "aa1 n", "en": "ah1 n", "ang": "aa1 ng", "eng": "ah1 ng", "ong": "uh1 ng", "er": "aa1 r",
    "ia": "y aa1", "ie": "y eh1", "iao": "y aw1", "iu": "y ow1", "ian": "y eh1 n", "in": "ih1 n", "iang": "y aa1 ng",
    "ing": "ih1 ng", "iong": "y uh1 ng", "ua": "w aa1", "uo": "w ao1", "uai": "w ay1", "ui": "w ey1", "uan": "w aa1 n",
    "un": "w ah1 n", "uang": "w aa1 ng", "ue": "y eh1", "üe": "y eh1", "üan": "y eh1 n", "ün": "y uw1 n",
    "io": "y ao1", "ê": "eh1",
}  # fmt: skip
_AFTER_SIBILANT, _AFTER_PALATAL = {"i": "er1"}, {"u": "y uw1", "un": "y uw1 n", "uan": "y eh1 n"}
_SIBILANTS, _PALATALS = ("zh", "ch", "sh", "r", "z", "c", "s"), ("j", "q", "x", "y")
_TONES = {"\u0304": "1", "\u0301": "2", "\u030c": "3", "\u0300": "4"}
_NEUTRAL = "5"
_SHAPE = re.compile(
    rf"(zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw]?)({'|'.join(sorted(FINALS, key=len, reverse=True))})(r?)([1-5])"
)
ERHUA = "儿"
"""The character for the r that a syllable ends in."""

_MOSTLY, _NEARLY_ALWAYS = 0.5, 0.95
_SYLLABLES = 1 << 12
_COMMON_CHARACTERS = (0xB0A1, 0xD7F9)  # level 1 of GB 2312: the 3,755 characters in common use


def parse_pinyin(text: str, where: str = "pronunciation") -> tuple[str, ...]:
    """Syllables with tone numbers from ``háng zhǎng`` or ``hang2 zhang3``; ``v`` is ü, no tone or 0 the neutral one.

    Raises:
        ConfigError: there is none, or one is no syllable of Mandarin (checked with pypinyin's table if it is there).
    """
    syllables = tuple(_syllable(part) for part in text.split())
    if not syllables:
        raise ConfigError(f"{where}: no pinyin; write syllables with tones, as in 'háng zhǎng' or 'hang2 zhang3'")
    for written, syllable in zip(text.split(), syllables, strict=True):
        if not _SHAPE.fullmatch(syllable):
            raise ConfigError(f"{where}: '{written}' is no pinyin syllable; write it like 'zhǎng' or 'zhang3'")
        _check_known(written, syllable, where)
    return syllables


def phones_of(syllables: Sequence[str]) -> Phones:
    """The nearest English phones, for a model that has no others; tones are lost.

    Raises:
        ConfigError: a syllable has not the shape of one.
    """
    return tuple(phone for syllable in syllables for phone in _phones(syllable).split())


def homophones(word: str, syllables: Sequence[str]) -> str:
    """Characters that are read exactly so, those of ``word`` kept that nearly always are.

    Of the characters of a sound, those that mostly are read so come before others, then those in common use, then
    those nearly always read so, and of these the one with most uses; uses are counted in pypinyin's phrases.

    Raises:
        MissingDependencyError: pypinyin is not installed.
        ConfigError: no character has that sound.
    """
    sounds = spread_erhua(syllables)
    written = word if len(word) == len(sounds) else " " * len(sounds)
    return "".join(
        own if _share(own, sound) >= _NEARLY_ALWAYS else sound if sound == ERHUA else _character(sound)
        for own, sound in zip(written, sounds, strict=True)
    )


def spread_erhua(syllables: Sequence[str]) -> list[str]:
    """One entry for each character: ``dianr3`` is ``dian3`` and `ERHUA`, which is how 点儿 is written."""
    curled = [syllable[-2:-1] == "r" and syllable[:-1] != "er" for syllable in syllables]
    pairs = zip(syllables, curled, strict=True)
    return [
        part for syllable, curls in pairs for part in ((syllable[:-2] + syllable[-1], ERHUA) if curls else (syllable,))
    ]


@lru_cache(_SYLLABLES)
def _syllable(text: str) -> str:
    """``zhǎng``, ``zhang3`` and ``lv4`` with a number at the end, ``ü`` as one letter."""
    plain, tone = "", ""
    for character in unicodedata.normalize("NFD", text.lower()):
        if character in _TONES:
            tone = _TONES[character]
        else:
            plain += character
    plain = unicodedata.normalize("NFC", plain).replace("u:", "ü").replace("v", "ü")
    if plain[-1:].isdigit():
        plain, tone = plain[:-1], tone or plain[-1].replace("0", _NEUTRAL)
    return plain + (tone or _NEUTRAL)


def _check_known(written: str, syllable: str, where: str) -> None:
    try:
        known = {reading[:-1] for readings in _readings().values() for reading in readings}
    except MissingDependencyError:
        return
    bare = syllable[:-1]
    if bare not in known and bare.removesuffix("r") not in known:
        raise ConfigError(f"{where}: '{written}' is no syllable of Mandarin.{nearest(bare, known)}")


def _phones(syllable: str) -> str:
    match = _SHAPE.fullmatch(syllable)
    if match is None:
        raise ConfigError(f"'{syllable}' is no pinyin syllable; write it like 'zhang3'")
    initial, final, erhua = match[1], match[2], " r" if match[3] else ""
    vowels = FINALS[final]
    if initial in _SIBILANTS:
        vowels = _AFTER_SIBILANT.get(final, vowels)
    if initial in _PALATALS:
        vowels = _AFTER_PALATAL.get(final, vowels)
    consonant = INITIALS[initial]
    if initial and final == "o":
        vowels = "ao1" if initial in "yw" else vowels
    said = f"{consonant} {vowels}{erhua}".strip()
    return said.replace("y y ", "y ").replace("w w ", "w ").replace("y iy1", "iy1").replace("y ih1", "ih1")


def _module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependencyError("pypinyin", with_extra("languages")) from error


def forget() -> None:
    """Look for pypinyin anew."""
    for table in (_readings, _by_sound, _uses, _character):
        table.cache_clear()


@cache
def _readings() -> Mapping[str, tuple[str, ...]]:
    """Every character's syllables, the usual one first."""
    table = _module("pypinyin.pinyin_dict").pinyin_dict
    return {chr(code): tuple(dict.fromkeys(map(_syllable, text.split(",")))) for code, text in table.items()}


@cache
def _by_sound() -> Mapping[str, Sequence[str]]:
    """The characters of every syllable."""
    found: dict[str, list[str]] = {}
    for character, readings in _readings().items():
        for syllable in readings:
            found.setdefault(syllable, []).append(character)
    return found


@cache
def _uses() -> Mapping[str, Counter[str]]:
    """For each character, how many phrases have it with which pronunciation."""
    phrases: Mapping[str, Sequence[Sequence[str]]] = _module("pypinyin.phrases_dict").phrases_dict
    uses: dict[str, Counter[str]] = {}
    for phrase, read in phrases.items():
        for character, said in zip(phrase, read, strict=False):
            uses.setdefault(character, Counter())[_syllable(said[0])] += 1
    return uses


def _share(character: str, syllable: str) -> float:
    """Of the phrases with a character, the share in which it is read so; without phrases, by its table of readings."""
    readings, uses = _readings().get(character, ()), _uses().get(character)
    if uses:
        return uses[syllable] / uses.total()
    return float(readings == (syllable,))


@cache
def _character(syllable: str) -> str:
    found = _by_sound().get(syllable, ())
    if not found:
        raise ConfigError(f"no character is pronounced '{syllable}', so it cannot be written for this model")
    return min(found, key=lambda character: _rank(character, syllable))


def _rank(character: str, syllable: str) -> tuple[bool, bool, float, int, str]:
    """The lower the better to stand for a syllable."""
    share, uses = _share(character, syllable), _uses().get(character, Counter[str]())
    return share < _MOSTLY, not _is_common(character), -min(share, _NEARLY_ALWAYS), -uses[syllable], character


def _is_common(character: str) -> bool:
    try:
        code = int.from_bytes(character.encode("gb2312"), "big")
    except UnicodeEncodeError:
        return False
    return _COMMON_CHARACTERS[0] <= code <= _COMMON_CHARACTERS[1]
