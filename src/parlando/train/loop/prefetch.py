"""Batches made ahead: that of the next step, in a thread of its own, while a step runs.

A batch is a pure function of its number, so that nothing depends on how far ahead the thread is.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetcher(Generic[T]):
    """Makes what is asked for next, if it is asked for in order; what making it raises comes when it is asked for."""

    def __init__(self, make: Callable[[int], T], ahead: int = 1) -> None:
        self._make, self._ahead = make, ahead
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._coming: dict[int, Future[T]] = {}

    def get(self, number: int) -> T:
        """The batch of a number; those that come after it are begun."""
        wanted = range(number, number + self._ahead + 1)
        for other in [each for each in self._coming if each not in wanted]:
            self._coming.pop(other).cancel()
        for each in wanted:
            if each not in self._coming:
                self._coming[each] = self._pool.submit(self._make, each)
        return self._coming.pop(number).result()

    def close(self) -> None:
        """Stop; what is being made is thrown away."""
        self._pool.shutdown(cancel_futures=True)
