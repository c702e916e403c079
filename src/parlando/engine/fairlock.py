"""A lock that serves threads in the order they came; the built-in one lets a busy loop take it again and again."""

from __future__ import annotations

import threading
from collections import deque


class FairLock:
    """A context manager; not re-entrant. Whoever leaves and asks again stands at the end of the line."""

    def __init__(self) -> None:
        self._line: deque[threading.Lock] = deque()
        self._changing = threading.Lock()

    @property
    def wanted(self) -> bool:
        """Whether somebody else waits for who is inside."""
        return len(self._line) > 1

    def __enter__(self) -> None:
        ticket = threading.Lock()
        ticket.acquire()
        with self._changing:
            self._line.append(ticket)
            if self._line[0] is ticket:
                return
        granted = False
        try:
            granted = ticket.acquire()
        finally:
            if not granted:
                self._leave(ticket)

    def __exit__(self, *_: object) -> None:
        self._leave(self._line[0])

    def _leave(self, ticket: threading.Lock) -> None:
        with self._changing:
            held = self._line[0] is ticket
            self._line.remove(ticket)
            if held and self._line:
                self._line[0].release()
