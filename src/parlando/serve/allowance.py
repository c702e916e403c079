"""What one connection may leave waiting to be spoken, over all its contexts, and what its turns cost its caller."""

from __future__ import annotations

from dataclasses import dataclass

from parlando.core.errors import TooLargeError
from parlando.serve.config import Limits
from parlando.serve.limits import Budgets

MOST_ENTRIES = 1024
LONGEST_TEXTS = 4  # that may wait together, each as long as one text may be


@dataclass
class Allowance:
    """Counts entries (contexts, turns, flushes) and characters that nobody has heard yet.

    ``prepaid`` is how many turns were paid for by the requests that came before them.
    """

    budgets: Budgets
    limits: Limits
    caller: str
    prepaid: int = 0
    entries: int = 0
    characters: int = 0

    def take(self, characters: int, entries: int) -> None:
        """Count what begins to wait.

        Raises:
            TooLargeError: too much waits already.
        """
        most_characters = LONGEST_TEXTS * self.limits.max_input_characters
        if self.entries + entries > MOST_ENTRIES or self.characters + characters > most_characters:
            raise TooLargeError(
                f"more than {most_characters} characters or {MOST_ENTRIES} turns wait on this connection; "
                "send the rest when they have been heard"
            )
        self.entries += entries
        self.characters += characters

    def release(self, characters: int, entries: int) -> None:
        """Count what waits no more."""
        self.entries -= entries
        self.characters -= characters

    def pay(self) -> None:
        """Count a turn as a request, unless it was paid for.

        Raises:
            RateLimitError: the caller has asked too often.
        """
        if self.prepaid:
            self.prepaid -= 1
        else:
            self.budgets.spend(self.caller)
