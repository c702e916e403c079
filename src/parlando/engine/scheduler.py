"""Who runs next: pure decisions over sessions and rows, without a model, a tensor or a thread.

One order rules everything: who has the least sound left comes first, newcomers among them (`urgency.lead_seconds`), and
then, as they came, those whom nobody listens to. Where rows are short, the row of who is far ahead is lent to who is
not; the session parks meanwhile, and goes on later. Who waits for outside input sits out.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from parlando.core.errors import ConfigError, EngineBusyError
from parlando.engine.session import Session
from parlando.engine.slots import Slots
from parlando.engine.urgency import Costs, lead_seconds

STALL_SECONDS = 0.1  # how much longer than usual a prefill may take while somebody listens
LENT_SECONDS = 0.25  # how much more sound somebody must have, to lend a row


@dataclass(frozen=True)
class Policy:
    """What may happen in a turn, and when somebody is pressed for time.

    ``prefills_per_turn`` prompts may be prefilled between two steps (each delays the running streams), and
    ``max_waiting`` sessions may wait. ``frame_seconds`` is how long a frame sounds; when a step of all rows takes
    longer, those with more than ``comfortable_seconds`` of sound ahead sit out, at most ``most_rests`` steps in a row.
    Who has less than that and no row may take that of somebody who has more.
    """

    prefills_per_turn: int = 1
    max_waiting: int = 64
    frame_seconds: float | None = None
    comfortable_seconds: float = 1.0
    most_rests: int = 20

    def __post_init__(self) -> None:
        if self.prefills_per_turn < 1 or self.max_waiting < 0:
            raise ConfigError(f"{self}: prefills_per_turn must be at least 1 and max_waiting at least 0")


class Seat(NamedTuple):
    """A session and the cache row it holds."""

    row: int
    session: Session


@dataclass(frozen=True)
class Plan:
    """One turn: whom to park, whom to seat, in order, by a prefill or from where they were parked, and whom to step."""

    parks: tuple[Seat, ...] = ()
    entries: tuple[Seat, ...] = ()
    steps: tuple[Seat, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps)


_row = itemgetter(0)


def _heard_lead(session: Session) -> float:
    """Who has no row cannot count on what was not decoded yet: it may be too little for a chunk."""
    return lead_seconds(session, frame_seconds=0.0)


class Scheduler:
    """Gives waiting sessions rows, and names the work of each turn."""

    def __init__(self, rows: int, policy: Policy) -> None:
        self._policy = policy
        self._frame_seconds = policy.frame_seconds or 0.0
        self.costs = Costs(self._frame_seconds)
        self._slots = Slots(rows)
        self._waiting: deque[Session] = deque()
        self._seats: tuple[Seat, ...] = ()
        self._rests: Counter[int] = Counter()

    @property
    def free_rows(self) -> int:
        """Rows that nobody holds."""
        return self._slots.free

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
        """Seat who comes next, and name the work of the turn; an empty plan is false."""
        parks: list[Seat] = []
        entries: list[Seat] = []
        prefills = 0
        for session in sorted(self._waiting, key=_heard_lead):
            is_new = session.parked is None
            if session.awaiting or (is_new and prefills == self._policy.prefills_per_turn):
                continue
            if is_new and self._would_interrupt(session):
                continue
            if not self._slots.free:
                if (seat := self._parkable(session, entries)) is None:
                    break
                parks.append(seat)
                self._park(seat)
            entries.append(self._take_seat(session))
            prefills += is_new
        return Plan(tuple(parks), tuple(entries), self._stepping(entries))

    def release(self) -> tuple[Seat, ...]:
        """Take the rows back from every session that is over, and say which they were."""
        over = tuple([seat for seat in self._seats if seat.session.over])
        if over:
            self._seats = tuple([seat for seat in self._seats if seat not in over])
        for row, _ in over:
            del self._rests[row]
            self._slots.give(row)
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

    def _take_seat(self, session: Session) -> Seat:
        seat = Seat(self._slots.take(), session)
        self._waiting.remove(session)
        self._seats = tuple(sorted((*self._seats, seat), key=_row))
        return seat

    def _park(self, seat: Seat) -> None:
        self._seats = tuple([each for each in self._seats if each is not seat])
        del self._rests[seat.row]
        self._slots.give(seat.row)
        self._waiting.appendleft(seat.session)

    def _parkable(self, session: Session, entries: Sequence[Seat]) -> Seat | None:
        """Whose row can be lent to this one: of those who are so much further ahead, the one who is furthest."""
        lead = _heard_lead(session)
        if lead >= self._policy.comfortable_seconds:
            return None
        spare, seat = max(
            [
                (math.inf if seat.session.awaiting else self._lead(seat.session), seat)
                for seat in self._seats
                if seat not in entries
            ],
            default=(-math.inf, None),
        )
        return seat if spare >= lead + LENT_SECONDS else None

    def _would_interrupt(self, session: Session) -> bool:
        """Whether somebody who has less sound left runs out while this one is prefilled."""
        least_seconds = self.costs.prefill_seconds + self._frame_seconds + STALL_SECONDS
        most_seconds = min(least_seconds, _heard_lead(session))
        return any(
            each.playback is not None and each.playback.begun and 0 < self._lead(each) < most_seconds
            for _, each in self._seats
        )

    def _stepping(self, entered: Iterable[Seat] = ()) -> tuple[Seat, ...]:
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
        chosen = {*by_need[:room], *pressed, *tired, *(row for row, _ in entered)}
        self._rests = Counter({row: self._rests[row] + 1 for row in leads if row not in chosen})
        return tuple(seat for seat in seats if seat.row in chosen)
