"""How many frames go into each chunk of audio: few at first, so that sound starts early, and then more."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from parlando.core.errors import ConfigError
from parlando.core.types import Frame


@dataclass(frozen=True)
class HopSchedule:
    """Chunk sizes in frames: ``first``, then each ``growth`` times the one before, rounded up, until ``largest``."""

    first: int = 2
    growth: float = 2.0
    largest: int = 25

    def __post_init__(self) -> None:
        if not 1 <= self.first <= self.largest or not self.growth >= 1:
            raise ConfigError(f"{self}: must have 1 <= first <= largest and growth >= 1")

    @classmethod
    def fixed(cls, frames: int) -> HopSchedule:
        """Every chunk of the same size."""
        return cls(first=frames, growth=1.0, largest=frames)

    def __iter__(self) -> Iterator[int]:
        """Sizes without end."""
        size = self.first
        while True:
            yield size
            size = math.ceil(min(self.largest, size * self.growth))


class Chunker:
    """Collects frames until the schedule's next chunk is full."""

    def __init__(self, schedule: HopSchedule) -> None:
        self._sizes = iter(schedule)
        self._due = next(self._sizes)
        self._frames: list[Frame] = []

    def push(self, frame: Frame) -> tuple[Frame, ...]:
        """Add a frame; the chunk when this one fills it, else nothing."""
        self._frames.append(frame)
        if len(self._frames) < self._due:
            return ()
        self._due = next(self._sizes)
        return self.flush()

    def flush(self) -> tuple[Frame, ...]:
        """What is left, however little."""
        frames, self._frames = tuple(self._frames), []
        return frames


def chunked(frames: Iterable[Frame], schedule: HopSchedule) -> Iterator[tuple[tuple[Frame, ...], bool]]:
    """Chunks as they fill, each with whether it is the last; no chunk is held back, so the last one may be empty."""
    chunker = Chunker(schedule)
    for frame in frames:
        if chunk := chunker.push(frame):
            yield chunk, False
    yield chunker.flush(), True
