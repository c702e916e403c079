"""English number words back to figures, so that two ways to write down the same sound are the same text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from parlando.text.numbers import HUNDRED, SCALES, SMALL, TENS

_VALUES = {word: value for value, word in enumerate(SMALL)} | {w: 10 * i for i, w in enumerate(TENS) if w}
_SCALE_VALUES = {HUNDRED: 100} | {word: 1000**power for power, word in enumerate(SCALES) if word}
_ZERO, _AND = "oh", "and"
_NUMBER = "|".join((*_VALUES, *_SCALE_VALUES))
_RUN = re.compile(
    rf"\b(?:an?[ -]+(?=(?:{'|'.join(_SCALE_VALUES)})\b))?(?:{_NUMBER})"
    rf"(?:[ ,-]+(?:{_AND} )?(?:{_NUMBER}|{_ZERO})\b)*\b"
)
_WORD = re.compile(r"[a-z]+")


def in_figures(text: str) -> str:
    """A text in lower case whose numbers are figures, however they are said: digit by digit, by tens, in full.

    ``one seven two one``, ``seventeen twenty one`` and ``one thousand seven hundred and twenty one`` are all ``1721``;
    numbers that follow each other are written together.
    """
    return _RUN.sub(lambda run: _figures(_WORD.findall(run.group())), text.lower())


def _figures(words: Sequence[str]) -> str:
    numbers: list[int] = []
    room = 0  # what the next word may add to the last number: 9 after tens, 99 after a hundred
    for word in words:
        if scale := _SCALE_VALUES.get(word):
            _multiply(numbers, scale)
            room = scale - 1
        elif word == _ZERO or word in _VALUES:
            value = _VALUES.get(word, 0)
            if 0 < value <= room:
                numbers[-1] += value
            else:
                numbers.append(value)
            room = 9 if value >= 20 else 0
    return "".join(map(str, numbers))


def _multiply(numbers: list[int], scale: int) -> None:
    """The last part of the last number by a hundred, a thousand …; a scale that nothing precedes is one of it."""
    above = 1000 if scale == 100 else 1000 * scale
    whole, part = divmod(numbers[-1], above) if numbers else (0, 0)
    if part:
        numbers[-1] = whole * above + part * scale
    else:
        numbers.append(scale)
