"""The engine: many requests share one language model, a frame of each per step, and join and leave between steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count

from parlando.core.errors import ConfigError, EngineClosedError, PromptTooLongError
from parlando.core.stages import FrameSampler, TokenLM
from parlando.core.types import Prompt
from parlando.engine.fairlock import FairLock
from parlando.engine.metrics import Meter, Metrics
from parlando.engine.playback import Playback
from parlando.engine.runner import Runner
from parlando.engine.scheduler import Policy, Scheduler
from parlando.engine.session import Session

POLL_SECONDS = 0.005
USUAL_LENGTH = 8192
"""Positions of a row unless others are asked for: five minutes of sound, where a published context has hours."""

JOINED_POSITIONS = 64
"""Prompts of so many positions in all take two to four times as long in one pass as a single position."""


class _Entrance:
    """One thread at a time; sessions that are over leave their rows before and after anything is done."""

    def __init__(self, lock: FairLock, tidy: Callable[[], None]) -> None:
        self._lock, self._tidy = lock, tidy

    def __enter__(self) -> None:
        self._lock.__enter__()
        try:
            self._tidy()
        except BaseException:
            self._lock.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            self._tidy()
        finally:
            self._lock.__exit__()


class Engine:
    """Runs sessions on ``rows`` cache rows of ``length`` positions (``None``: the model's, up to `USUAL_LENGTH`).

    Whoever iterates a session makes the engine step, for all sessions; after `start` a thread of the engine's own does.
    """

    def __init__(self, lm: TokenLM, rows: int = 8, length: int | None = None, policy: Policy | None = None) -> None:
        """Allocate the cache.

        Raises:
            ConfigError: no rows, or rows longer than the model's context.
        """
        self.length = min(lm.context_length, USUAL_LENGTH) if length is None else length
        if rows < 1:
            raise ConfigError(f"invalid rows: must be at least 1, got {rows}")
        if not 1 < self.length <= lm.context_length:
            raise ConfigError(
                f"invalid context: must be from 2 to the model's {lm.context_length} positions, got {self.length}"
            )
        self._runner = Runner(lm, rows, self.length)
        joined_positions = JOINED_POSITIONS if self._runner.joins_prompts else 0
        self._scheduler = Scheduler(rows, policy or Policy(), joined_positions)
        self._meter = Meter()
        self._numbers = count(1)
        self._lock = FairLock()
        self._worker: threading.Thread | None = None
        self._arrived = threading.Event()
        self._closed = False
        self._entrance = _Entrance(self._lock, self._release)

    def submit(
        self,
        prompt: Prompt,
        sampler: FrameSampler,
        max_frames: int | None = None,
        playback: Playback | None = None,
    ) -> Session:
        """Queue a request; it ends with ``length`` after ``max_frames``, or when its cache row is full.

        Somebody listens at ``playback``: the sooner they run out of sound, the sooner it is this request's turn.

        Raises:
            PromptTooLongError: the prompt leaves no room in a cache row.
            EngineBusyError: too many requests wait.
            EngineClosedError: the engine has shut down.
        """
        limit = self._frame_limit(prompt, max_frames)
        with self._entrance:
            self._ensure_open()
            session = Session(next(self._numbers), prompt, sampler, limit, self._advance, playback)
            self._scheduler.add(session)
        self._arrived.set()
        return session

    def step(self) -> bool:
        """Take one turn: prefill newcomers, then one frame for everybody; false when there is nothing to do."""
        with self._entrance:
            return self._turn()

    def start(self) -> Engine:
        """From now on step in a background thread, until `close`; harmless when it runs already.

        Raises:
            EngineClosedError: the engine has shut down.
        """
        with self._entrance:
            self._ensure_open()
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="parlando-engine", daemon=True)
                self._worker.start()
        return self

    def close(self) -> None:
        """Shut down: sessions that are not over raise EngineClosedError in their consumers, and the thread ends."""
        self._end_all()
        if self._worker is not None and self._worker is not threading.current_thread():
            self._worker.join()

    def metrics(self) -> Metrics:
        """A snapshot of what was done and what is going on."""
        with self._entrance:
            waiting = self._scheduler.waiting
            running = len(self._scheduler.sessions) - waiting
            return self._meter.snapshot(running, waiting, self._runner.prefixes.counts)

    @property
    def sound_rate(self) -> float:
        """Seconds of sound that it makes in a second, by its last steps; infinity before the first."""
        return self._scheduler.costs.sound_rate

    @property
    def free_rows(self) -> int:
        """Cache rows that nobody holds now."""
        with self._entrance:
            return self._scheduler.free_rows

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _turn(self) -> bool:
        plan = self._scheduler.plan()
        if not plan:
            return False
        turn = self._runner.run(plan)
        self._meter.turn(turn)
        self._scheduler.costs.learn(turn)
        return True

    def _turns(self) -> bool:
        """Take turns until somebody else asks for the engine; false when there is nothing to do."""
        with self._entrance:
            while self._turn():
                if self._lock.wanted:
                    return True
                self._release()
            return False

    def _release(self) -> None:
        for row, session in self._scheduler.release():
            self._runner.free(row)
            self._meter.departure(session)
        for session in self._scheduler.drop():
            self._meter.departure(session)

    def _advance(self, session: Session) -> None:
        """For a consumer with nothing to read: wait for the worker, or take a turn."""
        if self._worker is not None:
            if not self._arrived.is_set():
                # The worker may have found nothing to do while this session waited for its consumer.
                self._arrived.set()
            session.wait()
            return
        with self._entrance:
            worked = session.ready or session.awaiting or self._turn()
        if not worked:
            time.sleep(POLL_SECONDS)

    def _work(self) -> None:
        try:
            while not self._closed:
                self._arrived.clear()
                if not self._turns():
                    # Who waits although nobody runs is parked for want of input, or would interrupt somebody.
                    self._arrived.wait(POLL_SECONDS if self._scheduler.waiting else None)
        finally:
            self._end_all()

    def _end_all(self) -> None:
        with self._entrance:
            self._closed = True
            for session in self._scheduler.sessions:
                session.close()
        self._arrived.set()

    def _ensure_open(self) -> None:
        if self._closed:
            raise EngineClosedError("the engine is closed; make another one")

    def _frame_limit(self, prompt: Prompt, max_frames: int | None) -> int:
        """The last frame is never fed back, so a row holds the prompt and all frames but one."""
        room = self.length - len(prompt)
        if room < 1:
            raise PromptTooLongError(
                f"a prompt of {len(prompt)} positions leaves no room in {self.length}; "
                "shorten the text or the reference clips"
            )
        if max_frames is not None and max_frames < 1:
            raise ConfigError(f"invalid max_frames: must be at least 1, got {max_frames}")
        return room + 1 if max_frames is None else min(max_frames, room + 1)
