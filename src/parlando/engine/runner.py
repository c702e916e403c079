"""Carries out a plan: the only place that calls the language model. A failure stays with whom it concerns."""

from __future__ import annotations

import time
from types import TracebackType

from parlando.core.stages import TokenLM
from parlando.core.types import Frame
from parlando.engine.scheduler import Plan, Seat
from parlando.engine.session import Session
from parlando.engine.urgency import Turn


class Isolation:
    """Failures inside the block end these sessions and go no further; an interrupt ends them and goes on."""

    def __init__(self, *sessions: Session) -> None:
        self._sessions = sessions

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is not None:
            for session in self._sessions:
                session.fail(error)
        return isinstance(error, Exception)


class Runner:
    """Owns the cache of one language model."""

    def __init__(self, lm: TokenLM, rows: int, length: int) -> None:
        self._lm = lm
        self._cache = lm.new_cache(rows, length)

    def run(self, plan: Plan) -> Turn:
        """Prefill the newcomers, then advance everybody by one frame in one batch.

        What a prompt or a sampler raises ends its own session; what the step raises, and any interrupt, ends them all.
        """
        start, made = time.perf_counter(), frames_made(plan)
        live: list[Seat] = []
        prefilled = start
        with Isolation(*(seat.session for seat in plan.steps)):
            for seat in plan.prefills:
                self._prefill(seat)
            prefilled = time.perf_counter()
            live = [seat for seat in plan.steps if not (seat.session.over or seat.session.awaiting)]
            if live:
                self._step(live)
        seconds = time.perf_counter() - start
        return Turn(len(plan.prefills), len(live), frames_made(plan) - made, seconds, prefilled - start)

    def free(self, row: int) -> None:
        """Forget what a row holds."""
        self._cache.free(row)

    def _prefill(self, seat: Seat) -> None:
        session = seat.session
        session.begin()
        with Isolation(session):
            logits = self._lm.prefill(session.prompt, self._cache, seat.row)
            session.prefilled()
            session.decide(logits)

    def _step(self, live: list[Seat]) -> None:
        logits = self._lm.step(last_frames(live), self._cache)
        for row, session in live:
            with Isolation(session):
                session.decide(logits[row])


def frames_made(plan: Plan) -> int:
    """Frames that the sessions of a plan have so far."""
    return sum([seat.session.frame_count for seat in plan.steps])


def last_frames(seats: list[Seat]) -> list[Frame | None]:
    """What each row is fed, up to the last row in use; ``None`` for the idle ones between."""
    frames: list[Frame | None] = [None] * (seats[-1].row + 1)
    for row, session in seats:
        frames[row] = session.last_frame
    return frames
