"""Cuts the silence before the first word while the sound still comes, sample for sample as it would be cut at once."""

from __future__ import annotations

import math

import numpy as np

WINDOW_SECONDS = 0.005
ABOVE_NOISE = 12.0  # decibels over the quietest window so far: what is louder may be a word
HIGHEST_SILENCE, LOWEST_SPEECH = -42.0, -55.0  # decibels of full scale, whatever the noise
WORD_SECONDS = 0.02  # what is loud for less is a click
PAUSE_SECONDS = 0.06  # as long as a consonant and its vowel may lie apart
RISE, INAUDIBLE = 6.0, -70.0  # a word begins where it leaves the noise by so many decibels, and can be heard
NOISE_SHARE = 0.25  # of the windows before a loud one are silence at the least; the quietest of all is quiet by chance
HIDDEN_SHARE = 0.5  # of the time that it is seen to rise, it may have risen below the noise before
WAIT_SECONDS = 1.0  # beyond the silence that is kept; by then a word has come, or all is passed on
MOST_CUT_SECONDS = 0.5
FADE_SECONDS = 0.005
TINY = 1e-12


class OnsetTrimmer:
    """Passes a signal on from ``kept_seconds`` before its first word is loud; where none comes, from its beginning.

    What rises to it, such as a soft consonant, is of the word and stays, however long.

    Windows are counted from the first sample, so that it does not matter in which pieces the signal comes. Once it has
    ``begun``, ``cut_samples`` of the signal's beginning are known to be left out.
    """

    def __init__(self, sample_rate: int, kept_seconds: float) -> None:
        self._sample_rate = sample_rate
        self._window = max(1, round(WINDOW_SECONDS * sample_rate))
        self._kept_seconds = kept_seconds
        self.cut_samples = 0
        self.begun = math.isinf(kept_seconds)
        self._held = np.zeros(0, np.float32)
        self._levels: list[float] = []
        self._quietest = 0.0
        self._loud: list[int] = []  # windows of what may become a word

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take more of the signal (float32 [n]); returns what of it is to be heard."""
        if self.begun:
            return samples
        self._held = np.concatenate((self._held, samples))
        while not self.begun and len(self._held) >= (end := (len(self._levels) + 1) * self._window):
            self._judge(_level(self._held[end - self._window : end]))
        return self.close() if self.begun else samples[:0]

    def close(self) -> np.ndarray:
        """What is held back, where no word came."""
        self.begun = True
        held, self._held = self._held, self._held[:0]
        return held

    def _judge(self, level: float) -> None:
        index = len(self._levels)
        self._levels.append(level)
        self._quietest = min(self._quietest, level)
        if level > min(max(self._quietest + ABOVE_NOISE, LOWEST_SPEECH), HIGHEST_SILENCE):
            self._loud.append(index)
        elif self._loud and (index - self._loud[-1]) * WINDOW_SECONDS > PAUSE_SECONDS:
            self._loud.clear()
        if len(self._loud) * WINDOW_SECONDS >= WORD_SECONDS:
            loud, rise = self._seconds(self._loud[0]), self._seconds(self._onset())
            self._cut(min(loud - self._kept_seconds, rise - HIDDEN_SHARE * (loud - rise)))
        self.begun = self.begun or len(self._levels) * WINDOW_SECONDS >= self._kept_seconds + WAIT_SECONDS

    def _seconds(self, window: int) -> float:
        return window * self._window / self._sample_rate

    def _onset(self) -> int:
        """The window in which the rise to the word starts."""
        onset = self._loud[0]
        noise = float(np.quantile(self._levels[:onset] or [self._quietest], NOISE_SHARE))
        while onset and self._levels[onset - 1] > max(noise + RISE, INAUDIBLE):
            onset -= 1
        return onset

    def _cut(self, seconds: float) -> None:
        self.begun = True
        cut = round(min(seconds, MOST_CUT_SECONDS) * self._sample_rate)
        if cut > 0:
            self.cut_samples = cut
            self._held = self._held[cut:].copy()
            fade = min(max(1, round(FADE_SECONDS * self._sample_rate)), len(self._held))
            self._held[:fade] *= np.linspace(0.0, 1.0, fade, endpoint=False, dtype=np.float32)


def _level(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + TINY))
