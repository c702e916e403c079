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
from parlando.engine.free_rows import FreeRows
from parlando.engine.session import Session
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
            raise ConfigError(f"invalid {self}: prefills_per_turn must be at least 1 and max_waiting at least 0")


class Slot(NamedTuple):
    """A session and the cache row it holds."""

    row: int
    session: Session


@dataclass(frozen=True)
class Plan:
    """One turn: whom to park, who gets a row, in order, by a prefill or from where they were parked; whom to step."""

    parks: tuple[Slot, ...] = ()
    entries: tuple[Slot, ...] = ()
    steps: tuple[Slot, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps)


_row = itemgetter(0)


def _heard_lead(session: Session) -> float:
    """Who has no row cannot count on what was not decoded yet: it may be too little for a chunk."""
    return lead_seconds(session, frame_seconds=0.0)


class Scheduler:
    """Gives waiting sessions rows, and names the work of each turn."""

    def __init__(self, rows: int, policy: Policy, joined_positions: int = 0) -> None:
        """More prompts than the policy allows come along while all of a turn have at most so many positions to read."""
        self._policy, self._joined_positions = policy, joined_positions
        self._frame_seconds = policy.frame_seconds or 0.0
        self.costs = Costs(self._frame_seconds)
        self._rows = FreeRows(rows)
        self._waiting: deque[Session] = deque()
        self._slots: tuple[Slot, ...] = ()
        self._rests: Counter[int] = Counter()

    @property
    def free_rows(self) -> int:
        """Rows that nobody holds."""
        return self._rows.free

    @property
    def sessions(self) -> tuple[Session, ...]:
        """All that run, by row, and then all that wait, in order."""
        return (*(slot.session for slot in self._slots), *self._waiting)

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
        if len(self._waiting) >= self._policy.max_waiting + self._rows.free and not in_the_middle:
            raise EngineBusyError(
                f"the engine is full: {len(self._slots)} requests run and {len(self._waiting)} wait; "
                "try again later, or allow more rows or a longer queue"
            )
        self._waiting.append(session)

    def plan(self) -> Plan:
        """Give rows to who comes next, and name the work of the turn; an empty plan is false."""
        parks: list[Slot] = []
        entries: list[Slot] = []
        newcomers: list[Session] = []
        for session in sorted(self._waiting, key=_heard_lead):
            is_new = session.parked is None
            if session.awaiting or (is_new and not self._may_begin(session, newcomers)):
                continue
            if not self._rows.free:
                if (slot := self._parkable(session, entries)) is None:
                    break
                parks.append(slot)
                self._park(slot)
            entries.append(self._take_slot(session))
            if is_new:
                newcomers.append(session)
        return Plan(tuple(parks), tuple(entries), self._stepping(entries))

    def release(self) -> tuple[Slot, ...]:
        """Take the rows back from every session that is over, and say which they were."""
        over = tuple([slot for slot in self._slots if slot.session.over])
        if over:
            self._slots = tuple([slot for slot in self._slots if slot not in over])
        for row, _ in over:
            del self._rests[row]
            self._rows.give(row)
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

    def _take_slot(self, session: Session) -> Slot:
        slot = Slot(self._rows.take(), session)
        self._waiting.remove(session)
        self._slots = tuple(sorted((*self._slots, slot), key=_row))
        return slot

    def _park(self, slot: Slot) -> None:
        self._slots = tuple([each for each in self._slots if each is not slot])
        del self._rests[slot.row]
        self._rows.give(slot.row)
        self._waiting.appendleft(slot.session)

    def _parkable(self, session: Session, entries: Sequence[Slot]) -> Slot | None:
        """Whose row can be lent to this one: of those who are so much further ahead, the one who is furthest."""
        lead = _heard_lead(session)
        if lead >= self._policy.comfortable_seconds:
            return None
        spare, slot = max(
            [
                (math.inf if slot.session.awaiting else self._lead(slot.session), slot)
                for slot in self._slots
                if slot not in entries
            ],
            default=(-math.inf, None),
        )
        return slot if spare >= lead + LENT_SECONDS else None

    def _may_begin(self, session: Session, newcomers: Sequence[Session]) -> bool:
        """Whether a newcomer's prompt may be read after, or with, those of this turn."""
        has_room = len(newcomers) < self._policy.prefills_per_turn or self._joins([*newcomers, session])
        return has_room and not self._would_interrupt(session, len(newcomers) + 1)

    def _joins(self, sessions: Sequence[Session]) -> bool:
        """Whether the prompts of these are short enough for one pass, with their voices, which may be unread."""
        return sum(len(each.prompt) for each in sessions) <= self._joined_positions

    def _would_interrupt(self, session: Session, prefills: int) -> bool:
        """Whether somebody who has less sound left runs out while this one is prefilled, the last of so many."""
        least_seconds = prefills * self.costs.prefill_seconds + self._frame_seconds + STALL_SECONDS
        most_seconds = min(least_seconds, _heard_lead(session))
        return any(
            each.playback is not None and each.playback.begun and 0 < self._lead(each) < most_seconds
            for _, each in self._slots
        )

    def _stepping(self, entered: Iterable[Slot] = ()) -> tuple[Slot, ...]:
        """Everybody who can, or those pressed for time and as many more as a step in real time has room for."""
        slots = tuple([slot for slot in self._slots if not (slot.session.awaiting or slot.session.resting)])
        if not self._frame_seconds or len(slots) < 2:
            return slots
        room = self.costs.largest_batch(len(slots), self._frame_seconds)
        if room == len(slots):
            return slots
        leads = {row: self._lead(session) for row, session in slots}
        pressed = [row for row, lead in leads.items() if lead < self._policy.comfortable_seconds]
        tired = [row for row in leads if self._rests[row] >= self._policy.most_rests]
        if not pressed:
            return slots
        by_need = sorted(leads, key=leads.__getitem__)
        chosen = {*by_need[:room], *pressed, *tired, *(row for row, _ in entered)}
        self._rests = Counter({row: self._rests[row] + 1 for row in leads if row not in chosen})
        return tuple(slot for slot in slots if slot.row in chosen)
