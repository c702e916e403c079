"""From Kokoro's symbols and their durations to phones of this project and to words, each with its time.

The sound comes two units (50 ms) before the durations say so: in 440 borders of fricatives between vowels it was 59 ms
at the beginning and 49 ms at the end (median). All times here are those of the sound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

UNIT_SAMPLES, SAMPLE_RATE = 600, 24_000
UNIT_SECONDS = UNIT_SAMPLES / SAMPLE_RATE
LEAD_UNITS = 2
PAUSE = "pau"
STRESSES = "ˈˌ"
LENGTHENING = "ː"
SPACE = " "
MARKS = ';:,.!?—…"()“”¿¡'

# fmt: off
ENGLISH: dict[str, str] = {
    "A": "ey", "I": "ay", "O": "ow", "Q": "ow", "W": "aw", "Y": "oy",
    "a": "ae", "æ": "ae", "i": "iy", "u": "uw", "ɑ": "aa", "ɒ": "aa", "ɔ": "ao", "ə": "ax", "ɐ": "ax", "ᵊ": "ax",
    "ɚ": "er", "ɛ": "eh", "ɜ": "er", "ɪ": "ih", "ᵻ": "ih", "ʊ": "uh", "ʌ": "ah", "e": "ey", "o": "ow",
    "b": "b", "d": "d", "f": "f", "h": "hh", "j": "y", "k": "k", "l": "l", "m": "m", "n": "n", "p": "p", "r": "r",
    "s": "s", "t": "t", "v": "v", "w": "w", "z": "z", "ð": "dh", "ŋ": "ng", "ɡ": "g", "ɹ": "r", "ɾ": "t", "T": "t",
    "ʃ": "sh", "ʒ": "zh", "ʤ": "jh", "ʧ": "ch", "ʔ": "t", "θ": "th", "x": "k",
}
"""American and British symbols of misaki, and the phones (`parlando.data.shards.PHONES`) that they are."""
# fmt: on
COLOURED = {"ɜ": "er", "ə": "er"}
"""Vowels that are one phone together with an r after them."""
R = "ɹ"

LONGEST_BREATHLESS_SPACE, LONGEST_BREATHLESS_MARK = 4, 2
"""Units of a gap between two phones that is still speech; a longer one is a pause."""


class Timed(NamedTuple):
    """A symbol and the units where it begins and ends."""

    symbol: str
    start: int
    end: int


def seconds(unit: int) -> float:
    """The time of a unit's beginning."""
    return round(unit * UNIT_SECONDS, 3)


def timed_symbols(symbols: Sequence[str], units: Sequence[int]) -> list[Timed]:
    """Symbols with the times of the sound; the first and the last one stand for the silence around them."""
    total, place, result = sum(units), 0, []
    for symbol, length in zip(symbols, units, strict=True):
        start, place = place, place + length
        result.append(Timed(symbol, max(0, start - LEAD_UNITS), max(0, place - LEAD_UNITS)))
    return [*result[:-1], result[-1]._replace(end=total)]


def is_gap(symbol: str) -> bool:
    """Whether a symbol is no sound: a space, a mark, or the silence at either end."""
    return symbol in ("", SPACE) or symbol in MARKS


def phones_of(timed: Sequence[Timed], language: str) -> list[tuple[str, float]]:
    """(phone, end in seconds) pairs; in other languages than English the phones are the symbols themselves.

    Stresses belong to what follows, the length mark and tones to what precedes, and so does the space between two
    words of one breath: every border is one of the durations', and a word's first phone begins when the word does.
    """
    phones: list[tuple[str, int]] = []
    for gap, group in groupby(timed, lambda each: is_gap(each.symbol)):
        run = list(group)
        if not gap:
            phones += _sounds(run, language == "en")
        elif _is_pause(run, timed):
            phones.append((PAUSE, run[-1].end))
        elif phones:
            phones[-1] = (phones[-1][0], run[-1].end)
    return [(name, seconds(end)) for name, end in phones]


def _is_pause(run: Sequence[Timed], timed: Sequence[Timed]) -> bool:
    if run[0] is timed[0] or run[-1] is timed[-1]:
        return run[-1].end > run[0].start
    marked = any(each.symbol != SPACE for each in run)
    return run[-1].end - run[0].start > (LONGEST_BREATHLESS_MARK if marked else LONGEST_BREATHLESS_SPACE)


def _sounds(run: Sequence[Timed], english: bool) -> Iterator[tuple[str, int]]:
    """Phones of a stretch without gaps, each with the unit where it ends."""
    spoken = [each for each in run if each.symbol not in STRESSES]
    place = 0
    while place < len(spoken):
        symbol, following = spoken[place].symbol, place + 1
        name = ENGLISH.get(symbol, symbol) if english else symbol
        if english and _is_coloured(spoken, place, run):
            name, following = COLOURED[symbol], place + 2
        while following < len(spoken) and _continues(spoken[following].symbol):
            following += 1
        yield name, spoken[following - 1].end
        place = following


def _is_coloured(spoken: Sequence[Timed], place: int, run: Sequence[Timed]) -> bool:
    """Whether vowel and r are one phone; they are not where a stressed syllable begins with the r's vowel."""
    if spoken[place].symbol not in COLOURED or place + 1 >= len(spoken) or spoken[place + 1].symbol != R:
        return False
    after = run.index(spoken[place + 1]) + 1
    return after >= len(run) or run[after].symbol not in STRESSES


def _continues(symbol: str) -> bool:
    """Whether a symbol says more of the one before: its length, its tone, how it is released."""
    return symbol in (LENGTHENING, "↓", "→", "↗", "↘", "ʰ", "ʲ", "\u0303")


def words_of(timed: Sequence[Timed], spans: Sequence[tuple[str, int, int]]) -> tuple[tuple[str, float, float], ...]:
    """(word, start, end) of words whose first and last places among the symbols are known."""
    return tuple((word, seconds(timed[first].start), seconds(timed[last].end)) for word, first, last in spans)
