"""Words to phones: a packed English dictionary (CMU words, Flite's phone set) with word-formation rules behind it.

Phones are lower-case ARPAbet; vowels carry a stress digit, 0 or 1, and the neutral vowel is ``ax0``.
"""

from __future__ import annotations

import lzma
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources

from parlando.core.errors import ConfigError, nearest

VOWELS = ("aa", "ae", "ah", "ao", "aw", "ay", "eh", "er", "ey", "ih", "iy", "ow", "oy", "uh", "uw")
CONSONANTS = (
    "b", "ch", "d", "dh", "f", "g", "hh", "jh", "k", "l", "m", "n",
    "ng", "p", "r", "s", "sh", "t", "th", "v", "w", "y", "z", "zh",
)  # fmt: skip
PHONES = ("ax0", *(vowel + stress for vowel in VOWELS for stress in "01"), *CONSONANTS)
"""Every phone that `Lexicon.pronounce` can return, in a fixed order."""

Phones = tuple[str, ...]

_FIRST_SYMBOL = 0x30
_SYMBOLS = {phone: bytes([_FIRST_SYMBOL + index]) for index, phone in enumerate(PHONES)}
_SIBILANTS = frozenset(("s", "z", "sh", "zh", "ch", "jh"))
_VOICELESS = frozenset(("p", "t", "k", "f", "th", "s", "sh", "ch"))
_SHORTEST_PART = 3

# Where one spelling has several pronunciations the first entry of a dictionary is often the rarer word.
COMMON = {
    word: tuple(phones.split())
    for word, phones in {
        "a": "ax0", "an": "ae1 n", "the": "dh ax0", "to": "t ax0", "of": "ah1 v", "and": "ae1 n d", "i": "ay1",
        "was": "w aa1 z", "were": "w er0", "for": "f ao1 r", "does": "d ah1 z", "read": "r iy1 d", "live": "l ih1 v",
        "lives": "l ih1 v z", "lead": "l iy1 d", "use": "y uw1 z", "used": "y uw1 z d", "minute": "m ih1 n ax0 t",
        "minutes": "m ih1 n ax0 t s", "bow": "b ow1", "close": "k l ow1 s", "wind": "w ih1 n d", "tear": "t ih1 r",
        "you're": "y ao1 r", "your": "y ao1 r", "we're": "w ih1 r", "they're": "dh eh1 r", "i'm": "ay1 m",
        "i'll": "ay1 l", "i've": "ay1 v", "i'd": "ay1 d", "won't": "w ow1 n t", "don't": "d ow1 n t",
        "can't": "k ae1 n t", "ain't": "ey1 n t", "o'clock": "ax0 k l aa1 k", "ma'am": "m ae1 m",
        "with": "w ih1 dh", "our": "aw1 er0", "house": "hh aw1 s", "excuse": "ih0 k s k y uw1 z",
        "polish": "p aa1 l ih0 sh",
    }.items()
}  # fmt: skip

_CONTRACTIONS = {
    "n't": ("ax0", "n", "t"), "'ll": ("ax0", "l"), "'ve": ("ax0", "v"), "'re": ("er0",), "'d": ("d",), "'m": ("m",),
}  # fmt: skip

# Ending, what may stand in the base word instead of it, phones.
_ENDINGS: tuple[tuple[str, tuple[str, ...], Phones], ...] = (
    ("ily", ("y",), ("l", "iy0")),
    ("ly", ("", "le"), ("l", "iy0")),
    ("iness", ("y",), ("n", "ax0", "s")),
    ("ness", ("",), ("n", "ax0", "s")),
    ("less", ("",), ("l", "ax0", "s")),
    ("ful", ("",), ("f", "ax0", "l")),
    ("ment", ("",), ("m", "ax0", "n", "t")),
    ("ing", ("", "e"), ("ih0", "ng")),
    ("iest", ("y",), ("ax0", "s", "t")),
    ("est", ("", "e"), ("ax0", "s", "t")),
    ("ier", ("y",), ("er0",)),
    ("er", ("", "e"), ("er0",)),
    ("able", ("", "e"), ("ax0", "b", "ax0", "l")),
    ("ize", ("",), ("ay0", "z")),
    ("ise", ("",), ("ay0", "z")),
    ("ization", ("",), ("ax0", "z", "ey1", "sh", "ax0", "n")),
    ("isation", ("",), ("ax0", "z", "ey1", "sh", "ax0", "n")),
)
_BEGINNINGS = {"un": ("ax0", "n"), "re": ("r", "iy0"), "co": ("k", "ow0"), "de": ("d", "iy0")}


def parse_phones(text: str, where: str = "pronunciation") -> Phones:
    """Phones from a string such as ``p aa0 r l aa1 n d ow0``.

    Raises:
        ConfigError: there is none, or one is not in `PHONES`; the message names the nearest.
    """
    phones = tuple(text.lower().split())
    if not phones:
        raise ConfigError(f"{where}: no phones; write them separated by spaces, as in 'hh ax0 l ow1'")
    for phone in phones:
        if phone not in _SYMBOLS:
            raise ConfigError(f"{where}: unknown phone '{phone}'.{nearest(phone, PHONES)}")
    return phones


def pack(entries: Mapping[str, Sequence[str]]) -> bytes:
    """The packed form of a dictionary: sorted lines of a word, a space, one byte per phone; compressed."""
    lines = [
        word.encode("ascii") + b" " + b"".join(map(_SYMBOLS.__getitem__, entries[word])) for word in sorted(entries)
    ]
    blob = b"\n" + b"\n".join(lines) + b"\n"
    return lzma.compress(blob, preset=9 | lzma.PRESET_EXTREME)


