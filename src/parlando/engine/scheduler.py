"""Who runs next: pure decisions over sessions and rows, without a model, a tensor or a thread."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from parlando.core.errors import ConfigError, EngineBusyError
from parlando.engine.session import Session
from parlando.engine.slots import Slots


@dataclass(frozen=True)
class Policy:
    """How many prompts may be prefilled between two steps (each delays the running streams), and how many may wait."""

    prefills_per_turn: int = 1
    max_waiting: int = 64

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


class Scheduler:
    """First come, first served: queued sessions take free rows, a few per turn; whoever has a row steps every turn.

    A session that waits for outside input keeps its row and sits out.
    """

    def __init__(self, rows: int, policy: Policy) -> None:
        self._policy = policy
        self._slots = Slots(rows)
        self._waiting: deque[Session] = deque()
        self._running: dict[int, Session] = {}

    @property
    def free_rows(self) -> int:
        """Rows that nobody holds."""
        return self._slots.free

    @property
    def sessions(self) -> tuple[Session, ...]:
        """All that run, by row, and then all that wait, in order."""
        return (*(seat.session for seat in self._seats()), *self._waiting)

    @property
    def waiting(self) -> int:
        """Sessions without a row."""
        return len(self._waiting)

    def add(self, session: Session) -> None:
        """Put a session at the end of the queue.

        Raises:
            EngineBusyError: all rows are taken and as many wait as the policy allows.
        """
        if len(self._waiting) >= self._policy.max_waiting + self._slots.free:
            raise EngineBusyError(
                f"the engine is full: {len(self._running)} requests run and {len(self._waiting)} wait; "
                "try again later, or allow more rows or a longer queue"
            )
        self._waiting.append(session)

    def plan(self) -> Plan:
        """Admit who fits, and name the work of the next turn; an empty plan is false."""
        admitted = min(len(self._waiting), self._slots.free, self._policy.prefills_per_turn)
        prefills = tuple(Seat(self._slots.take(), self._waiting.popleft()) for _ in range(admitted))
        self._running.update(prefills)
        return Plan(prefills, tuple(seat for seat in self._seats() if not seat.session.awaiting))

    def release(self) -> tuple[Seat, ...]:
        """Take the rows back from every session that is over, and say which they were."""
        seats = tuple(seat for seat in self._seats() if seat.session.over)
        for row, _ in seats:
            del self._running[row]
            self._slots.give(row)
        return seats

    def drop(self) -> tuple[Session, ...]:
        """Take out of the queue, and return, every session that was over before it got a row."""
        dropped = tuple(session for session in self._waiting if session.over)
        for session in dropped:
            self._waiting.remove(session)
        return dropped

    def _seats(self) -> tuple[Seat, ...]:
        return tuple(Seat(row, self._running[row]) for row in sorted(self._running))
