"""Who runs next: pure decisions over sessions and rows, without a model, a tensor or a thread.

Sessions without a listener: first come, first served, and whoever has a row steps every turn. With listeners, who has
heard nothing yet comes first, then who runs out first, then the rest; newcomers wait while the machine makes just
enough sound for those who listen, whose rows are kept for the next sentence. Who waits for outside input sits out.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from parlando.core.errors import ConfigError, EngineBusyError
from parlando.engine.playback import STALL_SECONDS, Playback
from parlando.engine.session import Session
from parlando.engine.slots import Slots
from parlando.engine.urgency import Costs, decoding_rate, lead_seconds


@dataclass(frozen=True)
class Policy:
    """What may happen in a turn, and when somebody is pressed for time.

    ``prefills_per_turn`` prompts may be prefilled between two steps (each delays the running streams), and
    ``max_waiting`` sessions may wait. ``frame_seconds`` is how long a frame sounds; when a step of all rows takes
    longer, those with more than ``comfortable_seconds`` of sound ahead sit out, at most ``most_rests`` steps in a row.
    Newcomers wait unless the model, and ``decoders`` threads that decode, make ``margin`` times the sound that all
    would play within the next ``horizon_seconds``; and where it is tight, until everybody is ``settled_seconds``
    ahead. A listener's row is kept for ``keep_seconds`` for the next sentence.
    """

    prefills_per_turn: int = 1
    max_waiting: int = 64
    frame_seconds: float | None = None
    comfortable_seconds: float = 1.0
    most_rests: int = 20
    margin: float = 1.1
    horizon_seconds: float = 4.0
    settled_seconds: float = 0.25
    decoders: int = 1
    keep_seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.prefills_per_turn < 1 or self.max_waiting < 0:
            raise ConfigError(f"{self}: prefills_per_turn must be at least 1 and max_waiting at least 0")


class Seat(NamedTuple):
    """A session and the cache row it holds."""

    row: int
    session: Session


@dataclass(frozen=True)
class Plan:
    """One turn: prompts to prefill, in order, and then everybody to step, by row."""

    prefills: tuple[Seat, ...] = ()
    steps: tuple[Seat, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps)


_row = itemgetter(0)


class _Kept(NamedTuple):
    """A row without a session, whose listener is expected to say more."""

    row: int
    until_seconds: float


class Scheduler:
    """Gives waiting sessions rows, and names the work of each turn."""

    def __init__(self, rows: int, policy: Policy, clock: Callable[[], float] = time.perf_counter) -> None:
        self._policy, self._clock = policy, clock
        self._frame_seconds = policy.frame_seconds or 0.0
        self.costs = Costs(self._frame_seconds)
        self._sound_rate = math.inf
        self._slots = Slots(rows)
        self._waiting: deque[Session] = deque()
        self._seats: tuple[Seat, ...] = ()
        self._kept: dict[Playback, _Kept] = {}
        self._rests: Counter[int] = Counter()

    @property
    def free_rows(self) -> int:
        """Rows that nobody holds."""
        return self._slots.free

    @property
    def streams(self) -> int:
        """How many listeners can be fed at once, as far as is known: all rows, or fewer, but one at least.

        A machine that cannot feed one is not held back, for nothing that it does would be in time.
        """
        fed = self._sound_rate / self._policy.margin
        return self._slots.count if fed < 1 else int(min(self._slots.count, fed))

    @property
    def sessions(self) -> tuple[Session, ...]:
        """All that run, by row, and then all that wait, in order."""
        return (*(seat.session for seat in self._seats), *self._waiting)

    @property
    def waiting(self) -> int:
        """Sessions without a row."""
        return len(self._waiting)

    def add(self, session: Session) -> None:
        """Put a session at the end of the queue; whoever is in the middle of speaking is never refused.

        Raises:
            EngineBusyError: all rows are taken and as many wait as the policy allows.
        """
        in_the_middle = session.playback is not None and session.playback.begun
        if len(self._waiting) >= self._policy.max_waiting + self._slots.free and not in_the_middle:
            raise EngineBusyError(
                f"the engine is full: {len(self._seats)} requests run and {len(self._waiting)} wait; "
                "try again later, or allow more rows or a longer queue"
            )
        self._waiting.append(session)

    def plan(self) -> Plan:
        """Admit who fits, and name the work of the next turn; an empty plan is false."""
        if not (self._waiting and (self._slots.free or self._kept)):
            return Plan((), self._stepping())
        self._measure()
        prefills: list[Seat] = []
        for session in self._in_order():
            if len(prefills) == self._policy.prefills_per_turn:
                break
            if not (self._slots.free or session.playback in self._kept):
                continue
            row = self._row_for(session)
            if row is not None:
                self._waiting.remove(session)
                prefills.append(Seat(row, session))
                self._seats = tuple(sorted((*self._seats, prefills[-1]), key=_row))
        return Plan(tuple(prefills), self._stepping(prefills))

    def release(self) -> tuple[Seat, ...]:
        """Take the rows back from every session that is over, and say which they were."""
        over = tuple([seat for seat in self._seats if seat.session.over])
        if not over and not self._kept:
            return ()
        if over:
            self._seats = tuple([seat for seat in self._seats if seat not in over])
        for row, session in over:
            del self._rests[row]
            playback = session.playback
            if playback is None or session.finish != "end":
                self._slots.give(row)
            else:
                self._kept[playback] = _Kept(row, self._clock() + self._policy.keep_seconds)
        for playback, kept in tuple(self._kept.items()):
            if playback.closed or kept.until_seconds <= self._clock():
                del self._kept[playback]
                self._slots.give(kept.row)
        return over

    def drop(self) -> tuple[Session, ...]:
        """Take out of the queue, and return, every session that was over before it got a row."""
        if not self._waiting:
            return ()
        dropped = tuple(session for session in self._waiting if session.over)
        for session in dropped:
            self._waiting.remove(session)
        return dropped

    def _lead(self, session: Session) -> float:
        return lead_seconds(session, self._frame_seconds)

    def _in_order(self) -> list[Session]:
        """Who waits: those about to be cut short, as they run out; then the others, as they came."""

        def place(session: Session) -> float:
            lead = self._lead(session)
            return lead if -math.inf < lead < self._policy.comfortable_seconds else math.inf

        return sorted(self._waiting, key=place)

    def _row_for(self, session: Session) -> int | None:
        """The row that was kept for it, or a free one unless somebody would be cut short."""
        playback = session.playback
        if playback is not None:
            leads = [self._lead(each) for _, each in self._seats if each.playback is not None]
            if not playback.begun and not self._has_sound_to_spare(leads):
                return None
            if self._lead(session) >= self._policy.comfortable_seconds and self._would_interrupt(leads):
                return None
            if playback in self._kept:
                return self._kept.pop(playback).row
        return self._slots.take() if self._slots.free else None

    def _would_interrupt(self, leads: list[float]) -> bool:
        """Whether somebody runs out while one more is prefilled."""
        least_seconds = self.costs.prefill_seconds + self._frame_seconds + STALL_SECONDS
        return any(0 < lead < least_seconds for lead in leads)

    def _has_sound_to_spare(self, leads: list[float]) -> bool:
        """Whether one more listener can be fed.

        More streams at once make more sound, never less, so that enough of it for one more is proof.
        """
        wanted = 1 + sum(self._share(lead) for lead in leads)
        fed = self._sound_rate / self._policy.margin
        if wanted == 1 or fed < 1:
            return True
        # Where it will be tight, those who have just begun get some way ahead first.
        tight = fed < 2 * wanted and any(-math.inf < lead < self._policy.settled_seconds for lead in leads)
        return fed >= wanted and not tight and not self._would_interrupt(leads)

    def _share(self, lead: float) -> float:
        """How much of a second of sound each second must bring, so that a listener gets through the horizon."""
        return min(1.0, max(0.0, 1 - lead / self._policy.horizon_seconds))

    def _measure(self) -> None:
        listeners = [session.playback for _, session in self._seats if session.playback is not None]
        decoding = decoding_rate(listeners, self._frame_seconds, self._policy.decoders)
        self._sound_rate = min(self.costs.sound_rate, decoding) if self._frame_seconds else math.inf

    def _stepping(self, prefilled: Iterable[Seat] = ()) -> tuple[Seat, ...]:
        """Everybody who can, or those pressed for time and as many more as a step in real time has room for."""
        seats = tuple([seat for seat in self._seats if not seat.session.awaiting])
        if not self._frame_seconds or len(seats) < 2:
            return seats
        room = self.costs.largest_batch(len(seats), self._frame_seconds)
        if room == len(seats):
            return seats
        leads = {row: self._lead(session) for row, session in seats}
        pressed = [row for row, lead in leads.items() if lead < self._policy.comfortable_seconds]
        tired = [row for row in leads if self._rests[row] >= self._policy.most_rests]
        if not pressed:
            return seats
        by_need = sorted(leads, key=leads.__getitem__)
        chosen = {*by_need[:room], *pressed, *tired, *(row for row, _ in prefilled)}
        self._rests = Counter({row: self._rests[row] + 1 for row in leads if row not in chosen})
        return tuple(seat for seat in seats if seat.row in chosen)
