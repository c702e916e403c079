"""Speaking faster or slower at the same pitch: waveform-similarity overlap-add (Verhelst and Roelands, 1993)."""

from __future__ import annotations

import math

import numpy as np

from parlando.audio.clip import check_sample_rate
from parlando.core.errors import ConfigError

SLOWEST, FASTEST = 0.25, 4.0
HOP_SECONDS, SEARCH_SECONDS = 0.012, 0.008


class StreamTempo:
    """Changes the tempo of one stream piece by piece; how it is cut into pieces does not matter.

    ``speed`` 2 halves the duration. At 1 the samples pass unchanged.
    """

    def __init__(self, sample_rate: int, speed: float) -> None:
        """Start a stream.

        Raises:
            ConfigError: the speed is not between 0.25 and 4.
        """
        if not SLOWEST <= speed <= FASTEST:
            raise ConfigError(f"a speed of {speed:g} is out of range; use {SLOWEST:g} to {FASTEST:g}")
        rate = check_sample_rate(sample_rate)
        self._speed = speed
        self._hop, self._search = round(rate * HOP_SECONDS), round(rate * SEARCH_SECONDS)
        self._window = np.hanning(2 * self._hop + 1)[:-1].astype(np.float32)
        # The input from `_origin` on; a search margin of silence stands before its first sample.
        self._held, self._origin = np.zeros(self._search, dtype=np.float32), -self._search
        self._tail = np.zeros(self._hop, dtype=np.float32)
        self._blocks, self._follows = 0, 0
        self._fed_samples, self._made_samples = 0, 0

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """Samples (float32 [m], m may be 0) that are final after these."""
        if self._speed == 1.0:
            return samples
        self._fed_samples += len(samples)
        self._held = np.concatenate((self._held, samples))
        made = []
        while self._needed_until() <= self._origin + len(self._held):
            made.append(self._next_block())
        joined = np.concatenate(made) if made else np.zeros(0, dtype=np.float32)
        self._made_samples += len(joined)
        return joined

    @property
    def late_samples(self) -> int:
        """How many samples must still come before whatever comes after them is heard for its whole length."""
        if self._speed == 1.0:
            return 0
        reach = self._search + 2 * self._hop + math.ceil(self._hop * self._speed)
        return max(0, reach - (self._fed_samples - round(self._made_samples * self._speed)))

    def close(self) -> np.ndarray:
        """The samples that were still held back; nothing may be fed afterwards."""
        if self._speed == 1.0:
            return np.zeros(0, dtype=np.float32)
        wanted, made_before = round(self._fed_samples / self._speed), self._made_samples
        padding = round((wanted - made_before + 2 * self._hop) * self._speed) + 3 * self._hop + 2 * self._search
        return self.feed(np.zeros(padding, dtype=np.float32))[: max(0, wanted - made_before)]

    def _target(self) -> int:
        """Where in the input the next block would lie without a search."""
        return round(self._blocks * self._hop * self._speed)

    def _needed_until(self) -> int:
        # A block also waits for all the input it stands for, so that no more comes out than was promised.
        covered = math.ceil((self._blocks + 1) * self._hop * self._speed)
        return max(covered, max(self._target() + self._search, self._follows) + 2 * self._hop)

    def _next_block(self) -> np.ndarray:
        """One hop of output, from the place that best continues the block before it."""
        place = self._target() if self._blocks == 0 else self._best_place()
        start = place - self._origin
        block = self._held[start : start + 2 * self._hop] * self._window
        if self._blocks == 0:
            # Nothing overlaps the first half of the first block, so it stays at full level.
            block[: self._hop] = self._held[start : start + self._hop]
        made, self._tail = self._tail + block[: self._hop], block[self._hop :]
        self._follows, self._blocks = place + self._hop, self._blocks + 1
        self._forget(min(self._follows, self._target() - self._search))
        return made

    def _best_place(self) -> int:
        model_start = self._follows - self._origin
        model = self._held[model_start : model_start + self._hop]
        first = self._target() - self._search
        region = self._held[first - self._origin :][: self._hop + 2 * self._search]
        likeness = np.correlate(region, model, mode="valid")
        energy = np.concatenate(([0.0], np.cumsum(np.square(region, dtype=np.float64))))
        norm = np.sqrt(energy[self._hop :] - energy[: -self._hop] + 1e-6)
        return first + int(np.argmax(likeness / norm))

    def _forget(self, before: int) -> None:
        dropped = before - self._origin
        if dropped > 0:
            self._held, self._origin = self._held[dropped:], before
