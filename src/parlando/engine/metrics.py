"""What the engine did, counted as it goes and read as a frozen snapshot."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from parlando.engine.prefixes import PrefixCounts
from parlando.engine.session import Session
from parlando.engine.urgency import Turn

RECENT_SESSIONS = 512


@dataclass(frozen=True)
class Metrics:
    """Totals since the engine was made.

    ``batch_sizes`` maps rows in a step to steps, ``finishes`` a reason to sessions; ``first_frame_seconds`` are
    those of the sessions that ended last, sorted; ``prefixes`` are the voices that were read before.
    """

    running: int
    waiting: int
    steps: int
    prefills: int
    frames: int
    busy_seconds: float
    batch_sizes: Mapping[int, int]
    finishes: Mapping[str, int]
    first_frame_seconds: tuple[float, ...]
    prefixes: PrefixCounts

    @property
    def frames_per_second(self) -> float:
        """Frames (tokens of the language model) made per second of work; idle time does not count."""
        return self.frames / self.busy_seconds if self.busy_seconds else 0.0

    @property
    def mean_batch(self) -> float:
        """Rows in an average step."""
        return sum(size * count for size, count in self.batch_sizes.items()) / self.steps if self.steps else 0.0


class Meter:
    """Counts turns and departures."""

    def __init__(self) -> None:
        self._prefills = 0
        self._frames = 0
        self._busy_seconds = 0.0
        self._batch_sizes: Counter[int] = Counter()
        self._finishes: Counter[str] = Counter()
        self._first_frame_seconds: deque[float] = deque(maxlen=RECENT_SESSIONS)

    def turn(self, turn: Turn) -> None:
        """Count a turn."""
        self._prefills += turn.prefills
        self._frames += turn.frames
        self._busy_seconds += turn.seconds
        if turn.batch:
            self._batch_sizes[turn.batch] += 1

    def departure(self, session: Session) -> None:
        """Count a session that is over."""
        self._finishes[session.finish or "unfinished"] += 1
        if session.timings.first_frame_seconds is not None:
            self._first_frame_seconds.append(session.timings.first_frame_seconds)

    def snapshot(self, running: int, waiting: int, prefixes: PrefixCounts) -> Metrics:
        """The counts now."""
        return Metrics(
            running=running,
            waiting=waiting,
            steps=self._batch_sizes.total(),
            prefills=self._prefills,
            frames=self._frames,
            busy_seconds=self._busy_seconds,
            batch_sizes=dict(self._batch_sizes),
            finishes=dict(self._finishes),
            first_frame_seconds=tuple(sorted(self._first_frame_seconds)),
            prefixes=prefixes,
        )
