"""Keeps the head that looks at what is said next on its way through the text.

A small model that loses its place says words twice or leaves some out. One head was taught in training to look at the
phoneme that is due (guided attention); in use it is shown only a few tokens around the one it last looked at, so that
it goes on and never jumps (forcibly incremental attention; both Tachibana et al., 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from parlando.nn.attention import AttentionConfig
from parlando.nn.kvcache import KVCache

BACK, AHEAD = 1, 4
SURE = 0.3
_HIDDEN = float("-inf")


class MonotonicAttention:
    """Where every row is in its text, and what its head is not shown of it.

    A row's text is a list of positions; its ``place`` is the index of the one that was last looked at. Only those from
    `BACK` before it to `AHEAD` after it are shown; what is no text always is.
    """

    def __init__(self, rows: int, capacity: int, like: Tensor) -> None:
        self._mask = like.new_zeros(rows, capacity)
        self._text: list[list[int]] = [[] for _ in range(rows)]
        self._places = [0] * rows

    def begin(self, row: int, positions: Sequence[int], place: int) -> None:
        """A new text in a row, known so far at these positions, of which that number ``place`` is due."""
        self._text[row], self._places[row] = list(positions), place
        self._mask[row] = 0.0
        self._mask[row, self._text[row]] = _HIDDEN
        self._mask[row, self._shown(row)] = 0.0

    def hear(self, row: int, position: int) -> None:
        """One more token of the row's text."""
        self._text[row].append(position)
        self._mask[row, position] = 0.0 if position in self._shown(row) else _HIDDEN

    def park(self, row: int) -> tuple[Tensor, list[int], int]:
        """Where a row is, to go on in any other with `resume`."""
        return self._mask[row].clone(), self._text[row].copy(), self._places[row]

    def resume(self, row: int, parked: tuple[Tensor, list[int], int]) -> None:
        """Go on where `park` was."""
        self._mask[row], text, self._places[row] = parked
        self._text[row] = text.copy()

    def mask(self, rows: int, extent: int) -> Float[Tensor, "row position"]:
        """What is added to the head's scores in the first rows."""
        return self._mask[:rows, :extent]

    def follow(self, row: int, looks: Float[np.ndarray, " position"]) -> None:
        """Go on to where the head looks, if it is sure of it; in a pause it need not be."""
        shown = self._shown(row)
        if not shown:
            return
        nearest = int(looks[shown].argmax())
        place = max(0, self._places[row] - BACK) + nearest
        if looks[shown[nearest]] > SURE and place > self._places[row]:
            self._mask[row, shown] = _HIDDEN
            self._places[row] = place
            self._mask[row, self._shown(row)] = 0.0

    def place(self, row: int) -> int:
        """How many tokens of its text the row has left behind."""
        return self._places[row]

    def _shown(self, row: int) -> list[int]:
        place = self._places[row]
        return self._text[row][max(0, place - BACK) : place + AHEAD + 1]


class MonotonicCache(KVCache):
    """A cache that knows where each row is in its text."""

    def __init__(self, attention: AttentionConfig, num_layers: int, rows: int, length: int, like: Tensor) -> None:
        super().__init__(attention, num_layers, rows, length, like)
        self.monotonic = MonotonicAttention(rows, length, like)

    def copy(self, row: int) -> Any:
        """A copy of everything a row holds, and where it is in its text, for `resume`."""
        return self.monotonic.park(row), super().copy(row)

    def resume(self, row: int, parked: Any) -> None:
        """Put into any free row what `park` or `copy` gave."""
        place, pairs = parked
        self.monotonic.resume(row, place)
        super().resume(row, pairs)


def attend_monotonic(
    q: Float[Tensor, "row head dim"],
    keys: Float[Tensor, "row kv_head position dim"],
    mask: Float[Tensor, "row 1 1 position"] | None,
    hidden: Float[Tensor, "row position"],
) -> tuple[Float[Tensor, "row kv_head group position"], Float[Tensor, "row position"]]:
    """The mask of a layer whose first head is not shown everything, and what that head then looks at."""
    rows, heads, dim = q.shape
    kv_heads, extent = keys.shape[1:3]
    whole = q.new_zeros(rows, kv_heads, heads // kv_heads, extent)
    if mask is not None:
        whole += mask
    whole[:, 0, 0] += hidden
    scores = torch.einsum("rd,rpd->rp", q[:, 0], keys[:, 0]) * dim**-0.5 + whole[:, 0, 0]
    return whole, scores.softmax(dim=-1)
