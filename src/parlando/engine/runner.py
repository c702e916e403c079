"""Carries out a plan: the only place that calls the language model. A failure stays with whom it concerns."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from parlando.core.stages import JoiningLM, TokenLM
from parlando.core.types import Frame, Prefill
from parlando.engine.prefixes import Prefixes
from parlando.engine.scheduler import Plan, Slot
from parlando.engine.session import Session
from parlando.engine.urgency import Turn

logger = logging.getLogger(__name__)

LEAST_SHARED = 8  # positions; of fewer, reading them again costs no more than looking for them
LEAST_PREFIX_BYTES = 16 * 2**20


class FailureScope:
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
    """Owns the cache of one language model, and as much again as a row or 16 MiB for what its rows began with."""

    def __init__(self, lm: TokenLM, rows: int, length: int) -> None:
        self._lm = lm
        self._joining = lm if isinstance(lm, JoiningLM) and lm.joins_prompts else None
        self._cache = lm.new_cache(rows, length)
        position_bytes = self._cache.position_bytes
        self.prefixes = Prefixes(max(length * position_bytes, LEAST_PREFIX_BYTES), position_bytes)

    @property
    def joins_prompts(self) -> bool:
        """Whether prompts of one turn are read in one pass."""
        return self._joining is not None

    def run(self, plan: Plan) -> Turn:
        """Park and place whom the plan names, then advance everybody by one frame in one batch.

        What a prompt or a sampler raises ends its own session; what the step raises, and any interrupt, ends them all.
        """
        prefilled = start = time.perf_counter()
        live: Sequence[Slot] = ()
        frames = prefills = 0
        with FailureScope(*[slot.session for slot in plan.steps]):
            live = plan.steps
            if plan.entries:
                for slot in plan.parks:
                    self._park(slot)
                new = [slot for slot in plan.entries if not self._resume(slot)]
                frames, prefills = self._prefill_all(new), len(new)
                prefilled = time.perf_counter()
                live = [slot for slot in plan.steps if not (slot.session.over or slot.session.awaiting)]
            if live:
                frames += self._step(live)
        return Turn(prefills, len(live), frames, time.perf_counter() - start, prefilled - start)

    def free(self, row: int) -> None:
        """Forget what a row holds."""
        self._cache.free(row)

    def _park(self, slot: Slot) -> None:
        with FailureScope(slot.session):
            slot.session.parked = self._cache.park(slot.row)

    def _resume(self, slot: Slot) -> bool:
        """Put back what was parked; false for a session that is new."""
        parked, slot.session.parked = slot.session.parked, None
        if parked is not None:
            with FailureScope(slot.session):
                self._cache.resume(slot.row, parked)
        return parked is not None

    def _prefill_all(self, slots: Sequence[Slot]) -> int:
        """One after the other, or in one pass if that is the same to each; returns how many frames came of it."""
        if len(slots) > 1 and self._joining is not None:
            return self._prefill_joined(self._joining, slots)
        return sum([self._prefill(slot) for slot in slots])

    def _prefill(self, slot: Slot) -> int:
        with FailureScope(slot.session):
            prefill = self._begin(slot)
            return self._decide(slot.session, self._lm.prefill(prefill.prompt, self._cache, prefill.row, prefill.start))
        return 0

    def _prefill_joined(self, lm: JoiningLM, slots: Sequence[Slot]) -> int:
        begun: list[tuple[Slot, Prefill]] = []
        for slot in slots:
            with FailureScope(slot.session):
                begun.append((slot, self._begin(slot)))
        if not begun:
            return 0
        try:
            results = lm.prefill_all([prefill for _, prefill in begun], self._cache)
        except Exception as error:  # noqa: BLE001  one after the other it shows whose it is
            logger.warning("reading %d prompts at once failed, now one by one: %s", len(begun), error)
            for slot, _ in begun:
                self._cache.free(slot.row)
            return sum([self._prefill(slot) for slot, _ in begun])
        frames = 0
        for (slot, _), logits in zip(begun, results, strict=True):
            with FailureScope(slot.session):
                frames += self._decide(slot.session, logits)
        return frames

    def _decide(self, session: Session, logits: Any) -> int:
        session.prefilled()
        return session.decide(logits)

    def _begin(self, slot: Slot) -> Prefill:
        """Put what is the voice's into a row, read now or before; returns what is left to do.

        Always apart from the rest, so that products have the same shapes, and round alike, whether it was kept or not.
        """
        row, prompt = slot.row, slot.session.prompt
        slot.session.begin()
        shared = prompt.voice_positions
        if not LEAST_SHARED <= shared < len(prompt):
            return Prefill(prompt, row)
        beginning = prompt.until(shared)
        held = self.prefixes.find(beginning)
        if held is None:
            self._lm.prefill(beginning, self._cache, row)
            self.prefixes.keep(beginning, self._cache.copy(row))
        else:
            self._cache.resume(row, held)
        return Prefill(prompt, row, shared)

    def _step(self, live: Sequence[Slot]) -> int:
        logits = self._lm.step(last_frames(live), self._cache)
        frames = 0
        for row, session in live:
            with FailureScope(session):
                frames += session.decide(logits[row])
        return frames


def last_frames(slots: Sequence[Slot]) -> list[Frame | None]:
    """What each row is fed, up to the last row in use; ``None`` for the idle ones between."""
    frames: list[Frame | None] = [None] * (slots[-1].row + 1)
    for row, session in slots:
        frames[row] = session.last_frame
    return frames
