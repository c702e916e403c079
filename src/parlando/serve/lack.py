"""What a stream waits for that is not the model's to give: text that still arrives, recordings that are encoded."""

from __future__ import annotations

import time


class Lack:
    """Something that is waited for in ``with lack:``, by one thread at a time; anybody may look.

    ``now`` says whether it is by now, and ``seconds`` how long it was in all, until then.
    """

    def __init__(self) -> None:
        self.now = False
        self.seconds = 0.0
        self._since_seconds = 0.0

    def __enter__(self) -> None:
        self._since_seconds = time.perf_counter()
        self.now = True

    def __exit__(self, *_: object) -> None:
        # In this order: whoever looks in between must not take what was just waited for as the model's time.
        self.seconds += time.perf_counter() - self._since_seconds
        self.now = False
