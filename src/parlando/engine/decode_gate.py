"""Lets the most urgent of many threads through, a few at a time: the order in which chunks are decoded."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from parlando.engine.playback import Playback

PATIENCE_SECONDS = 1.0
MEMORY = 0.1  # the weight of the newest chunk in running means

_Place = tuple[float, int, threading.Lock]


class DecodeGate:
    """At most ``width`` threads are inside. The next one is whose listener runs out first, newcomers among them.

    Who has no listener waits as though one would run out after a second.
    """

    def __init__(self, width: int) -> None:
        self._mean_frames = self._mean_seconds = 0.0
        self.width = self._free = width
        self._lock = threading.Lock()
        self._numbers = count()
        self._waiting: list[_Place] = []

    @contextmanager
    def turn(self, playback: Playback | None = None) -> Iterator[None]:
        """Wait to be let through, and be inside for the block."""
        self._enter(time.perf_counter() + PATIENCE_SECONDS if playback is None else playback.deadline_seconds)
        try:
            yield
        finally:
            self._leave()

    def learn(self, frames: int, seconds: float) -> None:
        """Take note of how long so many frames took inside."""
        self._mean_frames += MEMORY * (frames - self._mean_frames)
        self._mean_seconds += MEMORY * (seconds - self._mean_seconds)

    @property
    def seconds_per_frame(self) -> float:
        """How long a frame takes, by the last chunks; a small one, dear as it is for its size, hardly counts."""
        return self._mean_seconds / self._mean_frames if self._mean_frames else 0.0

    @property
    def waiting(self) -> int:
        """Threads outside."""
        return len(self._waiting)

    def _enter(self, deadline_seconds: float) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            ticket = threading.Lock()
            ticket.acquire()
            place = (deadline_seconds, next(self._numbers), ticket)
            heapq.heappush(self._waiting, place)
        try:
            ticket.acquire()
        except BaseException:  # an interrupt: nobody may be let through in the place of who has gone
            self._give_up(place)
            raise

    def _give_up(self, place: _Place) -> None:
        with self._lock:
            if place in self._waiting:
                self._waiting.remove(place)
                heapq.heapify(self._waiting)
                return
        self._leave()

    def _leave(self) -> None:
        with self._lock:
            if self._waiting:
                heapq.heappop(self._waiting)[-1].release()
            else:
                self._free += 1
