"""One request in the engine: its prompt, its sampler, the frames that wait for its consumer, and how it went."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from parlando.core.errors import CancelledError, EngineClosedError, GenerationError, ParlandoError
from parlando.core.stages import FrameSampler
from parlando.core.types import Awaited, Frame, Prompt
from parlando.engine.playback import Playback

Finish = Literal["end", "length", "cancelled", "failed", "closed"]


class State(Enum):
    """Where a session stands: ``WAITING`` → ``RUNNING`` → one of the three that are over."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True)
class SessionTimings:
    """Seconds, ``None`` for what has not happened; first frame and total count from the submission."""

    queued_seconds: float | None
    prefill_seconds: float | None
    first_frame_seconds: float | None
    total_seconds: float | None


class Session:
    """Iterate it, in one thread, for its frames; leaving the loop or the ``with`` block early cancels it.

    Every other method may be called from any thread. A consumer that has use only for several frames at once says so in
    ``wanted_frames`` and sleeps until they are there. A consumer with nothing to read calls ``pump(session)``, which
    makes progress or waits until there is some; one whose session is `awaiting` for outside input fetches it instead.
    """

    def __init__(
        self,
        number: int,
        prompt: Prompt,
        sampler: FrameSampler,
        max_frames: int,
        pump: Callable[[Session], None],
        playback: Playback | None = None,
    ) -> None:
        self.number = number
        self.prompt = prompt
        self.sampler = sampler
        self.max_frames = max_frames
        self.playback = playback
        self.wanted_frames = 1
        self.resting = False
        self.parked: Any = None  # what its row held, while somebody else has the row
        self.frame_count = 0
        self.last_frame: Frame | None = None
        self.state = State.WAITING
        self.finish: Finish | None = None
        self._pump = pump
        self._error: ParlandoError | None = None
        self._awaited: tuple[Awaited, Any] | None = None
        self._frames: deque[Frame] = deque()
        # Entering the lock itself is much cheaper than entering its condition, and happens for every frame.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._moments = {"submitted": time.perf_counter()}

    @property
    def over(self) -> bool:
        """Whether no further frame will come from the model."""
        return self.finish is not None

    @property
    def ready(self) -> bool:
        """Whether it is worth waking the consumer: as many frames wait as it wants, or the session is over."""
        return len(self._frames) >= self.wanted_frames or self.over

    @property
    def held_frames(self) -> int:
        """How many frames are there and were not taken yet."""
        return len(self._frames)

    @property
    def awaiting(self) -> bool:
        """Whether its sampler waits for something that the consumer has to fetch; its row sits out until then."""
        return self._awaited is not None and not self.over

    @property
    def timings(self) -> SessionTimings:
        """How long each part took so far."""
        return SessionTimings(
            queued_seconds=self._span("submitted", "begun"),
            prefill_seconds=self._span("begun", "prefilled"),
            first_frame_seconds=self._span("submitted", "first_frame"),
            total_seconds=self._span("submitted", "over"),
        )

    def __iter__(self) -> Iterator[Frame]:
        """The frames as they come.

        Raises:
            GenerationError: the model or the sampler failed; frames made before come first; has their error as cause.
            EngineClosedError: the engine was closed; frames made before come first.
            CancelledError: the session was cancelled from outside the loop.
            Exception: whatever fetching the input that its sampler waits for raises, as it is.
        """
        try:
            while (frame := self._take()) is not None:
                yield frame
        finally:
            self.cancel()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def cancel(self) -> None:
        """End it now and forget its frames; its row is free before the next step. Nothing happens when it is over."""
        reason = f"request {self.number} was cancelled after {self.frame_count} frames; submit it again if it is wanted"
        with self._lock:
            if self._conclude(State.CANCELLED, "cancelled", CancelledError(reason)):
                self._frames.clear()

    def wait(self) -> None:
        """Block until `ready` or `awaiting`."""
        with self._lock:
            self._changed.wait_for(lambda: self.ready or self.awaiting)

    @contextmanager
    def rest(self) -> Iterator[None]:
        """Within the block its row sits out: what the consumer does is more urgent, and would be held up by steps."""
        self.resting = True
        try:
            yield
        finally:
            self.resting = False

    def begin(self) -> None:
        """The engine's word that the prefill starts."""
        with self._lock:
            if not self.over:
                self.state = State.RUNNING
                self._mark("begun")

    def prefilled(self) -> None:
        """The engine's word that the prompt is in the cache."""
        self._mark("prefilled")

    def decide(self, logits: Any) -> int:
        """Ask the sampler what follows, and take that; returns how many frames that is.

        What it waits for is kept with the logits it was asked with.
        """
        decided = self.sampler.next(logits)
        with self._lock:
            if isinstance(decided, Awaited):
                self._awaited = decided, logits
                self._changed.notify_all()
                return 0
            # Only with the frame in its place may the engine step this row again.
            frames = self.accept(decided)
            if self.sampler.ended:
                self.accept(None)
            self._awaited = None
            return frames

    def accept(self, frame: Frame | None) -> int:
        """Take what the sampler decided, a frame, or ``None`` for the end; returns how many frames that is."""
        with self._lock:
            if self.over:
                return 0
            if frame is None:
                self._conclude(State.ENDED, "end")
                return 0
            if not self.frame_count:
                self._mark("first_frame")
            self._frames.append(frame)
            self.last_frame, self.frame_count = frame, self.frame_count + 1
            if self.frame_count >= self.max_frames:
                self._conclude(State.ENDED, "length")
            elif len(self._frames) == self.wanted_frames:
                # Who sleeps wants the same number until woken, so that no further frame need wake anybody.
                self._changed.notify_all()
            return 1

    def fail(self, cause: BaseException) -> None:
        """End it with an error of its own; the consumer sees a GenerationError with this cause."""
        what = f"{type(cause).__name__}: {cause}"
        where = f"after {self.frame_count} frames of request {self.number}"
        error = GenerationError(f"the model failed {where} ({what}); submit it again, or look into the cause")
        error.__cause__ = cause
        self._conclude(State.FAILED, "failed", error)

    def close(self) -> None:
        """End it because its engine shuts down."""
        reason = f"the engine was closed after {self.frame_count} frames of request {self.number}; submit it to another"
        self._conclude(State.FAILED, "closed", EngineClosedError(reason))

    def _take(self) -> Frame | None:
        while not self._frames and not self.ready:
            if self._awaited is None:
                self._pump(self)
            else:
                self._fetch(*self._awaited)
        try:
            return self._frames.popleft()
        except IndexError:  # it is over, or was cancelled from outside just now
            pass
        if self._error is not None:
            raise self._error
        return None

    def _fetch(self, awaited: Awaited, logits: Any) -> None:
        """Get what the sampler waits for, and ask it again; a failure of the sampler is one of the model."""
        awaited.fetch()
        try:
            self.decide(logits)
        except Exception as error:  # noqa: BLE001
            self.fail(error)

    def _conclude(self, state: State, finish: Finish, error: ParlandoError | None = None) -> bool:
        with self._lock:
            if self.over:
                return False
            self.state, self._error, self.finish = state, error, finish
            self._mark("over")
            self._changed.notify_all()
            return True

    def _mark(self, moment: str) -> None:
        self._moments.setdefault(moment, time.perf_counter())

    def _span(self, start: str, end: str) -> float | None:
        if start in self._moments and end in self._moments:
            return self._moments[end] - self._moments[start]
        return None
