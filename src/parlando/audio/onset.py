"""Cuts the silence before the first word while the sound still comes, sample for sample as it would be cut at once."""

from __future__ import annotations

import numpy as np

WINDOW_SECONDS = 0.005
ABOVE_NOISE = 12.0  # decibels over the quietest window so far: what is louder is a word
HIGHEST_SILENCE, LOWEST_SPEECH = -45.0, -55.0  # decibels of full scale, whatever the noise
FADE_SECONDS = 0.005
TINY = 1e-12


class OnsetTrimmer:
    """Passes a signal on from ``kept_seconds`` before its first word; holds back no more than that.

    Windows are counted from the first sample, so that it does not matter in which pieces the signal comes.
    """

    def __init__(self, sample_rate: int, kept_seconds: float) -> None:
        self._window = max(1, round(WINDOW_SECONDS * sample_rate))
        self._fade = max(1, round(FADE_SECONDS * sample_rate))
        self._kept = kept_seconds * sample_rate
        self._begun = kept_seconds == float("inf")
        self._quietest = 0.0
        self._held = np.zeros(0, np.float32)
        self._judged = 0  # samples of what is held that are known to be silent
        self._cut = False

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take more of the signal (float32 [n]); returns what of it is to be heard."""
        if self._begun:
            return samples
        self._held = np.concatenate((self._held, samples))
        while not self._begun and len(self._held) - self._judged >= self._window:
            level = _level(self._held[self._judged : self._judged + self._window])
            self._quietest = min(self._quietest, level)
            threshold = min(max(self._quietest + ABOVE_NOISE, LOWEST_SPEECH), HIGHEST_SILENCE)
            if level > threshold:
                self._begun = True
            else:
                self._judged += self._window
        self._drop(self._judged - int(min(self._kept, self._judged)))
        return self.close() if self._begun else samples[:0]

    def close(self) -> np.ndarray:
        """What is held back, where no word came."""
        self._begun = True
        held, self._held = self._held, self._held[:0]
        if self._cut:
            fade = min(self._fade, len(held))
            held[:fade] *= np.linspace(0.0, 1.0, fade, endpoint=False, dtype=np.float32)
        return held

    def _drop(self, samples: int) -> None:
        if samples > 0:
            self._held, self._judged, self._cut = self._held[samples:].copy(), self._judged - samples, True


def _level(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + TINY))
