"""Which script a character is of, and how long it takes to say: the character classes of East Asian text."""

from __future__ import annotations

import re

HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
HANGUL = "\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e"
WIDE = HAN + KANA + HANGUL
"""Ranges for a character class of a pattern; the letters of Chinese, Japanese and Korean."""

_SYLLABLE, _MORA = re.compile(f"[{HAN}{HANGUL}]"), re.compile(f"[{KANA}]")
_SYLLABLE_LETTERS, _MORA_LETTERS = 3, 2


def length(text: str) -> int:
    """The length of a text in letters: a Chinese character or Korean syllable takes as long as 3, a kana as 2."""
    if text.isascii():
        return len(text)
    syllables, morae = len(_SYLLABLE.findall(text)), len(_MORA.findall(text))
    return len(text) + (_SYLLABLE_LETTERS - 1) * syllables + (_MORA_LETTERS - 1) * morae


def fitting(text: str, longest: int) -> int:
    """How many characters of a text have together at most the `length` ``longest``; at least one."""
    if text[:longest].isascii():
        return min(len(text), longest)
    used = 0
    for index, character in enumerate(text):
        used += length(character)
        if used > longest:
            return max(index, 1)
    return len(text)
