"""Where a listener stands: how much sound they still have, and so by when the next must be there."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

STALL_SECONDS = 0.1  # how much longer than usual a prefill may take while somebody listens


class Playback:
    """One request's listener, who plays from the first sound on; its sentences share it, in turn.

    Whoever hands the sound out calls `begin_sentence`, `hand_out`, `decoded` and `close`, from one thread at
    a time; all the rest may be read from any.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.begun = False
        self.closed = False
        self.decoded_frames = 0
        self.decode_seconds_per_frame = 0.0
        self.speed = 1.0
        self.clock = clock
        self._until_seconds = 0.0
        self._waited_seconds = 0.0

    @property
    def lead_seconds(self) -> float:
        """Sound that the listener has not played yet; below zero is how long they have been waiting."""
        return self._until_seconds - self.clock()

    @property
    def deadline_seconds(self) -> float:
        """The clock's reading when the listener runs out; minus infinity for who has heard nothing yet."""
        return self._until_seconds if self.begun else -math.inf

    def begin_sentence(self, decode_seconds_per_frame: float = 0.0, speed: float = 1.0) -> None:
        """A new session speaks from here on, and its frames sound for 1 / ``speed`` of their length.

        Until it has been seen, decoding takes as long as it did elsewhere.
        """
        self.decoded_frames, self.speed = 0, speed
        self.decode_seconds_per_frame = self.decode_seconds_per_frame or decode_seconds_per_frame

    def hand_out(self, seconds: float) -> None:
        """Give the listener sound."""
        if seconds > 0:
            self._until_seconds = max(self._until_seconds, self.clock()) + seconds
            self.begun = True

    def decoded(self, frames: int, seconds: float, waited_seconds: float = 0.0) -> None:
        """Frames became sound, which took so long after so long a wait."""
        self.decoded_frames += frames
        if frames:
            self.decode_seconds_per_frame, self._waited_seconds = seconds / frames, waited_seconds

    def decode_seconds(self, frames: int) -> float:
        """How long it will be until so many frames are decoded, by how the last fared."""
        return frames * self.decode_seconds_per_frame + self._waited_seconds

    def close(self) -> None:
        """Nothing further will be said to this listener."""
        self.closed = True
