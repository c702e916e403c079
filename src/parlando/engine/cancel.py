"""Ends one request from any thread, whichever of its sessions runs just then."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from parlando.engine.session import Session


class Cancellation:
    """A switch that its holder throws once; sessions under it end at once, and so does every later one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether it was thrown."""
        return self._cancelled

    def cancel(self) -> None:
        """End the session that runs now, if one does; its consumer sees a CancelledError, its row is free at once."""
        with self._lock:
            self._cancelled = True
            session = self._session
        if session is not None:
            session.cancel()

    @contextmanager
    def covering(self, session: Session) -> Iterator[None]:
        """While the block runs, `cancel` ends this session."""
        with self._lock:
            self._session = session
            late = self._cancelled
        if late:
            session.cancel()
        try:
            yield
        finally:
            with self._lock:
                self._session = None
