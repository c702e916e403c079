"""Optimisers and the learning-rate shape that every task uses."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from parlando.train.loop.parallel import average_gradients


@dataclass(frozen=True)
class OptimConfig:
    """AdamW with a short linear warm-up and a decay to a share of the peak."""

    rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.98
    weight_decay: float = 0.05
    warmup: float = 0.02
    final: float = 0.02
    clip: float = 1.0
    decay: Literal["linear", "cosine"] = "linear"

    def rate_at(self, progress: float) -> float:
        """Learning rate at a share of the budget."""
        if progress < self.warmup:
            return self.rate * max(progress / self.warmup, 0.02)
        left = 1 - (progress - self.warmup) / (1 - self.warmup)
        shape = left if self.decay == "linear" else 0.5 - 0.5 * math.cos(math.pi * left)
        return self.rate * (self.final + (1 - self.final) * shape)


def make_optimizer(module: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only."""
    matrices = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
    rest = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.rate, betas=(config.beta1, config.beta2), fused=True)


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> float:
    """Average over processes, then clip to a norm; returns the norm before clipping."""
    held = list(parameters)
    average_gradients(held)
    return float(nn.utils.clip_grad_norm_(held, max_norm))


def advance(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Step at a learning rate, and clear the gradients."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
