"""A classifier that tells speakers apart by their content, and whose gradient teaches the content not to let it."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.train.shared.losses import known_cross_entropy

_NOBODY = -1


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
    """Cross entropy of a small classifier; its own weights descend it, its input climbs it.

    It sees ``reach`` frames on each side: what no frame alone gives away, a run of them may.
    """

    def __init__(self, dim: int, num_speakers: int, reach: int = 0, hidden_dim: int = 128) -> None:
        super().__init__()
        self.width = 2 * reach + 1
        self.layers = nn.Sequential(
            nn.LayerNorm(self.width * dim),
            nn.Linear(self.width * dim, hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, num_speakers),
        )

    def forward(
        self,
        content: Float[Tensor, "batch frame content"],
        speakers: Int[Tensor, " batch"],
        present: Bool[Tensor, "batch frame"] | None = None,
    ) -> Float[Tensor, ""]:
        """Nats a frame; ``ln(num_speakers)`` where nothing can be told.

        Frames too near to an end are left out, that of the clip or of what is ``present`` of it.
        """
        width = min(self.width, content.shape[1])
        windows = _Reversed.apply(content).unfold(1, width, 1).transpose(2, 3).flatten(2)
        missing = self.width * content.shape[2] - windows.shape[2]
        logits = self.layers(functional.pad(windows, (0, missing))).float()
        asked = speakers[:, None].expand(-1, logits.shape[1])
        if present is not None:
            asked = asked.where(present.unfold(1, width, 1).all(2), _NOBODY)
        return known_cross_entropy(logits.flatten(0, 1), asked.flatten(), _NOBODY)
