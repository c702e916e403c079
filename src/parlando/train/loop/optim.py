"""Optimisers, the learning-rate shape and the moving average that every task uses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from parlando.core.errors import ConfigError
from parlando.train.loop.parallel import average_gradients


@dataclass(frozen=True)
class OptimConfig:
    """AdamW with a short linear warm-up and a decay to a share of the peak.

    What is evaluated and exported is, with ``ema``, a moving average of the weights that keeps this share of itself in
    every step.
    """

    rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.98
    weight_decay: float = 0.05
    warmup: float = 0.02
    final: float = 0.02
    clip: float = 1.0
    decay: Literal["linear", "cosine"] = "linear"
    ema: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.ema < 1:
            raise ConfigError(f"optim.ema must be from 0 to below 1, got {self.ema:g}")

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


def begin_optimizer(optimizer: torch.optim.Optimizer) -> None:
    """Give an optimiser the moments that it has before its first step, where it has none: a place for saved ones."""
    for parameter in (p for group in optimizer.param_groups for p in group["params"]):
        if not optimizer.state[parameter]:
            step = torch.zeros((), dtype=torch.float32, device=parameter.device)
            moments = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
            optimizer.state[parameter] = {"step": step, **moments}


class MovingAverage:
    """A moving average of a module's trained weights, in the pieces that they are in."""

    def __init__(self, module: nn.Module, keep: float) -> None:
        self._trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.kept: dict[str, Tensor] = {name: p.detach().clone() for name, p in self._trained.items()}
        self._keep = keep

    def update(self) -> None:
        """Follow the weights a little."""
        current = [parameter.detach() for parameter in self._trained.values()]
        torch._foreach_lerp_(list(self.kept.values()), current, 1 - self._keep)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Meanwhile, the module has the averages."""
        own = {name: parameter.detach().clone() for name, parameter in self._trained.items()}
        self._put(self.kept)
        try:
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, tensors: dict[str, Tensor]) -> None:
        for name, parameter in self._trained.items():
            parameter.copy_(tensors[name])


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> float:
    """Average over processes, then clip to a norm; returns the norm before clipping, that of all pieces."""
    held = list(parameters)
    average_gradients(held)
    norm = nn.utils.clip_grad_norm_(held, max_norm)
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)


def advance(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Step at a learning rate, and clear the gradients."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
