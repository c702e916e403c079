"""How a task's modules lie over the processes: a copy on each (DDP), in pieces (FSDP2), or copies in pieces (HSDP).

Which parts are gathered, recomputed and compiled each by itself is for the task to say (`Task.blocks`).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils.checkpoint import checkpoint

from parlando.core.errors import ConfigError
from parlando.nn.placement import has_matrix_units
from parlando.train.loop import parallel


@dataclass(frozen=True)
class ParallelConfig:
    """How a training lies over its processes, and what it trades for memory and speed.

    ``ddp`` keeps all weights on every process, ``fsdp`` a piece of them, ``hsdp`` a piece on each of ``shard_size``
    processes (those of a node, if it is not given) and copies of that. ``precision`` is that of products: ``auto`` is
    bfloat16 where the device has units for it; weights and optimisers are float32 always.
    ``checkpoint_activations`` computes every block's activations again in the backward pass, for a third more work.
    """

    strategy: Literal["ddp", "fsdp", "hsdp"] = "ddp"
    shard_size: int | None = None
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    checkpoint_activations: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        if self.shard_size is not None and self.strategy != "hsdp":
            raise ConfigError(f"parallel.shard_size is for strategy 'hsdp', not '{self.strategy}'; leave it out")
        if self.shard_size is not None and self.shard_size < 1:
            raise ConfigError(f"parallel.shard_size must be at least 1, got {self.shard_size}")

    @property
    def needs_blocks(self) -> bool:
        """Whether it asks for something that is done block by block."""
        return self.strategy != "ddp" or self.checkpoint_activations or self.compile

    def products(self, device: torch.device, on: Collection[str]) -> torch.dtype:
        """The precision of products on a device, for a task that allows bfloat16 on some types of devices."""
        has_units = self.precision == "bfloat16" or device.type == "cuda" or has_matrix_units()
        narrow = self.precision != "float32" and device.type in on and has_units
        return torch.bfloat16 if narrow else torch.float32


def make_mesh(config: ParallelConfig, device: torch.device) -> DeviceMesh | None:
    """Copies × pieces, or pieces alone; None where every process has everything.

    Raises:
        ConfigError: the processes cannot be put into groups of that size.
    """
    if config.strategy == "ddp" or not torch.distributed.is_initialized():
        return None
    processes = parallel.size()
    if config.strategy == "fsdp":
        return init_device_mesh(device.type, (processes,), mesh_dim_names=("shard",))
    pieces = config.shard_size or int(os.environ.get("LOCAL_WORLD_SIZE", processes))
    if processes % pieces:
        raise ConfigError(
            f"parallel.shard_size: {processes} processes do not make groups of {pieces}; use a divisor of {processes}"
        )
    shape = (processes // pieces, pieces)
    return init_device_mesh(device.type, shape, mesh_dim_names=("replicate", "shard"))


def lay_out(
    modules: Iterable[nn.Module],
    blocks: Sequence[nn.Module],
    config: ParallelConfig,
    device: torch.device,
    products: torch.dtype,
) -> None:
    """Put modules onto a device, equal on all processes, in the way that the config says.

    Raises:
        ConfigError: the task has no blocks for what is asked for.
    """
    if config.needs_blocks and not blocks:
        raise ConfigError(
            "this training cannot be sharded, compiled or recomputed, which only language models can; "
            "use parallel.strategy = 'ddp' without checkpoint_activations and compile"
        )
    mesh = make_mesh(config, device)
    for block in blocks:
        if config.checkpoint_activations:
            # Not a wrapper: names in checkpoints stay those of the model.
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        if config.compile:
            block.compile(dynamic=True)
        if mesh is not None:
            _shard(block, device, mesh, products)
    for module in modules:
        if mesh is not None and any(block in set(module.modules()) for block in blocks):
            # What is outside of the blocks stays float32: the residual stream is, as on one process.
            _shard(module, device, mesh, torch.float32)
        else:
            _copy(module, device)


def _copy(module: nn.Module, device: torch.device) -> None:
    module.to(device)
    parallel.share_first(module.state_dict().values())


def _shard(module: nn.Module, device: torch.device, mesh: DeviceMesh, dtype: torch.dtype) -> None:
    _copy(module, device)
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
    fully_shard(module, mesh=mesh, mp_policy=policy)


def put_away(modules: Iterable[nn.Module]) -> None:
    """Free what a pass without a backward pass left gathered; changed weights would be overlooked otherwise."""
    for module in modules:
        for part in module.modules():
            if isinstance(part, FSDPModule):
                part.reshard()


def laid_out_like(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, which every process has, in the pieces of another."""
    if not isinstance(like, DTensor):
        return tensor
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)


@contextmanager
def whole(modules: Iterable[nn.Module], leads: bool) -> Iterator[None]:
    """Meanwhile, the modules of the process that leads hold whole parameters, on the host. All processes must enter."""
    held: list[tuple[nn.Module, str, Any]] = [
        (owner, name, parameter)
        for module in modules
        for owner in module.modules()
        for name, parameter in owner._parameters.items()
        if isinstance(parameter, DTensor)
    ]
    try:
        for owner, name, parameter in held:
            gathered = parameter.full_tensor().detach().cpu()
            if leads:
                owner._parameters[name] = nn.Parameter(gathered, requires_grad=parameter.requires_grad)
        yield
    finally:
        for owner, name, parameter in held:
            owner._parameters[name] = parameter
