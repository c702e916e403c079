"""Layers whose weights are kept in fewer bits, and the exchange of a module's own for them (`nn.few_bits`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.core.errors import ConfigError
from parlando.nn.few_bits import Kind, format_for
from parlando.nn.lora import adapted_layers

TENSORS = ("kept", "scale")
_FIRST_WITH_FP8 = (8, 9)


def kept_as(kind: str | None) -> tuple[str, ...]:
    """How the names end of a file's tensors that hold weights in fewer bits, and are not of floating point."""
    return () if kind is None else (f".{TENSORS[0]}",)


def few_bit_names(module: nn.Module) -> frozenset[str]:
    """The names of a module's tensors that are kept as they are, whatever the rest is cast to."""
    few = (name for name, layer in module.named_modules() if isinstance(layer, FewBits))
    return frozenset(f"{name}.{tensor}" for name in few for tensor in TENSORS)


class FewBits(nn.Module):
    """What such layers share: what is kept, and scales that a cast leaves as they are; ``dtype`` follows the cast."""

    def __init__(self, kind: str, outputs: int, inputs: int) -> None:
        super().__init__()
        self.format, self.dtype = format_for(kind, inputs), torch.float32
        self.kept: Tensor
        self.scale: Tensor
        for name, shape, dtype in zip(TENSORS, self.format.shapes(outputs, inputs), self.format.dtypes(), strict=True):
            self.register_buffer(name, torch.empty(shape, dtype=dtype, device="meta"))

    def fill(self, weight: Float[Tensor, "output input"]) -> None:
        """Keep a matrix."""
        self.kept, self.scale = self.format.encode(weight)
        self.dtype = weight.dtype

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FewBits:
        scale = self.scale
        super()._apply(fn, recurse)
        self.dtype, self.scale = fn(scale.new_zeros(0, dtype=self.dtype)).dtype, scale.to(self.kept.device)
        return self


class QuantizedLinear(FewBits):
    """A linear layer, for inference; its weight is widened for every call."""

    def __init__(self, kind: str, inputs: int, outputs: int, bias: Tensor | None) -> None:
        super().__init__(kind, outputs, inputs)
        self.in_features, self.out_features = inputs, outputs
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)

    def dense(self, dtype: torch.dtype) -> Float[Tensor, "output input"]:
        """The weight that is meant."""
        return self.format.decode(self.kept, self.scale, dtype)[: self.out_features]

    def forward(self, x: Float[Tensor, "*rest input"]) -> Float[Tensor, "*rest output"]:
        """As the linear layer."""
        return functional.linear(x, self.dense(x.dtype), self.bias)


class QuantizedEmbedding(FewBits):
    """A table of rows in int8, each with its scale; rows come in the dtype that the module was cast to."""

    def __init__(self, rows: int, dim: int) -> None:
        super().__init__("int8", rows, dim)

    def forward(self, ids: Int[Tensor, "*rest"]) -> Float[Tensor, "*rest dim"]:
        """The rows of these ids."""
        return self.kept[ids].to(self.dtype) * self.scale[ids].to(self.dtype)[..., None]


def summed_rows(table: nn.Embedding | QuantizedEmbedding, ids: Int[Tensor, "*rest bag"]) -> Float[Tensor, "*rest dim"]:
    """The sum of a table's rows over the last dimension."""
    if isinstance(table, QuantizedEmbedding):
        return table(ids).sum(dim=-2)
    return functional.embedding_bag(ids, table.weight, mode="sum")


@torch.no_grad()
def quantize(module: nn.Module, kind: str, filled: bool = True) -> None:
    """Exchange a module's linear layers and embeddings, one after the other, for those of a kind.

    Unless ``filled``, or where a layer is on the meta device, they are to be loaded into and have no memory yet.

    Raises:
        ConfigError: a layer has an adapter beside it.
    """
    if adapted_layers(module):
        raise ConfigError(
            "an adapter beside the weights cannot be quantised; merge it into them, or leave quantize out"
        )
    for name, layer in list(module.named_modules()):
        if type(layer) is nn.Linear or (type(layer) is nn.Embedding and kind != "half"):
            module.set_submodule(name, _exchanged(layer, kind, filled))


def _exchanged(layer: Any, kind: str, filled: bool) -> FewBits:
    made: FewBits
    if isinstance(layer, nn.Linear):
        made = QuantizedLinear(kind, layer.in_features, layer.out_features, layer.bias)
    else:
        made = QuantizedEmbedding(layer.num_embeddings, layer.embedding_dim)
    if filled and not layer.weight.is_meta:
        made.fill(layer.weight.detach())
    return made


def check_kind(asked: Kind | None, stored: Kind | None, where: str) -> None:
    """Whether a model whose weights are stored as some kind can be kept as the kind that is asked for.

    Raises:
        ConfigError: it is stored as another kind.
    """
    if asked is not None and stored not in (None, asked):
        raise ConfigError(
            f"{where} is stored as {stored} and cannot become {asked}; take it in full precision for that"
        )


def check_arithmetic(kind: Kind | None, device: torch.device, where: str) -> None:
    """Whether a device computes with a kind.

    Raises:
        ConfigError: it does not.
    """
    if kind == "fp8" and not _has_fp8(device):
        raise ConfigError(f"{where}: fp8 needs a GPU that computes with it (compute capability 8.9 or later); use int8")


def _has_fp8(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= _FIRST_WITH_FP8


def is_quantized(module: nn.Module) -> bool:
    """Whether some layer of a module is kept in fewer bits."""
    return any(isinstance(layer, FewBits) for layer in module.modules())
