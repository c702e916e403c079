"""A judge that tells speakers apart by their content, and whose gradient teaches the content not to let it."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional


class _Reversed(torch.autograd.Function):
    """The identity, with the gradient's sign turned (Ganin and Lempitsky, 2015)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        del ctx
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        del ctx
        return -gradient


class SpeakerHead(nn.Module):
    """Cross entropy of a small classifier over frames; its own weights descend it, its input climbs it."""

    def __init__(self, dim: int, num_speakers: int, hidden_dim: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, num_speakers)
        )

    def forward(
        self, content: Float[Tensor, "batch frame content"], speakers: Int[Tensor, " batch"]
    ) -> Float[Tensor, ""]:
        """Nats a frame; ``ln(num_speakers)`` where nothing can be told."""
        logits = self.layers(_Reversed.apply(content)).float()
        return functional.cross_entropy(logits.flatten(0, 1), speakers.repeat_interleave(content.shape[1]))
