"""Keys and values of several independent sequences (rows), allocated once; lengths live on the host."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from parlando.nn.heads import AttentionConfig
from parlando.nn.replay import Replayed, Work

LEAST_EXTENT, EXTENTS_PER_OCTAVE = 256, 8


@dataclass(frozen=True)
class CachePlan:
    """One new position for each of the first rows: where it goes and which cached positions it sees.

    ``live`` counts the positions that the longest live row sees, its new one included; ``mask`` None means that all
    rows see all of them, hence have the same length. ``slots`` says where in a layer, seen as a list of vectors, each
    row's new keys and values go; ``held`` is, by layer, what the rows then hold.
    """

    positions: Int[Tensor, " row"]
    slots: Int[Tensor, " vector"]
    held: tuple[Float[Tensor, "2 row kv_head position dim"], ...]
    live: int
    mask: Float[Tensor, "row 1 1 position"] | None


class KVCache:
    """``keys`` and ``values``: [layer, row, kv_head, position, head_dim]. The owner frees rows and may reuse them."""

    def __init__(self, attention: AttentionConfig, num_layers: int, rows: int, length: int, like: Tensor) -> None:
        # Zeros: a masked position still takes part in 0 * value, so it must be finite.
        self._pairs = like.new_zeros((num_layers, 2, rows, attention.num_kv_heads, length, attention.head_dim))
        self.keys, self.values = self._pairs.unbind(1)
        self._vectors = self._pairs.flatten(1, 4).unbind()
        starts = torch.arange(0, len(self._vectors[0]), length, device=like.device)
        self._starts = starts.view(2, rows, -1).transpose(0, 1)
        self._lengths = [0] * rows
        # Beyond its length, a row may hold what was written and never counted.
        self._written = [0] * rows

    @property
    def pairs(self) -> Float[Tensor, "layer 2 row kv_head position dim"]:
        """All keys and values, in one piece."""
        return self._pairs

    @property
    def rows(self) -> int:
        """How many sequences fit."""
        return len(self._lengths)

    @property
    def capacity(self) -> int:
        """Positions per row."""
        return self.keys.shape[3]

    @property
    def position_bytes(self) -> int:
        """What a position takes, in all layers."""
        return self._pairs.element_size() * self._pairs[:, :, 0, :, 0].numel()

    def length(self, row: int) -> int:
        """Positions held for a row."""
        return self._lengths[row]

    def free(self, row: int) -> None:
        """Forget a row: its length becomes zero, and so does all that was written to it, finite or not."""
        written = max(self._written[row], self._lengths[row] + 1)
        self._pairs[:, :, row, :, :written] = 0.0
        self._lengths[row] = self._written[row] = 0

    def copy(self, row: int) -> Any:
        """A copy of everything a row holds, for `resume`."""
        return self._pairs[:, :, row, :, : self._lengths[row]].clone()

    def park(self, row: int) -> Any:
        """A copy of everything a row holds; the row is free then."""
        parked = self.copy(row)
        self.free(row)
        return parked

    def resume(self, row: int, parked: Any) -> None:
        """Put into any free row what `park` or `copy` gave."""
        self._lengths[row] = parked.shape[3]
        self._pairs[:, :, row, :, : parked.shape[3]] = parked

    def advance(self, row: int, positions: int = 1) -> None:
        """Count positions that have been written for every layer."""
        self._lengths[row] += positions
        self._written[row] = max(self._written[row], self._lengths[row])
        assert self._lengths[row] <= self.capacity, "cache row overrun"

    def plan(self, live: list[bool]) -> CachePlan:
        """Plan one new position for rows ``0..len(live)-1``; idle rows are written past their end and not counted."""
        positions = self._next(len(live))
        extent = self._extent(positions, live)
        index = torch.tensor(positions).to(self.keys.device, non_blocking=True)
        return self._planned(index, extent, masked=any(position + 1 != extent for position in positions))

    def _next(self, rows: int) -> list[int]:
        """Where the next position of each of the first rows goes; in a full one over its last."""
        return [min(self._lengths[row], self.capacity - 1) for row in range(rows)]

    @staticmethod
    def _extent(positions: Sequence[int], live: Sequence[bool]) -> int:
        """What the longest live row sees."""
        return max(position for position, is_live in zip(positions, live, strict=True) if is_live) + 1

    def _planned(self, index: Int[Tensor, " row"], extent: int, masked: bool) -> CachePlan:
        """The plan for positions that are on the device already; no value of theirs is asked for."""
        mask = None
        if masked:
            seen = torch.arange(extent, device=self.keys.device) <= index[:, None]
            mask = torch.zeros(seen.shape, dtype=self.keys.dtype, device=self.keys.device)
            mask = mask.masked_fill_(~seen, float("-inf"))[:, None, None]
        slots = (self._starts[: len(index)] + index[:, None, None]).flatten()
        return CachePlan(index, slots, self._pairs[:, :, : len(index), :, :extent].unbind(), extent, mask)

    def append(
        self, layer: int, plan: CachePlan, pairs: Float[Tensor, "row 2 kv_head dim"]
    ) -> tuple[Float[Tensor, "row kv_head position dim"], Float[Tensor, "row kv_head position dim"]]:
        """Write one position per row in one layer, its keys before its values.

        Returns the keys and the values that those rows now hold of the layer, up to ``plan.live``.
        """
        self._vectors[layer].index_copy_(0, plan.slots, pairs.reshape(len(plan.slots), -1))
        keys, values = plan.held[layer].unbind()
        return keys, values

    def fill(
        self,
        layer: int,
        row: int,
        keys: Float[Tensor, "position kv_head dim"],
        values: Float[Tensor, "position kv_head dim"],
    ) -> tuple[Float[Tensor, "held kv_head dim"], Float[Tensor, "held kv_head dim"]]:
        """Write positions after those that a row holds, in one layer; returns all keys and values up to there."""
        start = self._lengths[row]
        stop = start + len(keys)
        self._written[row] = max(self._written[row], stop)
        self.keys[layer, row, :, start:stop] = keys.transpose(0, 1)
        self.values[layer, row, :, start:stop] = values.transpose(0, 1)
        if start == 0:
            return keys, values
        return self.keys[layer, row, :, :stop].transpose(0, 1), self.values[layer, row, :, :stop].transpose(0, 1)


class StaticCache(KVCache):
    """One whose steps have few shapes, so that each can be recorded (`nn.replay`): what differs is masked.

    Rows are rounded up to a power of two, and what they see to one of few extents: 256 positions or
    more, from 2,048 on at most a quarter more.
    """

    def __init__(self, attention: AttentionConfig, num_layers: int, rows: int, length: int, like: Tensor) -> None:
        super().__init__(attention, num_layers, rows, length, like)
        self.steps: dict[Hashable, Replayed] = {}

    def extent(self, live: Sequence[bool]) -> int:
        """How many positions a step of these rows is computed for."""
        needed = self._extent(self._next(len(live)), live)
        grain = max(LEAST_EXTENT, (1 << (needed - 1).bit_length()) // EXTENTS_PER_OCTAVE)
        return min(-(-needed // grain) * grain, self.capacity)

    def padded(self, inputs: Int[Tensor, "row column"]) -> Int[Tensor, "rows columns"]:
        """What is fed to the first rows, each row's position before it, on the device; the last row is repeated."""
        rows = min(1 << (len(inputs) - 1).bit_length(), self.rows)
        chosen = torch.arange(rows).clamp(max=len(inputs) - 1)
        return torch.cat([torch.tensor(self._next(rows))[:, None], inputs[chosen]], dim=1).to(self.keys.device)

    def plan_at(self, positions: Int[Tensor, " row"], extent: int) -> CachePlan:
        """As `plan`, for positions on the device."""
        return self._planned(positions, extent, masked=True)

    def step(self, kind: Hashable, work: Work, described: Int[Tensor, "rows columns"]) -> Tensor:
        """The work of a step, recorded when the first one of its ``kind`` and rows is taken."""
        return self.steps.setdefault((kind, len(described)), Replayed(work))(described)
