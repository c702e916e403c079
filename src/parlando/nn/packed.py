"""Sequences of different lengths end to end in one row, without padding, and attention that stays within each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional


class _Take(torch.autograd.Function):
    """Row gather whose gradient is a gather as well; autograd's own would be a scatter, which is slow on CPUs."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, index: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(inverse)
        return _take(rows, index)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (inverse,) = ctx.saved_tensors
        return _take(gradient, inverse), None, None


def _take(rows: Tensor, index: Tensor) -> Tensor:
    """Rows by index; where there are more places than rows, the index one past the last is a row of zeros."""
    if len(index) > len(rows):
        rows = functional.pad(rows, (0, 0) * (rows.ndim - 1) + (0, 1))
    return rows.index_select(0, index)


def take_rows(
    rows: Shaped[Tensor, row * rest], index: Int[Tensor, " place"], inverse: Int[Tensor, " row"]
) -> Shaped[Tensor, place * rest]:
    """Rows by index; ``inverse`` is the place of each row, places without a row have the index one past the last."""
    return _Take.apply(rows, index, inverse)


class _Merge(torch.autograd.Function):
    """Two tensors' rows to their places in one, in one pass; the gradients are gathered from there."""

    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.split = len(first), len(second)
        merged = first.new_empty(len(places), *first.shape[1:])
        for rows, own in zip((first, second), places.split(ctx.split), strict=True):
            merged.index_copy_(0, own, rows)
        return merged

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        (places,) = ctx.saved_tensors
        first, second = (gradient.index_select(0, own) for own in places.split(ctx.split))
        return first, second, None


def merge_rows(
    first: Shaped[Tensor, first * rest], second: Shaped[Tensor, second * rest], places: Int[Tensor, " place"]
) -> Shaped[Tensor, place * rest]:
    """The rows of two tensors, each at its place; ``places`` has every place once, those of the first tensor first."""
    return _Merge.apply(first, second, places)


@dataclass(frozen=True)
class Packing:
    """Which row stands in each slot of the padded grid [batch, longest], and the slot of each row."""

    slots: Int[Tensor, " slot"]
    rows: Int[Tensor, " row"]
    longest: int

    @classmethod
    def of(cls, lengths: Int[Tensor, " batch"], longest: int) -> Packing:
        """For sequences of these lengths that are padded on the right to the longest."""
        is_real = torch.arange(longest, device=lengths.device) < lengths[:, None]
        rows = is_real.flatten().nonzero()[:, 0]
        slots = rows.new_full((is_real.numel(),), len(rows))
        slots[rows] = torch.arange(len(rows), device=rows.device)
        return cls(slots, rows, longest)

    def __len__(self) -> int:
        """Positions in the row."""
        return len(self.rows)

    @property
    def positions(self) -> Int[Tensor, " row"]:
        """The place of every row within its own sequence."""
        return self.rows % self.longest

    def pack(self, grid: Shaped[Tensor, "batch longest *rest"]) -> Shaped[Tensor, "1 row *rest"]:
        """The grid without its padding."""
        return take_rows(grid.flatten(0, 1), self.rows, self.slots)[None]

    def spread(self, packed: Shaped[Tensor, "1 row *rest"]) -> Shaped[Tensor, "batch longest *rest"]:
        """The grid again, zeros in its padding."""
        return take_rows(packed[0], self.slots, self.rows).unflatten(0, (-1, self.longest))

    def flex(
        self,
        q: Float[Tensor, "1 row head dim"],
        k: Float[Tensor, "1 row kv_head dim"],
        v: Float[Tensor, "1 row kv_head dim"],
        run: Callable[..., Tensor] | None = None,
    ) -> Float[Tensor, "1 row head dim"]:
        """Attention of the whole row that skips what is not within a sequence (FlexAttention, compiled)."""
        attention = run or _compiled_flex()
        heads = (x.transpose(1, 2) for x in (q, k, v))
        return attention(*heads, block_mask=self._blocks, enable_gqa=True).transpose(1, 2)

    @cached_property
    def _blocks(self) -> Any:
        from torch.nn.attention.flex_attention import create_block_mask

        sequence = self.rows // self.longest
        return create_block_mask(
            lambda batch, head, query, key: (query >= key) & (sequence[query] == sequence[key]),
            None,
            None,
            len(self),
            len(self),
            device=self.rows.device.type,
        )


@cache
def _compiled_flex() -> Callable[..., Tensor]:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=True)
