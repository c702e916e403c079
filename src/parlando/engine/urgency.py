"""Who is pressed for time, and how much sound the machine makes: arithmetic over sessions and their listeners."""

from __future__ import annotations

import math
from collections.abc import Iterable

from parlando.core.errors import ConfigError
from parlando.engine.playback import Playback
from parlando.engine.session import Session

MEMORY = 0.2  # the weight of the newest step in running means


def lead_seconds(session: Session, frame_seconds: float) -> float:
    """Sound ahead of the listener, with what the model made and nobody decoded yet.

    Minus infinity for who has heard nothing yet, infinity for who does not listen.
    """
    playback = session.playback
    if playback is None:
        return math.inf
    if not playback.begun:
        return -math.inf
    return playback.lead_seconds + (session.frame_count - playback.decoded_frames) * frame_seconds


class StepCosts:
    """Seconds that steps and prefills take, learned as they go."""

    def __init__(self) -> None:
        self.prefill_seconds = 0.0
        self._step_seconds: dict[int, float] = {}

    def learn_step(self, batch: int, seconds: float) -> None:
        """Take note of a step of so many rows."""
        known = self._step_seconds.get(batch, seconds)
        self._step_seconds[batch] = known + MEMORY * (seconds - known)

    def learn_prefill(self, seconds: float) -> None:
        """Take note of a prefill."""
        self.prefill_seconds += MEMORY * (seconds - self.prefill_seconds)

    def largest_batch(self, rows: int, budget_seconds: float) -> int:
        """The most rows, up to ``rows``, whose step is not known to take longer than the budget."""
        within = (batch for batch in range(rows, 0, -1) if self._step_seconds.get(batch, 0.0) <= budget_seconds)
        return next(within, 0)


class Supply:
    """Seconds of sound the machine makes in a second, from how its listeners fare.

    More streams at once make more of it, never less, so that ``k`` of them showing enough for ``k + 1`` is proof.
    A machine that cannot feed one listener is not held back: nothing it does would be in time.
    """

    def __init__(self, margin: float) -> None:
        if not margin >= 1:
            raise ConfigError(f"a margin of {margin} promises more than there is; use 1 or more")
        self.rate = math.inf
        self._margin = margin

    def learn(self, hungry: Iterable[Playback]) -> None:
        """Look at all listeners whose sound is still being made; those with one chunk so far tell nothing yet."""
        rates = [playback.rate for playback in hungry]
        known = [rate for rate in rates if rate is not None]
        if known and len(known) == len(rates):
            self.rate = sum(known)

    @property
    def streams(self) -> float:
        """How many listeners it feeds; infinity while that is not known, or if it cannot feed one."""
        return math.inf if self.rate < self._margin else self.rate / self._margin
