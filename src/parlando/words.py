"""When the words of a sentence are heard: by the tokens that its frames say, and by the sound around its pauses."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from parlando.core.types import NOWHERE, Frame, SpokenWord
from parlando.text.words import word_spans

WINDOW_SECONDS = 0.01
BELOW_LOUDEST = 30.0  # decibels: what is softer is the pause before a word or after it
PAUSE_LETTERS = 3
TINY = 1e-12
Spans = Callable[[str], Sequence[tuple[int, int]]]


@dataclass(frozen=True)
class _Place:
    """A word: its characters, its first token and the one behind its last; whether a mark stands before and behind."""

    start: int
    stop: int
    first: int
    behind: int
    after_mark: bool
    before_mark: bool

    @property
    def letters(self) -> int:
        """What it weighs where nothing but its length is known; a mark behind it is a pause."""
        return self.stop - self.start + 1 + PAUSE_LETTERS * self.before_mark


class WordClock:
    """Told all frames and samples of one sentence, it knows when each word begins and ends, from the sentence's begin.

    A model that tells the `Frame.place` gives the frame at which each token is said. Where it pauses, a word begins and
    ends with its sound. Words that no place was seen for share the time that is left, by their letters. How frames come
    in chunks makes no difference.
    """

    def __init__(self, frame_seconds: float, sample_rate: int, spans: Spans) -> None:
        self._frame_seconds, self._spans = frame_seconds, spans
        self._window = round(WINDOW_SECONDS * sample_rate)
        self._begun: list[int] = []  # the frame of the sound with which each token, or one after it, begins
        self._chunks, self._frames, self._told = 0, 0, 0
        self._places: list[_Place] = []
        self._levels: list[float] = []
        self._rest = np.zeros(0, np.float32)

    def hear(self, frames: Sequence[Frame], samples: np.ndarray) -> None:
        """Take the next frames and samples (float32 [n])."""
        self._chunks += 1
        for frame in frames:
            if frame.place != NOWHERE:
                self._begun += [self._frames] * (frame.place + 1 - len(self._begun))
                self._frames += 1
        sound = np.concatenate((self._rest, samples))
        whole = len(sound) // self._window * self._window
        squares = np.square(sound[:whole], dtype=np.float64).reshape(-1, self._window).mean(axis=1)
        self._levels += (10 * np.log10(squares + TINY)).tolist()
        self._rest = sound[whole:]

    def words(self, sentence: str, final: bool) -> tuple[SpokenWord, ...]:
        """The words of the sentence that are known now and were not told before; with ``final`` all that are left."""
        if self._chunks == 1 and not final:
            return ()  # nothing holds up the first sound
        if not self._places:
            self._places = _places(sentence, self._spans(sentence))
        known = self._reached() - 1
        while known > self._told and self._start(known) > self._heard_seconds:
            known -= 1
        places = self._places[self._told :] if final else self._places[self._told : known]
        starts = self._starts(self._told, final)
        told = [self._word(place, *around) for place, around in zip(places, pairwise(starts), strict=False)]
        self._told += len(told)
        return tuple(told)

    @property
    def _heard_seconds(self) -> float:
        return len(self._levels) * WINDOW_SECONDS

    def _reached(self) -> int:
        """How many words have begun."""
        return bisect_right(self._places, len(self._begun) - 1, key=lambda place: place.first)

    def _start(self, word: int) -> float:
        return self._begun[self._places[word].first] * self._frame_seconds

    def _starts(self, first: int, final: bool) -> list[float]:
        """When each word from ``first`` on begins by its tokens, and at the end when all is over."""
        reached = self._reached()
        starts = [self._start(word) for word in range(first, reached)]
        if not final:
            return starts
        end = max([self._heard_seconds, *starts[-1:]])
        begun = starts.pop() if starts else 0.0
        left = self._places[first + len(starts) :]
        letters = [0, *accumulate(place.letters for place in left)]
        return [*starts, *(begun + (end - begun) * count / max(1, letters[-1]) for count in letters)]

    def _word(self, place: _Place, start: float, next_start: float) -> SpokenWord:
        known = place.first < len(self._begun)
        end = next_start
        if place.behind < len(self._begun):
            end = min(end, self._begun[place.behind] * self._frame_seconds)
        loud = self._loud(start, next_start) if place.after_mark or place.before_mark else []
        if loud and place.after_mark:
            start = max(start, loud[0] * WINDOW_SECONDS)
        if loud and place.before_mark:
            end = min(next_start, (loud[-1] + 1) * WINDOW_SECONDS)
        return SpokenWord(place.start, place.stop, start, max(start, end), "attention" if known else "share")

    def _loud(self, start: float, stop: float) -> list[int]:
        """The windows between two times that are no pause, by what was heard up to the later one."""
        first, behind = int(start / WINDOW_SECONDS), round(stop / WINDOW_SECONDS)
        least = max(self._levels[:behind], default=0.0) - BELOW_LOUDEST
        return [first + index for index, level in enumerate(self._levels[first:behind]) if level > least]


def _places(sentence: str, spans: Sequence[tuple[int, int]]) -> list[_Place]:
    words, token = word_spans(sentence), 0
    ends = [0, *(stop for _, stop in words)]
    begins = [*(start for start, _ in words), len(sentence)]
    places: list[_Place] = []
    for index, (start, stop) in enumerate(words):
        while token < len(spans) and (spans[token][1] <= start or spans[token][0] == spans[token][1]):
            token += 1
        first = token
        while token < len(spans) and spans[token][0] < stop:
            token += 1
        after_mark = index == 0 or bool(sentence[ends[index] : start].strip())
        before_mark = index == len(words) - 1 or bool(sentence[stop : begins[index + 1]].strip())
        places.append(_Place(start, stop, first, token, after_mark, before_mark))
    return places
