"""Gated feed-forward block (SwiGLU, Shazeer, 2020)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from parlando.nn.native import training


class GatedMLP(nn.Module):
    """``down(silu(gate(x)) * up(x))`` without biases."""

    def __init__(self, dim: int, inner_dim: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(dim, inner_dim, bias=False)
        self.up_proj = nn.Linear(dim, inner_dim, bias=False)
        self.down_proj = nn.Linear(inner_dim, dim, bias=False)

    def forward(self, x: Float[Tensor, "*rest dim"]) -> Float[Tensor, "*rest dim"]:
        """Apply the block to the last dimension."""
        gate, up = self.gate_proj(x), self.up_proj(x)
        if training.fits(x, gate.shape[-1]) and training.is_narrow(gate, up):
            return self.down_proj(training.gated(gate, up))
        return self.down_proj(functional.silu(gate) * up)
