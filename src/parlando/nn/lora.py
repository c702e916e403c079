"""Low-rank adapters (LoRA, Hu et al., 2021): linear layers whose weight stays, and learns a product of two thin ones.

Parameters are named as peft names them in its files, so that an adapter is a part of a module's state dict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from parlando.core.config import Positive, Share, Size
from parlando.core.errors import ConfigError, nearest

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


@dataclass(frozen=True)
class LoRAConfig:
    """An adapter: its product counts ``alpha / rank`` times, its input is dropped out by ``dropout`` while it learns.

    ``targets`` are name patterns of linear layers, by the end of the name (``q_proj``, ``audio_mlp.*``,
    ``layers.0.self_attn.*``). Of the modules named in ``whole``, such as an embedding with new tokens, the weight
    itself learns, and all of it is saved with the adapter.
    """

    rank: Size = 8
    alpha: Positive = 16.0
    dropout: Share = 0.0
    targets: tuple[str, ...] = ATTENTION
    whole: tuple[str, ...] = ()

    @property
    def scale(self) -> float:
        """What the product of the thin weights is multiplied with."""
        return self.alpha / self.rank


class LoRALinear(nn.Linear):
    """A linear layer with an adapter; ``weight`` and ``bias`` are the layer's own, and frozen.

    While it is not ``adapting``, it is the layer as it was.
    """

    adapting = True

    def __init__(self, linear: nn.Linear, rank: int, scale: float, dropout: float = 0.0) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features, self.scale = linear.in_features, linear.out_features, scale
        self.weight, self.bias = linear.weight.requires_grad_(False), linear.bias
        if self.bias is not None:
            self.bias.requires_grad_(False)
        like: dict[str, Any] = {"device": self.weight.device, "dtype": self.weight.dtype}
        self.lora_A = nn.Linear(linear.in_features, rank, bias=False, **like)
        self.lora_B = nn.Linear(rank, linear.out_features, bias=False, **like)
        nn.init.zeros_(self.lora_B.weight)  # so that training begins with the layer as it was
        self.lora_dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "*rest input"]) -> Float[Tensor, "*rest output"]:
        """The layer's output, and the adapter's."""
        own = functional.linear(x, self.weight, self.bias)
        return own + self.scale * self.lora_B(self.lora_A(self.lora_dropout(x))) if self.adapting else own

    @torch.no_grad()
    def merged_weight(self) -> Float[Tensor, "output input"]:
        """The weight of the one layer that computes both, in the dtype of the layer's own."""
        update = self.lora_B.weight.float() @ self.lora_A.weight.float()
        return (self.weight.float() + self.scale * update).to(self.weight.dtype)

    @torch.no_grad()
    def merge_in(self) -> nn.Linear:
        """That layer; it takes this one's place."""
        linear = nn.Linear(self.in_features, self.out_features, bias=False, device="meta")
        linear.weight, linear.bias = nn.Parameter(self.merged_weight(), requires_grad=False), self.bias
        return linear


def matches(name: str, pattern: str) -> bool:
    """Whether a name, or its end from some dot on, is what a pattern describes."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")


def chosen(names: Iterable[str], patterns: Iterable[str], what: str) -> list[str]:
    """The names that some pattern describes, in their order.

    Raises:
        ConfigError: a pattern describes none of them.
    """
    known = list(names)
    for pattern in patterns:
        if not any(matches(name, pattern) for name in known):
            ends = sorted({name.rpartition(".")[2] for name in known})
            raise ConfigError(
                f"{what}: nothing is called '{pattern}'; there are: {', '.join(ends)}.{nearest(pattern, ends)}"
            )
    return [name for name in known if any(matches(name, pattern) for pattern in patterns)]


def adapt(module: nn.Module, config: LoRAConfig) -> list[str]:
    """Freeze a module and give an adapter to the layers that the config names; returns their names.

    Raises:
        ConfigError: there is no such layer, or the rank is larger than a layer.
    """
    linears = {name: each for name, each in module.named_modules() if isinstance(each, nn.Linear)}
    parents = (
        name for name, each in module.named_modules() if name and any(True for _ in each.parameters(recurse=False))
    )
    whole = chosen(parents, config.whole, "adapter.whole")
    targets = [name for name in chosen(linears, config.targets, "adapter.targets") if name not in whole]
    for name in targets:
        largest = min(linears[name].in_features, linears[name].out_features)
        if config.rank > largest:
            raise ConfigError(f"adapter.rank: {config.rank} is more than '{name}' has; use at most {largest}")
    module.requires_grad_(False)
    for name in whole:
        module.get_submodule(name).requires_grad_(True)
    for name in targets:
        module.set_submodule(name, LoRALinear(linears[name], config.rank, config.scale, config.dropout))
    return targets


def adapted_layers(module: nn.Module) -> dict[str, LoRALinear]:
    """The layers of a module that have an adapter, by name."""
    return {name: each for name, each in module.named_modules() if isinstance(each, LoRALinear)}


@contextmanager
def without_adapter(module: nn.Module) -> Iterator[None]:
    """Meanwhile, the layers of a module compute what they did before they had an adapter."""
    layers = adapted_layers(module).values()
    for layer in layers:
        layer.adapting = False
    try:
        yield
    finally:
        for layer in layers:
            layer.adapting = True


def merge(module: nn.Module) -> None:
    """Make plain layers of all that have an adapter: they compute the same."""
    for name, layer in adapted_layers(module).items():
        module.set_submodule(name, layer.merge_in())


def merged_state(module: nn.Module) -> dict[str, Tensor]:
    """A module's tensors as they would be once merged, under the names that they had before."""
    layers = adapted_layers(module)
    thin = tuple(f"{name}.lora_" for name in layers)
    state = {name: tensor for name, tensor in module.state_dict().items() if not thin or not name.startswith(thin)}
    return state | {f"{name}.weight": layer.merged_weight() for name, layer in layers.items()}
