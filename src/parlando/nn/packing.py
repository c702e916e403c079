"""Weights of linear layers that read the same input, joined so that decoding makes one product instead of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from parlando.nn.lora import LoRALinear


@dataclass(frozen=True)
class Packed:
    """Joined linears as one product; ``thin`` are the two weights of their adapters, where they have any."""

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


def pack(linears: Sequence[nn.Linear]) -> Packed:
    """The linears' outputs side by side (without their biases), with what their adapters add."""
    return Packed(pack_linears(linears), _thin(linears))


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
    joined = torch.cat([linear.weight.detach() for linear in linears])
    if joined.device.type == "cpu":
        # CPU kernels for few rows are up to ten times faster when the outputs are contiguous; GPUs prefer the opposite.
        joined = joined.t().contiguous().t()
    start = 0
    for linear in linears:
        linear.weight.data = joined[start : start + linear.out_features]
        start += linear.out_features
    return joined.t()
