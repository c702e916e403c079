"""Where in its text each row of a language model is: what a head looks at that looks at what is said next.

Such a head is taught to (guided attention, Tachibana et al., 2018), or comes to it by itself, as heads of models that
read phonemes do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from parlando.nn.heads import AttentionConfig
from parlando.nn.kvcache import KVCache

BACK, AHEAD = 1, 4
SURE = 0.3


class TextFollower:
    """Follows each row through its text, a list of positions, by what its head looks at.

    Its ``place`` is the index of the position that was last looked at. It goes on, never back, and by at most `AHEAD`
    at once, so that a look at the same sound elsewhere leads nowhere.
    """

    def __init__(self, rows: int) -> None:
        self._text: list[list[int]] = [[] for _ in range(rows)]
        self._places, self._firsts = [0] * rows, [0] * rows

    def begin(self, row: int, positions: Sequence[int], place: int) -> None:
        """A new text in a row, known so far at these positions, of which that number ``place`` is due."""
        self._text[row] = list(positions)
        self._places[row] = self._firsts[row] = place

    def hear(self, row: int, position: int) -> None:
        """One more token of the row's text."""
        self._text[row].append(position)

    def park(self, row: int) -> Any:
        """Where a row is, to go on in any other with `resume`."""
        return self._text[row].copy(), self._places[row], self._firsts[row]

    def resume(self, row: int, parked: Any) -> None:
        """Go on where `park` was."""
        text, self._places[row], self._firsts[row] = parked
        self._text[row] = text.copy()

    def follow(self, row: int, looks: Float[np.ndarray, " position"]) -> None:
        """Go on to where the head looks, if it is sure of it; in a pause it need not be."""
        shown = self.shown(row)
        if not shown:
            return
        nearest = int(looks[shown].argmax())
        if looks[shown[nearest]] > SURE:
            self._places[row] = max(self._places[row], self._first_shown(row) + nearest)

    def place(self, row: int) -> int:
        """How many tokens of its text the row has left behind."""
        return self._places[row]

    def said(self, row: int) -> int:
        """The same, counted from the token that was due at first."""
        return self._places[row] - self._firsts[row]

    def shown(self, row: int) -> list[int]:
        """The positions around the row's place, which it may go on to."""
        return self._text[row][self._first_shown(row) : self._places[row] + AHEAD + 1]

    def _first_shown(self, row: int) -> int:
        return max(0, self._places[row] - BACK)


class FollowingCache(KVCache):
    """A cache that knows where each row is in its text; ``looks`` is room for what a head looks at, on the host."""

    def __init__(self, attention: AttentionConfig, num_layers: int, rows: int, length: int, like: Tensor) -> None:
        super().__init__(attention, num_layers, rows, length, like)
        self.follower = TextFollower(rows)
        self.looks = torch.zeros(rows, length, dtype=torch.float32, device="cpu")

    def copy(self, row: int) -> Any:
        """A copy of everything a row holds, and where it is in its text, for `resume`."""
        return self.follower.park(row), super().copy(row)

    def resume(self, row: int, parked: Any) -> None:
        """Put into any free row what `park` or `copy` gave."""
        place, pairs = parked
        self.follower.resume(row, place)
        super().resume(row, pairs)

    def follow(self, row: int) -> int:
        """Go on to where the row's head now looks; the token of its text that it is at."""
        self.follower.follow(row, self.looks[row].numpy())
        return self.follower.said(row)


def looks_of(
    query: Float[Tensor, "row dim"],
    keys: Float[Tensor, "row position dim"],
    mask: Float[Tensor, "row position"] | None,
) -> Float[Tensor, "row position"]:
    """What one head looks at: the weights of its attention."""
    scores = torch.einsum("rd,rpd->rp", query, keys) * query.shape[-1] ** -0.5
    return (scores if mask is None else scores + mask).softmax(dim=-1)
