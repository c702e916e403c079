"""Layers that take a sequence in pieces and give exactly what they give for the whole of it.

What later outputs still need is kept in a `Carry`. An output comes once nothing that follows can change it, so a layer
that looks ahead runs behind its input until the last piece, which is then padded as the end of the whole would be.
"""

from __future__ import annotations

from typing import TypeVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Kept = tuple[Tensor | int, ...]
T = TypeVar("T", bound=Tensor | int)


class Carry:
    """One piece's way through the layers: what they kept of the pieces before it, and what they keep of it.

    Values are told apart by their order alone: at every piece the same layers run in the same order, and each calls
    `recall` and then `keep` equally often, with no other layer between. All tensors have the batch first and time last.
    """

    def __init__(self, kept: Kept = (), final: bool = True) -> None:
        self.final = final
        self._first = not kept
        self._old = iter(kept)
        self._new: list[Tensor | int] = []

    @property
    def kept(self) -> Kept:
        """What to begin the next piece with; nothing after the last one."""
        return tuple(self._new)

    def recall(self, start: T) -> T:
        """What was kept here at the last piece; ``start`` at the first."""
        return start if self._first else cast("T", next(self._old))

    def keep(self, value: Tensor | int) -> None:
        """Remember a value for the next piece; copied, so that a short tail does not hold a long tensor in memory."""
        if not self.final:
            self._new.append(value.clone() if isinstance(value, Tensor) else value)


class StreamedConv1d(nn.Conv1d):
    """A convolution padded with zeros at the ends of the whole sequence."""

    def forward(  # type: ignore[override]
        self, hidden: Float[Tensor, "batch channel time"], carry: Carry
    ) -> Float[Tensor, "batch output later"]:
        """The outputs that became final."""
        stride, margin = self.stride[0], hidden.new_zeros(*hidden.shape[:2], int(self.padding[0]))
        window = joined(carry.recall(margin), hidden, margin[..., : margin.shape[2] * carry.final])
        reach = self.dilation[0] * (self.kernel_size[0] - 1) + 1
        outputs = max(0, (window.shape[2] - reach) // stride + 1)
        carry.keep(window[..., outputs * stride :])
        if outputs == 0:
            return hidden.new_zeros(hidden.shape[0], self.out_channels, 0)
        return functional.conv1d(window, self.weight, self.bias, self.stride, 0, self.dilation)


class StreamedConvTranspose1d(nn.ConvTranspose1d):
    """A transposed convolution that makes ``stride`` outputs of every input: padding is (kernel - stride) / 2."""

    def forward(  # type: ignore[override]
        self, hidden: Float[Tensor, "batch channel time"], carry: Carry
    ) -> Float[Tensor, "batch output later"]:
        """The outputs that became final."""
        stride, overlap = self.stride[0], self.kernel_size[0] - self.stride[0]
        if hidden.shape[2]:
            laid = functional.conv_transpose1d(hidden, self.weight, stride=stride)
        else:
            laid = hidden.new_zeros(hidden.shape[0], self.out_channels, overlap)
        summed = overlap_add(laid, overlap, int(self.padding[0]), carry)
        return summed if self.bias is None else summed + self.bias[:, None]


def joined(*pieces: Tensor) -> Tensor:
    """The pieces one after the other along the last axis; a single one with anything in it is not copied."""
    filled = [piece for piece in pieces if piece.shape[-1]]
    if len(filled) > 1:
        return torch.cat(filled, dim=-1)
    return filled[0] if filled else pieces[0]


def align(carry: Carry, *sequences: Tensor) -> list[Tensor]:
    """Equally long pieces of sequences that run at one rate but are final up to different times: the rest waits."""
    waiting = [joined(carry.recall(piece[..., :0]), piece) for piece in sequences]
    ready = min(piece.shape[-1] for piece in waiting)
    for piece in waiting:
        carry.keep(piece[..., ready:])
    return [piece[..., :ready] for piece in waiting]


def overlap_add(
    laid: Float[Tensor, "batch channel time"], overlap: int, trim: int, carry: Carry
) -> Float[Tensor, "batch channel later"]:
    """Pieces that reach ``overlap`` values into their neighbours, summed; ``trim`` values go at either end of all."""
    tail, untrimmed = carry.recall(laid.new_zeros(*laid.shape[:2], overlap)), carry.recall(trim)
    summed = torch.cat([laid[..., :overlap] + tail, laid[..., overlap:]], dim=-1)
    end = summed.shape[2] - (trim if carry.final else overlap)
    start = min(untrimmed, end)
    carry.keep(summed[..., end:])
    carry.keep(untrimmed - start)
    return summed[..., start:end]


def reflect_start(sequence: Float[Tensor, "*batch time"], margin: int, carry: Carry) -> Float[Tensor, "*batch later"]:
    """Mirror what follows the first value before it; nothing comes until there are more than ``margin`` values."""
    waiting, begun = joined(carry.recall(sequence[..., :0]), sequence), carry.recall(0)
    ready = bool(begun) or waiting.shape[-1] > margin
    carry.keep(waiting[..., :0] if ready else waiting)
    carry.keep(int(ready))
    if not ready:
        return waiting[..., :0]
    return waiting if begun else joined(waiting[..., 1 : margin + 1].flip(-1), waiting)
