"""Finite scalar quantisation (Mentzer et al., 2023): a few bounded numbers, each rounded to one of a few levels."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from parlando.core.errors import ConfigError

MARGIN, LEAST_LEVELS = 1e-3, 3


class FiniteScalarQuantizer(nn.Module):
    """Project to one number per entry of ``levels``, bound it with tanh, and round it; no codebook to learn.

    A code is the number whose digits are the rounded values, the first digit counting least: for eight times three
    levels there are 3^8 = 6561 codes.

    Raises:
        ConfigError: no levels, or fewer than three of them for a number.
    """

    def __init__(self, dim: int, levels: tuple[int, ...]) -> None:
        super().__init__()
        if not levels or min(levels) < LEAST_LEVELS:
            raise ConfigError(f"levels {levels}: give at least one number of levels, each {LEAST_LEVELS} or more")
        self.levels = levels
        self.project_in = nn.Linear(dim, len(levels))

    @property
    def num_codes(self) -> int:
        """How many different codes there are."""
        return math.prod(self.levels)

    def bounded(self, x: Float[Tensor, "*rest dim"]) -> Float[Tensor, "*rest digit"]:
        """The projected numbers, within half a level of the outermost ones; in float32 whatever the weights are."""
        counts = x.new_tensor(self.levels, dtype=torch.float32)
        half = (counts - 1) * (1 - MARGIN) / 2
        offset = (counts % 2 == 0).float() / 2
        shift = torch.atanh(offset / half)
        return torch.tanh(self.project_in(x).float() + shift) * half - offset

    def encode(self, x: Float[Tensor, "*rest dim"]) -> Int[Tensor, "*rest"]:
        """The code of each vector."""
        return self._join(self.bounded(x).round())

    def decode(self, codes: Int[Tensor, "*rest"]) -> Float[Tensor, "*rest digit"]:
        """The rounded numbers that codes stand for, scaled as in `forward`."""
        counts, weights = self._digits(codes)
        return (codes[..., None] // weights % counts - counts // 2) / (counts // 2)

    def forward(self, x: Float[Tensor, "*rest dim"]) -> tuple[Float[Tensor, "*rest digit"], Int[Tensor, "*rest"]]:
        """The rounded numbers, scaled into -1..1, with straight-through gradients (Bengio et al., 2013), and codes."""
        inside = self.bounded(x)
        rounded = inside.round()
        counts, _ = self._digits(rounded)
        return (inside + (rounded - inside).detach()) / (counts // 2), self._join(rounded.detach())

    def _digits(self, like: Tensor) -> tuple[Int[Tensor, " digit"], Int[Tensor, " digit"]]:
        counts = torch.tensor(self.levels, device=like.device)
        return counts, counts.cumprod(0) // counts

    def _join(self, rounded: Float[Tensor, "*rest digit"]) -> Int[Tensor, "*rest"]:
        counts, weights = self._digits(rounded)
        return ((rounded.long() + counts // 2) * weights).sum(-1)
