"""Snake, a periodic activation with a learnt frequency per channel (Ziyin, Hartwig and Ueda, 2020)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

_EPSILON = 1e-9


class Snake(nn.Module):
    """``x + sin²(αx) / α`` with one ``alpha`` per channel, kept as [1, channel, 1]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, channels, 1))

    def forward(self, hidden: Float[Tensor, "batch channel time"]) -> Float[Tensor, "batch channel time"]:
        """Apply it elementwise."""
        return snake(hidden, self.alpha)


class FlatSnake(nn.Module):
    """The same with its frequencies kept as [channel]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels))

    def forward(self, hidden: Float[Tensor, "batch channel time"]) -> Float[Tensor, "batch channel time"]:
        """Apply it elementwise."""
        return snake(hidden, self.alpha[:, None])


def snake(hidden: Float[Tensor, "batch channel time"], alpha: Float[Tensor, "*one channel 1"]) -> Tensor:
    """``x + sin²(αx) / α`` elementwise."""
    return hidden + torch.sin(alpha * hidden).square() / (alpha + _EPSILON)
