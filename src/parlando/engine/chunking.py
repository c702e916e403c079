"""How many frames go into each chunk of audio: few at first, so that sound starts early, and then more."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from parlando.core.errors import ConfigError
from parlando.core.kinds import check_fields
from parlando.core.types import Frame
from parlando.engine.playback import Playback

SPARE_FRAMES = 4.0
AHEAD_SECONDS = 0.3  # two busy cores were seen to be elsewhere for so long
AHEAD_ALONE_SECONDS, ALONE_FRAMES = 0.12, 8.0  # as much silence may be cut, and so many come next
MOST_FIRST_FRAMES = 12
PACE_MEMORY = 0.3
JITTER_SECONDS, SLOWER = 0.03, 3.0
MOST_AT_ONCE = 25
LEAST_FRAMES = 8  # what a decoder does once for a chunk, whatever its size, costs as much as 30 frames
LEAST_ALONE_FRAMES = 4
FramesUntil = Callable[[int], int]


@dataclass(frozen=True)
class HopSchedule:
    """Chunk sizes in frames: ``first``, then each ``growth`` times the one before, rounded up, until ``largest``."""

    first: int = 2
    growth: float = 2.0
    largest: int = 25

    def __post_init__(self) -> None:
        check_fields(HopSchedule, vars(self), "schedule")
        if not 1 <= self.first <= self.largest or not self.growth >= 1:
            raise ConfigError(f"invalid {self}: must have 1 <= first <= largest and growth >= 1")

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
    """Collects frames until the schedule's next chunk is full.

    Where somebody listens, a chunk goes out early rather than let them run out, and the first one grows with the time
    that a frame takes by now (`first_frames`): what is ahead must outlast the wait for the next. So it is with the
    first one after they did run out. A decoder may hold back: ``frames_until`` says how many more frames it takes until
    so many sound. No chunk for a listener but the last has fewer than `LEAST_FRAMES`, or than `LEAST_ALONE_FRAMES`
    while nothing else is to be done: decoding one by one takes several times as long, and who is late would stay so.
    """

    def __init__(
        self,
        schedule: HopSchedule,
        playback: Playback | None = None,
        frame_seconds: float = 0.0,
        frames_until: FramesUntil = int,
    ) -> None:
        self._largest, self._sizes = schedule.largest, iter(schedule)
        self._size = next(self._sizes)
        self._frames: list[Frame] = []
        self._asked = self._awaited = 1
        self._playback, self._frame_seconds, self._frames_until = playback, frame_seconds, frames_until
        self._pace = Pace(time.perf_counter if playback is None else playback.clock)

    def push(self, frame: Frame) -> tuple[Frame, ...]:
        """Add a frame; the chunk when this one fills it, else nothing."""
        self._frames.append(frame)
        self._awaited -= 1
        if self._awaited > 0:
            return ()
        if self._playback is not None and self._frame_seconds:
            self._pace.tick(self._asked)
            full = self._is_time(self._playback)
        else:
            full = len(self._frames) >= self._due
        if not full:
            return ()
        self._size = next(self._sizes)
        return self.flush()

    @property
    def _least(self) -> int:
        if self._playback is None:
            return 1
        return min(LEAST_ALONE_FRAMES if self._playback.alone else LEAST_FRAMES, self._largest)

    @property
    def _due(self) -> int:
        return max(self._least, self._size)

    @property
    def is_through(self) -> bool:
        """Whether all frames that were awaited have come."""
        return self._awaited <= 0

    def await_frames(self) -> int:
        """How many frames may come before there is anything to decide; as many are awaited from now on."""
        self._asked = self._awaited = self._missing_frames()
        return self._awaited

    def _missing_frames(self) -> int:
        held = len(self._frames)
        missing = min(max(1, self._due - held), MOST_AT_ONCE)
        if self._playback is None or not self._frame_seconds:
            return missing
        if not self._pace.seconds:
            return 1
        if not self._playback.begun or self._playback.lead_seconds < 0:
            return max(1, self._new_start(self._playback) - held)
        held_seconds = self._playback.decode_seconds(held + missing)
        needed_seconds = held_seconds + SPARE_FRAMES * self._pace.seconds + JITTER_SECONDS
        spare_seconds = self._playback.lead_seconds - needed_seconds
        # It may become slower while nobody looks.
        return max(1, self._least - held, min(missing, int(spare_seconds / (SLOWER * self._pace.seconds))))

    def flush(self) -> tuple[Frame, ...]:
        """What is left, however little."""
        frames, self._frames = tuple(self._frames), []
        return frames

    def _is_time(self, playback: Playback) -> bool:
        held = len(self._frames)
        if not playback.begun:
            return held >= self._new_start(playback)
        if held >= self._due or held < self._least:
            return held >= self._due
        if playback.lead_seconds < 0:
            return held >= self._new_start(playback)
        needed_seconds = playback.decode_seconds(held) + SPARE_FRAMES * self._pace.seconds + JITTER_SECONDS
        return playback.lead_seconds < needed_seconds

    def _new_start(self, playback: Playback) -> int:
        """How many frames to begin with, or to begin anew."""
        return max(self._due if not playback.begun else 1, self._frames_until(self._first_frames(playback)))

    def _first_frames(self, playback: Playback) -> int:
        return first_frames(
            self._frame_seconds, self._pace.seconds, playback.decode_seconds_per_frame, alone=playback.alone
        )


def first_frames(frame_seconds: float, pace_seconds: float, decode_seconds: float, alone: bool) -> int:
    """How many sounding frames to begin with, each of which took so long to make and takes so long to decode.

    As many as, once heard, sound for longer than the next take to come, by `AHEAD_SECONDS`; by less on a fast machine
    where nothing else is to be done.
    """
    ahead_seconds = min(AHEAD_SECONDS, AHEAD_ALONE_SECONDS + ALONE_FRAMES * pace_seconds) if alone else AHEAD_SECONDS
    needed_seconds = SPARE_FRAMES * pace_seconds + ahead_seconds
    gained_seconds = frame_seconds - decode_seconds
    if gained_seconds * MOST_FIRST_FRAMES <= needed_seconds:
        return MOST_FIRST_FRAMES
    return math.ceil(needed_seconds / gained_seconds)


class Pace:
    """Seconds from one frame to the next, as a running mean."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.seconds = 0.0
        self._clock, self._last_seconds = clock, -1.0

    def tick(self, frames: int = 1) -> None:
        """So many frames have come, the last one now."""
        now, last = self._clock(), self._last_seconds
        self._last_seconds = now
        if last >= 0:
            self.seconds += ((now - last) / frames - self.seconds) * (PACE_MEMORY if self.seconds else 1.0)


def chunked(
    frames: Iterable[Frame],
    schedule: HopSchedule,
    playback: Playback | None = None,
    frame_seconds: float = 0.0,
    expect: Callable[[int], None] = lambda _: None,
    frames_until: FramesUntil = int,
) -> Iterator[tuple[tuple[Frame, ...], bool]]:
    """Chunks as they fill, each with whether it is the last; no chunk is held back, so the last one may be empty.

    ``expect`` is told how many frames are wanted next, at once; ``frames_until`` is the decoder's (`WaveStream`).
    """
    chunker = Chunker(schedule, playback, frame_seconds, frames_until)
    expect(chunker.await_frames())
    for frame in frames:
        if chunk := chunker.push(frame):
            yield chunk, False
        if chunker.is_through:
            expect(chunker.await_frames())
    yield chunker.flush(), True
