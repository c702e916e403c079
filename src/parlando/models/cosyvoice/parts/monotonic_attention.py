"""Keeps the head that looks at what is said next on its way through the text.

A small model that loses its place says words twice or leaves some out. One head was taught in training to look at the
phoneme that is due (guided attention); in use it is shown only a few tokens around the one it last looked at, so that
it goes on and never jumps (forcibly incremental attention; both Tachibana et al., 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from parlando.nn.following import FollowingCache, TextFollower, looks_of
from parlando.nn.heads import AttentionConfig

_HIDDEN = float("-inf")


class MonotonicAttention(TextFollower):
    """Where every row is in its text, and what its head is not shown of it: all of it but what is around its place.

    What is no text always is shown.
    """

    def __init__(self, rows: int, capacity: int, like: Tensor) -> None:
        super().__init__(rows)
        self._mask = like.new_zeros(rows, capacity)

    def begin(self, row: int, positions: Sequence[int], place: int) -> None:
        """A new text in a row, known so far at these positions, of which that number ``place`` is due."""
        super().begin(row, positions, place)
        self._mask[row] = 0.0
        self._mask[row, list(positions)] = _HIDDEN
        self._mask[row, self.shown(row)] = 0.0

    def hear(self, row: int, position: int) -> None:
        """One more token of the row's text."""
        super().hear(row, position)
        self._mask[row, position] = 0.0 if position in self.shown(row) else _HIDDEN

    def park(self, row: int) -> Any:
        """Where a row is, to go on in any other with `resume`."""
        return self._mask[row].clone(), super().park(row)

    def resume(self, row: int, parked: Any) -> None:
        """Go on where `park` was."""
        self._mask[row], place = parked
        super().resume(row, place)

    def mask(self, rows: int, extent: int) -> Float[Tensor, "row position"]:
        """What is added to the head's scores in the first rows."""
        return self._mask[:rows, :extent]

    def follow(self, row: int, looks: Float[np.ndarray, " position"]) -> None:
        """Go on to where the head looks, if it is sure of it; what is shown goes with it."""
        before, shown = self.place(row), self.shown(row)
        super().follow(row, looks)
        if self.place(row) != before:
            self._mask[row, shown] = _HIDDEN
            self._mask[row, self.shown(row)] = 0.0


class MonotonicCache(FollowingCache):
    """A cache that knows where each row is in its text, and shows its head no more than is due."""

    def __init__(self, attention: AttentionConfig, num_layers: int, rows: int, length: int, like: Tensor) -> None:
        super().__init__(attention, num_layers, rows, length, like)
        self.follower = self.monotonic = MonotonicAttention(rows, length, like)


def attend_monotonic(
    q: Float[Tensor, "row head dim"],
    keys: Float[Tensor, "row kv_head position dim"],
    mask: Float[Tensor, "row 1 1 position"] | None,
    hidden: Float[Tensor, "row position"],
) -> tuple[Float[Tensor, "row kv_head group position"], Float[Tensor, "row position"]]:
    """The mask of a layer whose first head is not shown everything, and what that head then looks at."""
    rows, heads, _ = q.shape
    kv_heads, extent = keys.shape[1:3]
    whole = q.new_zeros(rows, kv_heads, heads // kv_heads, extent)
    if mask is not None:
        whole += mask
    whole[:, 0, 0] += hidden
    return whole, looks_of(q[:, 0], keys[:, 0], whole[:, 0, 0])
