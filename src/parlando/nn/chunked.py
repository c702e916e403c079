"""Chunk-causal sequences: what a position sees, and what a stream remembers of the positions it has passed.

A sequence is cut into chunks of equal size; a position sees its own chunk and the chunks before it. Memories that do
not last give the same results for a sequence that comes whole, and hold nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

N = TypeVar("N", int, Tensor)
_SPARE = 1.5


@dataclass(frozen=True)
class ChunkGrid:
    """Chunks of ``size`` positions; ``left_chunks`` is how many earlier chunks a position sees (None: all of them).

    The first chunk is ``shift`` positions shorter. Where it is within a chunk, ``split`` makes two of that one.
    """

    size: int
    left_chunks: int | None = None
    shift: int = 0
    split: int | None = None

    @property
    def reach(self) -> int | None:
        """How many positions before its chunk a position sees; None: all of them."""
        return None if self.left_chunks is None else self.left_chunks * self.size

    def scaled(self, ratio: int) -> ChunkGrid:
        """The same chunks in positions that are ``ratio`` times as many."""
        split = None if self.split is None else self.split * ratio
        return replace(self, size=self.size * ratio, shift=self.shift * ratio, split=split)

    def chunk(self, position: N) -> N:
        """Numbers of the chunks of positions, which rise from chunk to chunk."""
        number = (position + self.shift) // self.size
        return number if self.split is None else number + (position >= self.split)

    def end(self, position: int) -> int:
        """Where the chunk of a position ends, exclusive."""
        end = position + self.size - (position + self.shift) % self.size
        return self.split if self.split is not None and position < self.split < end else end


@dataclass(frozen=True)
class Span:
    """The ``new`` positions of one pass, which follow ``past`` positions that memories may hold.

    Without a grid everything sees everything. ``lengths``, where rows differ, says how many of the new positions of
    each row are not padding; only a pass without past may have them.
    """

    past: int
    new: int
    grid: ChunkGrid | None = None
    lengths: Int[Tensor, " batch"] | None = None

    def scaled(self, ratio: int) -> Span:
        """The same pass in positions that are ``ratio`` times as many."""
        grid = None if self.grid is None else self.grid.scaled(ratio)
        lengths = None if self.lengths is None else self.lengths * ratio
        return Span(self.past * ratio, self.new * ratio, grid, lengths)

    def valid(self) -> Bool[Tensor, "batch position"] | None:
        """Which new positions are not padding; None: all of them."""
        if self.lengths is None:
            return None
        return torch.arange(self.new, device=self.lengths.device) < self.lengths[:, None]

    def visibility(self, device: torch.device) -> Bool[Tensor, "batch 1 query key"] | None:
        """Which held and new positions (keys) each new position (query) sees; None: all of them.

        Padding sees padding, so that no query is left without a key.
        """
        chunks = None if self.grid is None else self._visible_chunks(self.grid, device)
        valid = self.valid()
        if valid is None:
            return chunks
        rows = (valid[:, None] | ~valid[:, :, None])[:, None].to(device)
        return rows if chunks is None else rows & chunks

    def _visible_chunks(self, grid: ChunkGrid, device: torch.device) -> Bool[Tensor, "1 1 query key"] | None:
        held = self.past if grid.reach is None else min(self.past, grid.reach)
        first, last = grid.chunk(self.past), grid.chunk(self.past + self.new - 1)
        is_near = grid.left_chunks is None or grid.chunk(self.past - held) >= last - grid.left_chunks
        if first == last and is_near:
            return None
        keys = grid.chunk(torch.arange(self.past - held, self.past + self.new, device=device))
        queries = keys[held:, None]
        seen = keys <= queries
        if grid.left_chunks is not None:
            seen = seen & (keys >= queries - grid.left_chunks)
        return seen[None, None]


class KeyValueMemory:
    """Keys and values of one attention layer; beyond ``reach`` positions (None: no limit) the oldest are forgotten.

    Storage grows by half its size when it is full, so a position is copied a bounded number of times.
    """

    def __init__(self, lasting: bool, reach: int | None = None) -> None:
        self._lasting, self._reach = lasting, reach
        self._pairs: Tensor | None = None
        self._first = self._end = 0

    def __deepcopy__(self, memo: dict[int, object]) -> KeyValueMemory:
        """One that goes on by itself: it shares what is held, and has no room to write into."""
        forked = copy.copy(self)
        if self._pairs is not None:
            forked._pairs = self._pairs[:, :, :, : self._end]
        return forked

    def append(
        self, keys: Float[Tensor, "batch head new dim"], values: Float[Tensor, "batch head new dim"]
    ) -> tuple[Float[Tensor, "batch head held dim"], Float[Tensor, "batch head held dim"]]:
        """Add positions; returns those that were held, then the new ones, as views that the next call may change."""
        if not self._lasting:
            return keys, values
        new = keys.shape[2]
        pairs = self._with_room(keys, new)
        pairs[0, :, :, self._end : self._end + new] = keys
        pairs[1, :, :, self._end : self._end + new] = values
        held = pairs[:, :, :, self._first : self._end + new]
        self._end += new
        if self._reach is not None:
            self._first = max(self._first, self._end - self._reach)
        return held[0], held[1]

    def _with_room(self, like: Tensor, new: int) -> Tensor:
        """The storage, moved to a larger one if ``new`` more positions do not fit."""
        if self._pairs is not None and self._end + new <= self._pairs.shape[3]:
            return self._pairs
        batch, heads, _, dim = like.shape
        held = self._end - self._first
        grown = like.new_empty((2, batch, heads, int((held + new) * _SPARE) if held else new, dim))
        if self._pairs is not None:
            grown[:, :, :, :held] = self._pairs[:, :, :, self._first : self._end]
        self._pairs, self._first, self._end = grown, 0, held
        return grown


class TableMemory:
    """A table over distances that is made again, twice as wide, when a pass reaches farther than any before."""

    def __init__(self, lasting: bool) -> None:
        self._lasting = lasting
        self._table: Tensor | None = None
        self._reach = 0

    def __deepcopy__(self, memo: dict[int, object]) -> TableMemory:
        """One that shares the table, which is never written to."""
        return copy.copy(self)

    def reaching(self, reach: int, make: Callable[[int], Tensor]) -> tuple[Tensor, int]:
        """A table that ``make`` gave for at least ``reach``, and the reach that it was made for."""
        if not self._lasting:
            return make(reach), reach
        if self._table is None or reach > self._reach:
            self._reach = max(reach, 2 * self._reach)
            self._table = make(self._reach)
        return self._table, self._reach


class ConvHistory:
    """The last inputs of one causal convolution; before the first position stand zeros."""

    def __init__(self, lasting: bool) -> None:
        self._lasting = lasting
        self._past: Tensor | None = None

    def __deepcopy__(self, memo: dict[int, object]) -> ConvHistory:
        """One that shares what is remembered, which is never written to."""
        return copy.copy(self)

    def extend(self, x: Float[Tensor, "batch new channel"], reach: int) -> Float[Tensor, "batch extended channel"]:
        """The new positions after the ``reach`` positions before them, which are remembered for the next call."""
        past = self._past
        if past is None:
            past = x.new_zeros((x.shape[0], reach, x.shape[2]))
        extended = torch.cat([past, x], dim=1)
        if self._lasting:
            self._past = extended[:, extended.shape[1] - reach :].clone()
        return extended


class CausalConv1d(nn.Conv1d):
    """A convolution whose output at a position depends on that position and the ``kernel - 1`` before it."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel)

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "batch position inputs"], history: ConvHistory
    ) -> Float[Tensor, "batch position outputs"]:
        """Continue after the history's positions.

        As one matrix product over windows: with channels last, a convolution would turn its input round and back.
        """
        extended = history.extend(x, self.kernel_size[0] - 1)
        windows = extended.unfold(1, self.kernel_size[0], 1).flatten(2)
        return functional.linear(windows, self.weight.flatten(1), self.bias)
