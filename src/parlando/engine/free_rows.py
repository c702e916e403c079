"""Which cache rows are free. The lowest goes first, so that the rows in use stay together and batches small."""

from __future__ import annotations

import heapq


class FreeRows:
    """Hands out the integers ``0..count-1``, each to one owner at a time."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = list(range(count))

    @property
    def free(self) -> int:
        """How many can be taken now."""
        return len(self._free)

    def take(self) -> int:
        """The lowest free row.

        Raises:
            IndexError: none is free.
        """
        return heapq.heappop(self._free)

    def give(self, row: int) -> None:
        """Return a row.

        Raises:
            ValueError: nobody holds it.
        """
        if row in self._free or not 0 <= row < self.count:
            raise ValueError(f"row {row} of {self.count} is given back, but nobody holds it")
        heapq.heappush(self._free, row)
