"""Whether somebody speaks just now, frame by frame: levels in bands above a noise floor that follows, and voicing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

FRAME_SECONDS = 0.02
EDGES_HZ = (200.0, 350.0, 500.0, 700.0, 950.0, 1250.0, 1650.0, 2300.0, 3400.0)
NUM_BANDS, BEST_BANDS = len(EDGES_HZ) - 1, 4
LOWEST_PITCH_HZ, HIGHEST_PITCH_HZ, LEAST_PERIODICITY = 70.0, 400.0, 0.45
SMOOTHING, FALL = 0.5, 0.3  # shares of a difference that are made good in a frame
RISE_DECIBELS = 0.08  # of the floor in a frame: 4 dB a second
MOST_DECIBELS = 16.0  # that one band counts for: a tone, in one band or at the edge of two, is not a voice
DEEPEST_DECIBELS = 30.0  # below the loudest band: what lies deeper has leaked out of it
FLOOR_DECIBELS, FIRST_FLOOR_DECIBELS = -75.0, -50.0  # of a band's share of full scale
HYSTERESIS = 0.55  # of the decibels that speech begins with, speech goes on with
LEAST_LEFT = 0.2
TINY = 1e-12


@dataclass(frozen=True)
class Heard:
    """What one frame is: loud enough to begin speech or to go on with it, and whether it has a pitch."""

    begins: bool
    goes_on: bool
    voiced: bool


class Detector(Protocol):
    """Listens to one stream, a frame at a time."""

    @property
    def frame_samples(self) -> int:
        """How many samples a frame has."""
        ...

    def hear(self, frame: np.ndarray) -> Heard:
        """Judge the next frame (float32 [frame_samples])."""
        ...


class BandDetector:
    """A detector that follows the noise in each band: at once down, slowly up, so that the dips of speech leave it be.

    ``threshold`` (0 to 1, as OpenAI's server_vad has it) is how far above the noise speech begins: 3 to 15 dB, over the
    four best bands of eight.
    """

    def __init__(self, sample_rate: int, threshold: float = 0.5) -> None:
        self.frame_samples = round(FRAME_SECONDS * sample_rate)
        self._begin_decibels = 3.0 + 12.0 * threshold
        self._rate = sample_rate
        self._before = np.zeros(self.frame_samples, np.float32)
        hertz = np.fft.rfftfreq(2 * self.frame_samples, 1 / sample_rate)
        bands = np.digitize(hertz, EDGES_HZ)
        self._starts = np.array([int(np.argmax(bands == band)) for band in range(1, NUM_BANDS + 2)])
        self._window = np.hanning(2 * self.frame_samples)
        self._scale = 2.0 / np.square(self._window).sum() / len(self._window)
        # What the window leaves of the correlation at a lag (Boersma, 1993).
        left = np.fft.irfft(np.square(np.abs(np.fft.rfft(self._window))))
        self._left = np.maximum(left / left[0], LEAST_LEFT)
        # Rumble, which has no pitch, falls faster than a voice.
        self._whitening = np.where((hertz > LOWEST_PITCH_HZ) & (hertz < EDGES_HZ[-1]), hertz, 0.0)
        self._levels: np.ndarray | None = None
        self._floor = np.full(NUM_BANDS, FIRST_FLOOR_DECIBELS)

    def hear(self, frame: np.ndarray) -> Heard:
        """Judge the next frame."""
        both = np.concatenate([self._before, frame])
        self._before = np.asarray(frame, np.float32)
        power = np.square(np.abs(np.fft.rfft(both * self._window))) * self._scale
        decibels = self._above_noise(power)
        return Heard(
            decibels >= self._begin_decibels,
            decibels >= self._begin_decibels * HYSTERESIS,
            self._periodicity(power) >= LEAST_PERIODICITY,
        )

    def _above_noise(self, power: np.ndarray) -> float:
        in_bands = np.add.reduceat(power, self._starts)[:NUM_BANDS]
        levels = np.maximum(10 * np.log10(in_bands + TINY), FLOOR_DECIBELS)
        if self._levels is None:
            self._levels, self._floor = levels, np.minimum(levels, FIRST_FLOOR_DECIBELS)
        self._levels = self._levels + SMOOTHING * (levels - self._levels)
        below = np.minimum(self._levels - self._floor, 0.0)
        self._floor = self._floor + np.where(below < 0, FALL * below, RISE_DECIBELS)
        above = np.clip(self._levels - self._floor, 0.0, MOST_DECIBELS)
        above[levels < levels.max() - DEEPEST_DECIBELS] = 0.0
        return float(np.sort(above)[-BEST_BANDS:].mean())

    def _periodicity(self, power: np.ndarray) -> float:
        """The highest peak of the autocorrelation at a voice's periods, as a share of all power."""
        correlation = np.fft.irfft(power * self._whitening)
        shortest, longest = round(self._rate / HIGHEST_PITCH_HZ), round(self._rate / LOWEST_PITCH_HZ)
        lags = np.arange(shortest, min(longest, len(correlation) // 2 - 1))
        peaks = lags[(correlation[lags] >= correlation[lags - 1]) & (correlation[lags] >= correlation[lags + 1])]
        if not len(peaks) or correlation[0] <= TINY * TINY:
            return 0.0
        return float((correlation[peaks] / self._left[peaks]).max() / correlation[0])
