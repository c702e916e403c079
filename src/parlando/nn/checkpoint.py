"""Tensors by name: reading them from the usual files, and putting them into a module strictly."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from parlando.core.config import read_json
from parlando.core.errors import CheckpointError, FileMissingError


class SkipInitialisation(TorchFunctionMode):
    """While entered, random initialisation does nothing: for modules whose weights are about to be loaded.

    On the meta device, initialisation would import torch's decompositions, which takes seconds.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return named["tensor"] if "tensor" in named else args[0]
        return func(*args, **named)


_LISTED = 5
_INDEX_SUFFIX = ".index.json"


def read_tensors(path: Path, device: str | torch.device = "cpu") -> dict[str, Tensor]:
    """All tensors of a ``.safetensors``, ``.pth`` or ``.bin`` file, or of all the shards that an index names.

    Raises:
        FileMissingError: there is no such file, or a shard is missing.
        CheckpointError: a file is damaged, or holds something else than tensors by name.
    """
    if path.name.endswith(_INDEX_SUFFIX):
        return _read_shards(path, device)
    if not path.is_file():
        raise FileMissingError(path, "weights file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path, device=str(device))
        tensors = torch.load(path, map_location=device, weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise CheckpointError(f"{path}: cannot be read as tensors ({error}); fetch the file again") from error
    if not isinstance(tensors, Mapping) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise CheckpointError(f"{path}: expected tensors by name, found something else; save the model's state dict")
    return dict(tensors)


def _read_shards(index: Path, device: str | torch.device) -> dict[str, Tensor]:
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(Path(str(name)).name == name for name in places.values()):
        raise CheckpointError(f"{index}: 'weight_map' must give a file of this folder for every tensor")
    tensors: dict[str, Tensor] = {}
    for name in sorted(set(places.values())):
        tensors |= read_tensors(index.parent / name, device)
    missing = places.keys() - tensors.keys()
    if missing:
        raise CheckpointError(f"{index}: the shards lack {_listing(missing)}; fetch the files again")
    return tensors


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> Path:
    """Write a ``.safetensors`` file; tensors may be views of each other's memory. Returns the path."""
    save_file(
        {key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for key, tensor in tensors.items()},
        path,
    )
    return path


def load_strictly(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Put tensors into a module, which may be on the meta device; they keep their dtype and device.

    Raises:
        CheckpointError: some are missing, unexpected or misshapen; the message names them.
    """
    expected = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    misshapen = [
        f"{key} is {list(tensors[key].shape)}, not {list(shape)}"
        for key, shape in expected.items()
        if key in tensors and tuple(tensors[key].shape) != shape
    ]
    faults = {
        "missing": expected.keys() - tensors.keys(),
        "unexpected": tensors.keys() - expected.keys(),
        "misshapen": misshapen,
    }
    told = "; ".join(f"{len(keys)} {fault}: {_listing(keys)}" for fault, keys in faults.items() if keys)
    if told:
        raise CheckpointError(
            f"{where}: the tensors do not fit the model that the config describes: {told}; "
            "take both from the same model, or fetch it again"
        )
    module.load_state_dict(dict(tensors), assign=True)


def check_finite(tensors: Mapping[str, Tensor], where: str) -> None:
    """Refuse tensors with NaN or infinity.

    Raises:
        CheckpointError: which tensors have any.
    """
    broken = [key for key, tensor in tensors.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise CheckpointError(
            f"{where}: not finite: {_listing(broken)}; fetch the file again or train with a lower rate"
        )


def _listing(keys: Iterable[str]) -> str:
    names = sorted(keys)
    rest = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + rest
