"""How much of a codebook is in use."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor


def perplexity(codes: Int[Tensor, "*rest"]) -> float:
    """How many equally frequent codes would be as hard to guess as these."""
    shares = codes.flatten().unique(return_counts=True)[1] / codes.numel()
    return float(torch.exp(-(shares * shares.log()).sum()))


def mean_used(codes: Int[Tensor, "batch codebook frame"]) -> float:
    """How many different codes there are of a codebook, on average over codebooks."""
    return sum(len(stage.unique()) for stage in codes.unbind(1)) / codes.shape[1]


def mean_perplexity(codes: Int[Tensor, "batch codebook frame"]) -> float:
    """The `perplexity` of a codebook's codes, on average over codebooks."""
    return sum(perplexity(stage) for stage in codes.unbind(1)) / codes.shape[1]