class Lexicon:
    """Pronunciations by word: the packed dictionary, then word-formation rules.

    The dictionary stays one block of bytes that is searched by bisection, so that loading costs no object per word.
    """

    def __init__(self, packed: bytes) -> None:
        """Unpack what `pack` made."""
        self._blob = lzma.decompress(packed)

    @classmethod
    def default(cls) -> Lexicon:
        """The English dictionary that comes with the package; loaded once."""
        return _load_default()

    def pronounce(self, word: str) -> Phones | None:
        """Phones of one word without its context, or ``None`` when neither dictionary nor rules know it."""
        folded = _fold(word)
        return self._derive(folded) if folded else None

    def _look_up(self, word: str) -> Phones | None:
        if word in COMMON:
            return COMMON[word]
        return self._search(word.encode("ascii", "replace"))

    def _search(self, word: bytes) -> Phones | None:
        low, high = 0, len(self._blob) - 1
        while low < high:
            start = self._blob.rfind(b"\n", 0, (low + high) // 2 + 1)
            end = self._blob.find(b"\n", start + 1)
            entry, _, symbols = self._blob[start + 1 : end].partition(b" ")
            if entry == word:
                return tuple(PHONES[symbol - _FIRST_SYMBOL] for symbol in symbols)
            low, high = (end, high) if entry < word else (low, start)
        return None

    def _derive(self, word: str) -> Phones | None:
        known = self._look_up(word)
        if known is not None:
            return known
        if "-" in word:
            return self._join([part for part in word.split("-") if part])
        if "'" in word:
            return self._from_apostrophe(word)
        return (
            self._from_inflection(word)
            or self._from_ending(word)
            or self._from_beginning(word)
            or self._from_compound(word)
        )

    def _join(self, parts: Sequence[str]) -> Phones | None:
        phones = [self._derive(part) for part in parts]
        if not phones or any(part is None for part in phones):
            return None
        return tuple(phone for part in phones if part for phone in part)

    def _from_apostrophe(self, word: str) -> Phones | None:
        if word.endswith("'s"):
            base = self._derive(word[:-2])
            return base and with_s(base)
        for ending, phones in _CONTRACTIONS.items():
            base = self._look_up(word.removesuffix(ending)) if word.endswith(ending) else None
            if base:
                return base + phones
        return self._derive(word.strip("'")) if word.strip("'") != word and word.strip("'") else None

    def _from_inflection(self, word: str) -> Phones | None:
        for ending, add in (("s", with_s), ("ed", _with_ed)):
            for base in _bases(word, ending):
                phones = self._look_up(base)
                if phones:
                    return add(phones)
        return None

    def _from_ending(self, word: str) -> Phones | None:
        for ending, replacements, phones in _ENDINGS:
            if not word.endswith(ending):
                continue
            for base in _stems(word.removesuffix(ending), replacements):
                known = self._look_up(base)
                if known:
                    neutral = ending == "ily" and known[-1] == "iy0"
                    return (*known[:-1], "ax0", *phones) if neutral else known + phones
        return None

    def _from_beginning(self, word: str) -> Phones | None:
        base = self._look_up(word[2:]) if len(word) > 2 + _SHORTEST_PART else None
        return _BEGINNINGS[word[:2]] + base if base and word[:2] in _BEGINNINGS else None

    def _from_compound(self, word: str) -> Phones | None:
        for cut in range(len(word) - _SHORTEST_PART, _SHORTEST_PART - 1, -1):
            first, second = self._look_up(word[:cut]), self._look_up(word[cut:])
            if first and second:
                return first + second
        return None


@cache
def _load_default() -> Lexicon:
    return Lexicon((resources.files("parlando.text") / "data" / "en.lexicon.xz").read_bytes())


def _fold(word: str) -> str:
    straight = word.replace("\u2019", "'").replace("\u2018", "'")
    plain = unicodedata.normalize("NFKD", straight)
    return "".join(c for c in plain if not unicodedata.combining(c)).lower().strip()


def with_s(base: Phones) -> Phones:
    """Phones with the ending of a plural, a possessive or a third person."""
    if base[-1] in _SIBILANTS:
        return (*base, "ax0", "z")
    return (*base, "s" if base[-1] in _VOICELESS else "z")


def _with_ed(base: Phones) -> Phones:
    if base[-1] in ("t", "d"):
        return (*base, "ax0", "d")
    return (*base, "t" if base[-1] in _VOICELESS else "d")


def _stems(stem: str, replacements: Sequence[str]) -> Iterator[str]:
    if len(stem) < 2:
        return
    for replacement in replacements:
        yield stem + replacement
    if len(stem) > _SHORTEST_PART and stem[-1] == stem[-2] and stem[-1] not in "aeiou":
        yield stem[:-1]


def _bases(word: str, ending: str) -> Iterator[str]:
    """Words of which ``word`` may be the plural or third person (``s``) or the past (``ed``)."""
    if not word.endswith(ending) or word.endswith("ss"):
        return
    if ending == "s":
        yield from _stems(word[:-1], ("",))
        if word.endswith("es"):
            yield from _stems(word[:-2], ("",))
        if word.endswith("ies"):
            yield word[:-3] + "y"
    else:
        yield from _stems(word[:-2], ("", "e"))
        if word.endswith("ied"):
            yield word[:-3] + "y"
