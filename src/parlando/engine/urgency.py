"""Who is pressed for time, and how much sound the machine makes: arithmetic over sessions and their listeners."""

from __future__ import annotations

import math
from typing import NamedTuple

from parlando.engine.session import Session

MEMORY, LONG_MEMORY = 0.2, 0.05  # the weight of the newest step in running means
RECENT_TURNS = 100  # after the largest batch was seen, what is known of it holds


def lead_seconds(session: Session, frame_seconds: float) -> float:
    """Sound ahead of the listener, with what the model made and nobody decoded yet: the order in which all is done.

    Infinity for who does not listen.
    """
    playback = session.playback
    if playback is None:
        return math.inf
    if not playback.begun:
        return playback.lead_seconds
    undecoded_frames = session.frame_count - playback.decoded_frames
    return playback.lead_seconds + undecoded_frames * frame_seconds / playback.speed


class Turn(NamedTuple):
    """What a turn did: prompts prefilled, rows in its step (0 for no step), frames made, and how long it took.

    ``prefill_seconds`` are those of ``seconds`` that went before the step, for prompts and for rows that were lent.
    """

    prefills: int
    batch: int
    frames: int
    seconds: float
    prefill_seconds: float = 0.0


class Costs:
    """What steps and prefills take, and so how much sound is made, learned as the engine goes."""

    def __init__(self, frame_seconds: float) -> None:
        self.prefill_seconds = 0.0
        self._frame_seconds = frame_seconds
        self._step_seconds: dict[int, float] = {}
        self._turn_seconds: dict[int, float] = {}
        self._shares: dict[int, float] = {}  # what the step of a batch takes of a turn with the largest
        self._turns_since_largest = 0

    def learn(self, turn: Turn) -> None:
        """Take note of a turn."""
        if turn.prefills:
            self.prefill_seconds += MEMORY * (turn.prefill_seconds / turn.prefills - self.prefill_seconds)
        if turn.batch:
            seconds = turn.seconds - turn.prefill_seconds
            known = self._step_seconds.get(turn.batch, seconds)
            self._step_seconds[turn.batch] = known + MEMORY * (seconds - known)
            known = self._turn_seconds.get(turn.batch, turn.seconds)
            self._relate(turn.batch)
            self._turn_seconds[turn.batch] = known + LONG_MEMORY * (turn.seconds - known)

    def _relate(self, batch: int) -> None:
        """Learn how long smaller batches take beside the largest; once that was not seen for long, it is as they say.

        Without this the machine would be for ever as fast as when it was last full.
        """
        largest = max(self._turn_seconds, default=0)
        if batch >= largest:
            self._turns_since_largest = 0
            if batch > largest:
                self._shares.clear()
            return
        self._turns_since_largest += 1
        if self._turns_since_largest <= RECENT_TURNS:
            if self._turn_seconds[largest]:
                self._shares[batch] = self._step_seconds[batch] / self._turn_seconds[largest]
        elif self._shares.get(batch):
            self._turn_seconds[largest] = self._step_seconds[batch] / self._shares[batch]

    @property
    def sound_rate(self) -> float:
        """Seconds of sound that the model makes in a second if there is enough to do; infinity before the first.

        By the turns with the largest batch that was seen, which makes more than smaller ones, at the pace of late.
        """
        batch = max(self._turn_seconds, default=0)
        return batch * self._frame_seconds / self._turn_seconds[batch] if batch else math.inf

    def largest_batch(self, rows: int, budget_seconds: float) -> int:
        """The most rows, up to ``rows``, whose step is not known to take longer than the budget."""
        within = (batch for batch in range(rows, 0, -1) if self._step_seconds.get(batch, 0.0) <= budget_seconds)
        return next(within, 0)
