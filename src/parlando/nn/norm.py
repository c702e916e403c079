"""Root mean square layer normalisation (Zhang & Sennrich, 2019)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from parlando.nn.native import training


class RMSNorm(nn.Module):
    """Divide by the root mean square over the last dimension and multiply by a learned weight; no bias, no centring."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Float[Tensor, "*rest dim"]) -> Float[Tensor, "*rest dim"]:
        """Normalise; statistics are float32 whatever the dtype of ``x``, which the result keeps.

        On a processor, autocast makes the result what the products that follow take.
        """
        if training.fits(x, x.shape[-1]) and training.is_plain(x, self.weight):
            return training.norm(x, self.weight, self.eps)
        return rms_norm(x, self.weight, self.eps)


def rms_norm(x: Float[Tensor, "*rest dim"], weight: Float[Tensor, " dim"], eps: float) -> Float[Tensor, "*rest dim"]:
    """`RMSNorm` as a function of its weight."""
    if torch.finfo(x.dtype).bits >= torch.finfo(torch.float32).bits:
        return functional.rms_norm(x, weight.shape, weight.to(x.dtype), eps)
    # Llama rounds to the input's dtype before the weight is applied; half-precision checkpoints were trained so.
    return weight * functional.rms_norm(x.float(), weight.shape, None, eps).to(x.dtype)


class FastRMSNorm:
    """An `RMSNorm` for decoding few rows: half the operations, equal up to rounding; weights are read at the start."""

    def __init__(self, norm: RMSNorm) -> None:
        self.weight, self._eps = norm.weight.detach(), norm.eps
        self._is_wide = torch.finfo(self.weight.dtype).bits >= torch.finfo(torch.float32).bits
        dim = len(self.weight)
        self._scaled = self.weight * dim**0.5
        self._floor = self.weight.new_tensor((norm.eps * dim) ** 0.5)

    def __call__(self, x: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
        """Normalise, with the sum of squares and epsilon as the legs of a right triangle."""
        if not self._is_wide:
            return rms_norm(x, self.weight, self._eps)
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return x.div(torch.hypot(length, self._floor)).mul_(self._scaled)
