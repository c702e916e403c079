"""Adapters as the library peft keeps them: ``adapter_config.json`` and ``adapter_model.safetensors``, both ways.

A family's names differ from those of its published model, for which such a file is made; whoever calls translates them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from parlando.core.config import from_known, read_json
from parlando.core.errors import CheckpointError
from parlando.core.folder import whole_folder, write_json
from parlando.nn.checkpoint import first_file, read_weights, save_tensors
from parlando.nn.lora import LoRAConfig, LoRALinear, merge

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
WEIGHTS_FILES = (WEIGHTS_FILE, "adapter_model.bin")
_PREFIX = "base_model.model."
_A, _B = ".lora_A.weight", ".lora_B.weight"
_CHANGES_THE_BASE = ("pissa", "olora", "corda", "loftq")
_LAYER = re.compile(r".*\blayers\.\d+\.")

M = TypeVar("M", bound=nn.Module)
Renaming = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Names:
    """How a family translates tensors: to the published model's names, and from them to its own."""

    published: Renaming
    own: Renaming


@dataclass(frozen=True)
class AdapterFolder:
    """Where an adapter is kept, and how a model takes it on.

    ``merged`` into the weights, it costs nothing; beside them it costs two thin products a layer, and the weights stay
    what they are, which in half precision they otherwise only nearly do.
    """

    path: Path
    merged: bool = True

    def given_to(self, module: M, names: Names) -> M:
        """A module with the adapter.

        Raises:
            FileMissingError, ConfigError: as `read_adapter`.
            CheckpointError: as there, or the adapter is of another model.
        """
        apply_adapter(module, read_adapter(self.path, names), str(self.path), self.merged)
        return module


@dataclass(frozen=True)
class _Peft:
    """What of peft's config decides what is computed."""

    peft_type: str
    r: int = 8
    lora_alpha: int | float = 8
    use_rslora: bool = False
    use_dora: bool = False
    fan_in_fan_out: bool = False
    bias: str = "none"
    init_lora_weights: bool | str | None = True
    rank_pattern: Mapping[str, int] | None = None
    alpha_pattern: Mapping[str, int | float] | None = None

    def scale(self, layer: str) -> float:
        """What the product of a layer's thin weights is multiplied with."""
        rank, alpha = _of(self.rank_pattern, layer, self.r), _of(self.alpha_pattern, layer, self.lora_alpha)
        return float(alpha / (rank**0.5 if self.use_rslora else rank))


@dataclass(frozen=True)
class Adapter:
    """Thin weights, and weights that stand for the model's own, by our names; and the scale of every adapted layer."""

    tensors: Mapping[str, Tensor]
    scales: Mapping[str, float]


def write_adapter(module: nn.Module, config: LoRAConfig, folder: Path, names: Names, base: str) -> Path:
    """Keep what a module learned in its adapters, and in weights that learned as a whole; returns the folder.

    Raises:
        FileMissingError: the folder to put it in is not there.
    """
    learned = {name: each for name, each in module.state_dict().items() if name in _learning(module)}
    tensors = names.published(learned)
    linears = {f"{name}.weight": each.weight for name, each in module.named_modules() if isinstance(each, nn.Linear)}
    targets = _targets(
        {name.removesuffix(_A) for name in tensors if name.endswith(_A)},
        (name.removesuffix(".weight") for name in names.published(linears) if not name.endswith((_A, _B))),
    )
    whole = sorted({name.rpartition(".")[0] for name in tensors if not name.endswith((_A, _B))})
    with whole_folder(folder) as partial:
        save_tensors({f"{_PREFIX}{name}": each for name, each in tensors.items()}, partial / WEIGHTS_FILE)
        write_json(
            partial / CONFIG_FILE,
            {**_described(config, base), "target_modules": targets, "modules_to_save": whole or None},
        )
    return folder


def _learning(module: nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


def _described(config: LoRAConfig, base: str) -> dict[str, Any]:
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": base,
        "inference_mode": True,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": config.dropout,
        "bias": "none",
        "fan_in_fan_out": False,
        "use_rslora": False,
        "use_dora": False,
        "init_lora_weights": True,
    }


