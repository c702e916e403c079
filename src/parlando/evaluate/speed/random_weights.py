"""Modules of any size with random weights, made in the time that it takes to write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from parlando.nn.checkpoint import SkipInitialisation

M = TypeVar("M", bound=nn.Module)
BLOCK = 1_000_003  # numbers that are drawn; a prime, so that no two rows of a matrix are equal
SPREAD = 0.02


def with_random_weights(make: Callable[[], M], dtype: torch.dtype, device: str = "cpu") -> M:
    """What ``make`` makes, in this dtype: norms at one, biases at zero, and matrices that repeat a block of normal
    numbers, rounded to half precision. Drawing half a billion of them takes longer than measuring their speed.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with SkipInitialisation(), torch.device(device):
            module = make()
    finally:
        torch.set_default_dtype(before)
    module.to(dtype)
    block = SPREAD * torch.randn(BLOCK, generator=torch.Generator().manual_seed(0))
    block = block.half().to(device, dtype)
    for name, weight in module.named_parameters():
        if weight.dim() > 1:
            _repeat(weight.data.view(-1), block)
        else:
            nn.init.constant_(weight, 0.0 if name.endswith("bias") else 1.0)
    return module.eval().requires_grad_(False)


def _repeat(weight: Tensor, block: Tensor) -> None:
    for part in weight.split(len(block)):
        part.copy_(block[: len(part)])
