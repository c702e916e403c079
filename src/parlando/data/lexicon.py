"""Build the packed English dictionary: the CMU dictionary's words, said by Flite, mended where the two disagree."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from parlando.core.errors import FileMissingError
from parlando.data.teachers.flite import pronounce
from parlando.text.lexicon import PHONES, Phones, pack

PLAIN_WORD = re.compile(r"[a-z']+")
ALTERNATE = re.compile(r"\(\d+\)$")
DERIVED = re.compile(r".*('s|s')")
REDUCED = {"ax": "ax", "ah": "ax", "ih": "ax", "eh": "ax", "uh": "ax", "iy": "iy", "ao": "aa"}


def read_cmudict(path: Path) -> dict[str, list[Phones]]:
    """Words of plain letters and their pronunciations, without stress, most common first.

    Raises:
        FileMissingError: there is no such file.
    """
    if not path.is_file():
        raise FileMissingError(path, "CMU dictionary")
    words: dict[str, list[Phones]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        spelling, *phones = line.split() or [""]
        word = ALTERNATE.sub("", spelling)
        if PLAIN_WORD.fullmatch(word) and phones:
            words.setdefault(word, []).append(tuple(phone.lower() for phone in phones))
    return words


def choose_phones(spoken: Sequence[str], written: Sequence[Phones]) -> Phones:
    """Flite's phones where a written pronunciation agrees with them, up to reduced vowels; else the first written one.

    A written pronunciation has no stress: it takes Flite's where the vowels pair up, else the first vowel's.
    """
    own = tuple(_complete(phone) for phone in spoken)
    if not written or any(_coarse(own) == _coarse(other) for other in written):
        return own
    stresses = [phone[-1] for phone in own if phone[-1].isdigit()]
    vowels = sum(_is_vowel(phone) for phone in written[0])
    if len(stresses) != vowels:
        stresses = ["1"] + ["0"] * (vowels - 1)
    remaining = iter(stresses)
    return tuple(_stressed(phone, next(remaining)) if _is_vowel(phone) else phone for phone in written[0])


def _is_vowel(phone: str) -> bool:
    return phone + "0" in PHONES


def _stressed(vowel: str, stress: str) -> str:
    return "ax0" if vowel == "ah" and stress == "0" else vowel + stress


def _complete(phone: str) -> str:
    """A vowel that the lexicon has without a digit is unstressed."""
    return phone + "0" if phone not in PHONES else phone


def _coarse(phones: Sequence[str]) -> list[str]:
    plain = [phone.rstrip("01") for phone in phones]
    return [REDUCED.get(phone, phone) for phone in plain]


def build_lexicon(words: Mapping[str, Sequence[Phones]], out: Path) -> int:
    """Write the packed dictionary of ``words`` (see `read_cmudict`) and return how many it has.

    Possessives of words that are there are left to the rules of `parlando.text.lexicon`.
    """
    entries = {}
    for word, written in words.items():
        if DERIVED.fullmatch(word) and word[:-2].rstrip("'") in words:
            continue
        spoken = pronounce(word)
        phones = choose_phones(spoken, written)
        if phones:
            entries[word] = phones
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(pack(entries))
    return len(entries)
