"""Data parallelism in one page: equal weights everywhere, gradients averaged after every backward pass.

Started by ``torchrun``; a single process pays nothing. Gloo on CPUs, NCCL on GPUs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
from torch import distributed, nn


def start(device: str) -> tuple[int, int]:
    """Join the group that ``torchrun`` describes; returns (rank, number of processes), (0, 1) without one."""
    if "WORLD_SIZE" not in os.environ:
        return 0, 1
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return distributed.get_rank(), distributed.get_world_size()


def size() -> int:
    """Number of processes in the group."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the group, in one message."""
    if size() == 1:
        return
    held = [p for p in parameters if p.requires_grad]
    flat = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in held])
    distributed.all_reduce(flat)
    flat /= size()
    for parameter, part in zip(held, flat.split([p.numel() for p in held]), strict=True):
        parameter.grad = part.view_as(parameter)


def any_process(flag: bool) -> bool:
    """Whether any process of the group says so; all get the same answer."""
    return largest(float(flag)) > 0


def largest(value: float) -> float:
    """The largest of the group's values."""
    if size() == 1:
        return value
    shared = torch.tensor(value)
    distributed.all_reduce(shared, op=distributed.ReduceOp.MAX)
    return float(shared)
