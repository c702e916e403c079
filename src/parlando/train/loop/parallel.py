"""Data parallelism in one page: equal weights everywhere from the start, gradients averaged after every backward pass.

Started by ``torchrun``; a single process pays nothing. Gloo on CPUs, NCCL on GPUs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn


@dataclass(frozen=True)
class Process:
    """One process of a training: its number in the group, and where it computes."""

    rank: int = 0
    device: str = "cpu"

    @property
    def leads(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0


ALONE = Process()


def start(device: str) -> Process:
    """Join the group that ``torchrun`` describes, if it does; on ``cuda`` every process has a GPU of its own."""
    if "WORLD_SIZE" not in os.environ:
        return Process(0, device)
    if not distributed.is_initialized():
        distributed.init_process_group("cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo")
    own = f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" else device
    return Process(distributed.get_rank(), own)


def size() -> int:
    """Number of processes in the group."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def share_first(tensors: Iterable[Tensor]) -> None:
    """Write the first process's values into the tensors of all others."""
    if size() == 1:
        return
    for tensor in tensors:
        distributed.broadcast(tensor, src=0)


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


def total(values: Sequence[float]) -> list[float]:
    """The sums of the group's values, in one message."""
    if size() == 1:
        return list(values)
    shared = torch.tensor(values, dtype=torch.float64)
    distributed.all_reduce(shared)
    return shared.tolist()


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
