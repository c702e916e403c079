"""A player that is simulated: when it could begin, when somebody heard something, and how long it stood still."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

PLAYABLE_SECONDS = 0.02
WINDOW_SECONDS = 0.01
AUDIBLE_LEVEL = 10 ** (-45 / 20)  # of full scale
FULL_SCALE = 32768


@dataclass
class Listener:
    """Takes 16-bit PCM with the moments (seconds since the request) at which it came, and plays from the first.

    It begins with ``PLAYABLE_SECONDS`` of sound. Sound is audible when a window of 10 ms reaches -45 dB, and is heard
    when it is played. Each stop for want of sound is a gap.
    """

    sample_rate: int
    first_byte_seconds: float | None = None
    playable_seconds: float | None = None
    audible_seconds: float | None = None
    audio_seconds: float = 0.0
    underrun_seconds: float = 0.0
    gaps: int = 0
    _until_seconds: float = 0.0
    _odd: bytes = b""
    _window: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    _heard_windows: int = 0

    def hear(self, data: bytes, now_seconds: float) -> None:
        """Take bytes that came now."""
        if not data:
            return
        if self.first_byte_seconds is None:
            self.first_byte_seconds = now_seconds
        data = self._odd + data
        whole = len(data) // 2 * 2
        self._odd = data[whole:]
        samples = np.frombuffer(data[:whole], "<i2").astype(np.float32) / FULL_SCALE
        self._play(len(samples) / self.sample_rate, now_seconds)
        if self.audible_seconds is None:
            self._listen(samples, now_seconds)

    def _play(self, seconds: float, now_seconds: float) -> None:
        self.audio_seconds += seconds
        if self.playable_seconds is None:
            if self.audio_seconds >= PLAYABLE_SECONDS:
                self.playable_seconds = now_seconds
                self._until_seconds = now_seconds + self.audio_seconds
            return
        wait_seconds = now_seconds - self._until_seconds
        if wait_seconds > 0:
            self.underrun_seconds += wait_seconds
            self.gaps += 1
        self._until_seconds = max(self._until_seconds, now_seconds) + seconds

    def _listen(self, samples: np.ndarray, now_seconds: float) -> None:
        size = round(WINDOW_SECONDS * self.sample_rate)
        self._window = np.concatenate((self._window, samples))
        count = len(self._window) // size
        windows = self._window[: count * size].reshape(count, size)
        loud = np.flatnonzero(np.sqrt((windows**2).mean(axis=1)) >= AUDIBLE_LEVEL)
        if len(loud):
            silence_seconds = (self._heard_windows + int(loud[0])) * WINDOW_SECONDS
            begun_seconds = now_seconds if self.playable_seconds is None else self.playable_seconds
            self.audible_seconds = max(now_seconds, begun_seconds + silence_seconds + self.underrun_seconds)
        self._heard_windows += count
        self._window = self._window[count * size :]
