"""The processes of one training: who they are, and what they tell each other.

Started by ``torchrun``; a single process pays nothing. Gloo on CPUs, NCCL on GPUs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.distributed.tensor import DTensor

_MESSAGE_ELEMENTS = 1 << 25


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
    own = f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" else device
    if own.startswith("cuda"):
        torch.cuda.set_device(own)
    if not distributed.is_initialized():
        distributed.init_process_group("cpu:gloo,cuda:nccl" if own.startswith("cuda") else "gloo")
    return Process(distributed.get_rank(), own)


def size() -> int:
    """Number of processes in the group."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def share_first(tensors: Iterable[Tensor]) -> None:
    """Write the first process's values into the tensors of all others; pieces of tensors are left alone."""
    if size() == 1:
        return
    for tensor in tensors:
        if not isinstance(tensor, DTensor):
            distributed.broadcast(tensor, src=0)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace every gradient by its mean over the group, in few messages; those of pieces are means already."""
    if size() == 1:
        return
    held = [p for p in parameters if p.requires_grad and not isinstance(p, DTensor)]
    for some in _in_messages(held):
        flat = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in some])
        distributed.all_reduce(flat)
        flat /= size()
        for parameter, part in zip(some, flat.split([p.numel() for p in some]), strict=True):
            parameter.grad = part.view_as(parameter)


def _in_messages(parameters: Iterable[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Parameters in their order, some at a time, so that no message takes the memory of all of them."""
    some: list[nn.Parameter] = []
    for parameter in parameters:
        if some and sum(p.numel() for p in some) + parameter.numel() > _MESSAGE_ELEMENTS:
            yield some
            some = []
        some.append(parameter)
    if some:
        yield some


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
    shared = torch.tensor(value, dtype=torch.float64)
    distributed.all_reduce(shared, op=distributed.ReduceOp.MAX)
    return float(shared)


def barrier() -> None:
    """Wait for all processes of the group."""
    if size() > 1:
        distributed.barrier()
