"""Weights of linear layers that read the same input, joined so that decoding makes one product instead of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from parlando.nn.few_bits import BLOCK, Format, aligned
from parlando.nn.lora import LoRALinear
from parlando.nn.native.tiles import Tiled
from parlando.nn.quantized import QuantizedLinear

FEW_ROWS = 16
"""Up to so many, a processor without matrix units multiplies by weights of few bits as they are; for more, they are
widened first."""


class Joined(Protocol):
    """Linear layers with the same input, as one product."""

    @property
    def rows_apart(self) -> bool:
        """Whether a row's numbers are the same however many rows there are."""
        ...

    def mm(self, x: Float[Tensor, "row inputs"]) -> Float[Tensor, "row outputs"]:
        """The product."""
        ...

    def addmm(self, to: Tensor, x: Float[Tensor, "row inputs"]) -> Float[Tensor, "row outputs"]:
        """The product added to something."""
        ...


@dataclass(frozen=True)
class Packed:
    """Joined linears as one product; ``thin`` are the two weights of their adapters, where they have any."""

    rows_apart: ClassVar[bool] = False
    weight: Float[Tensor, "inputs outputs"]
    thin: tuple[Float[Tensor, "inputs ranks"], Float[Tensor, "ranks outputs"]] | None = None

    def mm(self, x: Float[Tensor, "row inputs"]) -> Float[Tensor, "row outputs"]:
        """The product."""
        return self._adapted(torch.mm(x, self.weight), x)

    def addmm(self, to: Tensor, x: Float[Tensor, "row inputs"]) -> Float[Tensor, "row outputs"]:
        """The product added to something."""
        return self._adapted(torch.addmm(to, x, self.weight), x)

    def _adapted(self, y: Tensor, x: Tensor) -> Tensor:
        return y if self.thin is None else torch.addmm(y, torch.mm(x, self.thin[0]), self.thin[1])


class TiledPacked:
    """Joined linears that matrix units multiply by as they are kept; of the outputs only those of ``columns``."""

    rows_apart = True

    def __init__(self, product: Tiled, columns: Tensor | None = None) -> None:
        self._product, self._columns = product, columns

    def mm(self, x: Float[Tensor, "row inputs"]) -> Float[Tensor, "row outputs"]:
        """The product."""
        y = self._product(x)
        return y if self._columns is None else y[:, self._columns]

    def addmm(self, to: Tensor, x: Float[Tensor, "row inputs"]) -> Float[Tensor, "row outputs"]:
        """The product added to something."""
        return self._product(x, to) if self._columns is None else self.mm(x).add_(to)


class QuantizedPacked:
    """Joined linears that are kept in fewer bits.

    A row's numbers do not depend on what is beside it, as long as there are no more than `FEW_ROWS`.
    """

    rows_apart = False

    def __init__(self, format_: Format, kept: Tensor, scale: Tensor, columns: Tensor | None) -> None:
        self._format, self._kept, self._scale, self._columns = format_, kept, scale, columns
        self._few_rows = format_.few_rows(kept, scale)

    def mm(self, x: Float[Tensor, "row inputs"]) -> Float[Tensor, "row outputs"]:
        """The product."""
        if self._few_rows is not None and len(x) <= FEW_ROWS:
            y = self._few_rows(x)
        else:
            y = functional.linear(x, self._format.decode(self._kept, self._scale, x.dtype))
        return y if self._columns is None else y[:, self._columns]

    def addmm(self, to: Tensor, x: Float[Tensor, "row inputs"]) -> Float[Tensor, "row outputs"]:
        """The product added to something."""
        return self.mm(x).add_(to)


def _joined(linears: Sequence[QuantizedLinear], name: str, along: int) -> Tensor:
    """One tensor for all, of which theirs become views."""
    parts = [getattr(linear, name) for linear in linears]
    whole = aligned(parts[0]) if len(parts) == 1 else torch.cat(parts, dim=along)
    for linear, view in zip(linears, whole.split([part.shape[along] for part in parts], dim=along), strict=True):
        setattr(linear, name, view)
    return whole


def _columns(linears: Sequence[QuantizedLinear]) -> Tensor | None:
    """Which outputs of joined blocks do not only fill them up; None: all."""
    if not any(linear.out_features % BLOCK for linear in linears):
        return None
    ranges, start = [], 0
    for linear in linears:
        ranges.append(torch.arange(start, start + linear.out_features, device=linear.kept.device))
        start += -(-linear.out_features // BLOCK) * BLOCK
    return torch.cat(ranges)


def pack(linears: Sequence[nn.Linear | QuantizedLinear]) -> Joined:
    """The linears' outputs side by side (without their biases), with what their adapters add."""
    quantized = [linear for linear in linears if isinstance(linear, QuantizedLinear)]
    dense = [linear for linear in linears if isinstance(linear, nn.Linear)]
    if quantized:
        return _pack_few_bits(quantized)
    thin, first = _thin(dense), dense[0].weight
    if thin is None and first.dtype == torch.bfloat16 and Tiled.fits(first, first.shape[1]):
        joined = join_linears(dense)
        return TiledPacked(Tiled("bfloat16", joined, None, len(joined)))
    return Packed(pack_linears(dense), thin)


def _pack_few_bits(linears: Sequence[QuantizedLinear]) -> Joined:
    """Their tensors become views of the joined ones."""
    format_, inputs = linears[0].format, linears[0].in_features
    along_kept, along_scale = format_.joins
    kept, scale = _joined(linears, "kept", along_kept), _joined(linears, "scale", along_scale)
    columns = _columns(linears) if kept.dim() > 2 else None
    if format_.tiled is not None and Tiled.fits(kept, inputs):
        return TiledPacked(Tiled(format_.tiled, kept, scale, scale.shape[along_scale]), columns)
    return QuantizedPacked(format_, kept, scale, columns)


def _thin(linears: Sequence[nn.Linear]) -> tuple[Tensor, Tensor] | None:
    """The adapters' weights joined: each one's ranks add to its own linear's outputs alone."""
    adapters = [linear for linear in linears if isinstance(linear, LoRALinear)]
    if not adapters:
        return None
    down = torch.cat([adapter.lora_A.weight.detach() for adapter in adapters]).t()
    ups = [
        linear.scale * linear.lora_B.weight.detach()
        if isinstance(linear, LoRALinear)
        else linear.weight.new_zeros(linear.out_features, 0)
        for linear in linears
    ]
    return down.contiguous(), torch.block_diag(*ups).t().contiguous()


def pack_linears(linears: Sequence[nn.Linear]) -> Float[Tensor, "inputs outputs"]:
    """One matrix ``w`` such that ``x @ w`` is the linears' outputs side by side (without their biases).

    The linears' own weights become views of it, so a packed model occupies its memory once and trains on as before.
    """
    # CPU kernels for few rows are up to ten times faster when the outputs are contiguous; GPUs prefer the opposite.
    return join_linears(linears, turned=linears[0].weight.device.type == "cpu").t()


def join_linears(linears: Sequence[nn.Linear], turned: bool = False) -> Float[Tensor, "outputs inputs"]:
    """The linears' weights one after the other, of which they become views; ``turned``: outputs side by side."""
    joined = torch.cat([linear.weight.detach() for linear in linears])
    if turned:
        joined = joined.t().contiguous().t()
    start = 0
    for linear in linears:
        linear.weight.data = joined[start : start + linear.out_features]
        start += linear.out_features
    return joined