def _targets(layers: set[str], linears: Iterable[str]) -> list[str]:
    """Names by which peft finds the layers and no others: without their numbers, where that says the same."""
    ends: dict[str, set[str]] = defaultdict(set)
    for name in linears:
        ends[_end(name)].add(name)
    return sorted({_end(name) if ends[_end(name)] <= layers else name for name in layers})


def _end(name: str) -> str:
    return _LAYER.sub("", name)


def read_adapter(folder: Path, names: Names) -> Adapter:
    """An adapter in peft's layout.

    Raises:
        FileMissingError: a file is not there.
        ConfigError: its config is damaged.
        CheckpointError: it is of a kind that is not computed here, or its tensors are damaged.
    """
    path = folder / CONFIG_FILE
    config = from_known(_Peft, read_json(path), str(path))
    _check_kind(config, str(path))
    file = first_file(folder, WEIGHTS_FILES, "adapter weights")
    tensors = {name.removeprefix(_PREFIX): each for name, each in read_weights(file).items()}
    own = {name: dict(names.own({name: each})) for name, each in tensors.items()}
    scales = {
        next(iter(own[name])).removesuffix(_A): config.scale(name.removesuffix(_A))
        for name in tensors
        if name.endswith(_A)
    }
    return Adapter({name: each for translated in own.values() for name, each in translated.items()}, scales)


def _check_kind(config: _Peft, where: str) -> None:
    faults = {
        f"peft_type {config.peft_type}": config.peft_type != "LORA",
        "use_dora": config.use_dora,
        "fan_in_fan_out": config.fan_in_fan_out,
        f"bias '{config.bias}'": config.bias != "none",
        f"init_lora_weights '{config.init_lora_weights}'": str(config.init_lora_weights).startswith(_CHANGES_THE_BASE),
    }
    wrong = [fault for fault, is_there in faults.items() if is_there]
    if wrong:
        raise CheckpointError(f"{where}: {wrong[0]} is not supported; use a plain LoRA adapter, or merge it with peft")


def apply_adapter(module: nn.Module, adapter: Adapter, where: str, merged: bool = True) -> None:
    """Give a module an adapter; ``merged`` into its weights, so that it is as fast as without.

    Raises:
        CheckpointError: the adapter is of another model.
    """
    given, used = dict(adapter.tensors), set()
    for name, scale in adapter.scales.items():
        layer = _layer(module, name, where)
        if isinstance(layer, LoRALinear):
            raise CheckpointError(f"{where}: '{name}' has an adapter already; merge one of them, or leave it out")
        down, up = given.get(name + _A), given.get(name + _B)
        if down is None or up is None or (down.shape[1], up.shape[0]) != (layer.in_features, layer.out_features):
            raise CheckpointError(f"{where}: the adapter of '{name}' does not fit this model; use that of its base")
        thin = LoRALinear(layer, len(down), scale).requires_grad_(False)
        thin.lora_A.weight.copy_(down)
        thin.lora_B.weight.copy_(up)
        module.set_submodule(name, thin)
        used |= {name + _A, name + _B}
    _replace(module, {name: each for name, each in given.items() if name not in used}, where)
    if merged:
        merge(module)


def _layer(module: nn.Module, name: str, where: str) -> nn.Linear:
    found = dict(module.named_modules()).get(name)
    if not isinstance(found, nn.Linear):
        raise CheckpointError(f"{where}: this model has no layer '{name}'; use the adapter with the model it is of")
    return found


@torch.no_grad()
def _replace(module: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Put in weights that were learned as a whole."""
    parameters = dict(module.named_parameters())
    for name, tensor in weights.items():
        if name not in parameters or parameters[name].shape != tensor.shape:
            raise CheckpointError(f"{where}: '{name}' is not of this model; use the adapter with the model it is of")
        parameters[name].data = tensor.to(parameters[name])


def _of(patterns: Mapping[str, Any] | None, layer: str, usual: Any) -> Any:
    """The value of the first pattern that a layer's name ends in, as peft looks for it."""
    found = (value for key, value in (patterns or {}).items() if re.match(rf"(.*\.)?({key})$", layer))
    return next(found, usual)
