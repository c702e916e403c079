"""Where a listener stands: how much sound they still have, and so by when the next must be there."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

UNENDED_SECONDS = 2.0  # of sound, at the least, are to come while nobody has said that it is over
NEWCOMER_SECONDS = 0.3  # by when there should be a first sound; sooner only where nobody runs out meanwhile


class Playback:
    """One request's listener, who plays from the first sound on; its sentences share it, in turn.

    ``is_alone`` says whether the machine has nothing else to do by now, as far as is known; without it, it may have.
    Whoever hands the sound out calls `begin_sentence`, `hand_out`, `decoded`, `hold` and `go_on`, from one thread at
    a time; all the rest may be read from any.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
        expected_seconds: float = math.inf,
        is_alone: Callable[[], bool] = lambda: False,
    ) -> None:
        self.begun = False
        self.over = False
        self.decoded_frames = 0
        self.decode_seconds_per_frame = 0.0
        self.speed = 1.0
        self.clock = clock
        self._expected_seconds = expected_seconds
        self._is_alone = is_alone
        self._until_seconds = 0.0
        self._waited_seconds = 0.0
        self._held_since: float | None = None

    @property
    def alone(self) -> bool:
        """Whether nothing else is to be done meanwhile."""
        return self._is_alone()

    @property
    def hurries(self) -> bool:
        """Whether they have heard nothing yet, and nothing else is to be done than to give them their first sound."""
        return not self.begun and self.alone

    @property
    def lead_seconds(self) -> float:
        """Seconds until there must be more sound; below zero is how long it is overdue.

        Infinity while the listener takes no more of it, for then they miss nothing.
        """
        return math.inf if self.held else self._until_seconds - self.clock()

    @property
    def held(self) -> bool:
        """Whether the listener takes no more sound for now."""
        return self._held_since is not None

    @property
    def remaining_seconds(self) -> float:
        """Sound that they are still to be given, as far as was expected; texts and recordings may be longer."""
        if self.over:
            return 0.0
        return max(UNENDED_SECONDS if self.begun else 0.0, self._expected_seconds)

    @property
    def deadline_seconds(self) -> float:
        """The clock's reading when the listener runs out, or should have begun."""
        return self.clock() + self.lead_seconds

    def begin_sentence(self, decode_seconds_per_frame: float = 0.0, speed: float = 1.0) -> None:
        """A new session speaks from here on, and its frames sound for 1 / ``speed`` of their length.

        Until it has been seen, decoding takes as long as it did elsewhere.
        """
        if not self._until_seconds:
            self._until_seconds = self.clock() + NEWCOMER_SECONDS
        self.decoded_frames, self.speed = 0, speed
        self.decode_seconds_per_frame = self.decode_seconds_per_frame or decode_seconds_per_frame

    def hand_out(self, seconds: float) -> None:
        """Give the listener sound."""
        if seconds > 0:
            played = self._until_seconds if self.begun else 0.0
            self._until_seconds = max(played, self.clock()) + seconds
            self._expected_seconds -= seconds
            self.begun = True

    def hold(self) -> None:
        """The listener takes no more sound; nothing happens when that is known."""
        if not self.held:
            self._held_since = self.clock()

    def go_on(self) -> None:
        """The listener takes sound again, and plays from where they were."""
        if self._held_since is not None:
            self._until_seconds += self.clock() - self._held_since
            self._held_since = None

    def decoded(self, frames: int, seconds: float, waited_seconds: float = 0.0) -> None:
        """Frames became sound, which took so long after so long a wait."""
        self.decoded_frames += frames
        if frames:
            self.decode_seconds_per_frame, self._waited_seconds = seconds / frames, waited_seconds

    def decode_seconds(self, frames: int) -> float:
        """How long it will be until so many frames are decoded, by how the last fared."""
        return frames * self.decode_seconds_per_frame + self._waited_seconds
