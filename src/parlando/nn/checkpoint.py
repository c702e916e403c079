"""Tensors by name: reading them from the usual files, and putting them into a module strictly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from parlando.core.config import located, read_json
from parlando.core.errors import CheckpointError, ConfigError, FileMissingError

C = TypeVar("C")
M = TypeVar("M", bound=nn.Module)


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
_STATE_DICT = "save the model's state dict"
# What training code writes beside the tensors, such as the epoch.
_REMARKS = (int, float, str, type(None))


def built(build: Callable[[C], M], config: C, where: str) -> M:
    """A module whose weights are about to be loaded.

    Raises:
        ConfigError: each setting may be sound, but together they make no module.
    """
    try:
        with SkipInitialisation(), located(where):
            return build(config)
    except (ArithmeticError, AssertionError, IndexError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ConfigError(f"{where}: these settings do not make a model ({reason}); fetch the config again") from error


def first_file(folder: Path, names: Iterable[str], what: str) -> Path:
    """The first of these files that a folder has.

    Raises:
        FileMissingError: it has none of them.
    """
    listed = tuple(names)
    found = next((folder / name for name in listed if (folder / name).is_file()), None)
    if found is None:
        raise FileMissingError(folder / listed[0], f"{what} ({' or '.join(listed)})")
    return found


def read_tensors(path: Path, device: str | torch.device = "cpu") -> dict[str, Tensor]:
    """All tensors of a ``.safetensors``, ``.pt``, ``.pth`` or ``.bin`` file, or of all the shards that an index names.

    Nothing but tensors and plain values is unpickled; plain values beside the tensors are left out.

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
        entries = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to mean
        raise CheckpointError(f"{path}: cannot be read as tensors ({error}); fetch the file again") from error
    if not isinstance(entries, Mapping):
        raise CheckpointError(f"{path}: expected tensors by name, found {type(entries).__name__}; {_STATE_DICT}")
    tensors = {str(key): value for key, value in entries.items() if isinstance(value, Tensor)}
    others = [key for key, value in entries.items() if not isinstance(value, (Tensor, *_REMARKS))]
    if others or not tensors:
        found = f"'{others[0]}', a {type(entries[others[0]]).__name__}" if others else "no tensor"
        raise CheckpointError(f"{path}: expected tensors by name, found {found}; {_STATE_DICT}")
    return tensors


def read_weights(path: Path, device: str | torch.device = "cpu", counters: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """`read_tensors` of a file of weights; those whose names end in one of ``counters`` may be of any kind.

    Raises:
        FileMissingError, CheckpointError: as there; or a tensor is not of floating point, or not finite.
    """
    tensors = read_tensors(path, device)
    weights = {key: tensor for key, tensor in tensors.items() if not key.endswith(counters)} if counters else tensors
    wrong = [f"{key} is {tensor.dtype}" for key, tensor in weights.items() if not tensor.is_floating_point()]
    if wrong:
        raise CheckpointError(
            f"{path}: weights must be floating-point numbers: {_listing(wrong).replace('torch.', '')}; "
            "fetch the file again, save the weights as float32, bfloat16 or float16, or take a quantised model in full "
            "precision"
        )
    check_finite(weights, str(path))
    return tensors


def _read_shards(index: Path, device: str | torch.device) -> dict[str, Tensor]:
    places = shard_places(index)
    tensors: dict[str, Tensor] = {}
    for name in sorted(set(places.values())):
        tensors |= read_tensors(index.parent / name, device)
    missing = places.keys() - tensors.keys()
    if missing:
        raise CheckpointError(f"{index}: the shards lack {_listing(missing)}; fetch the files again")
    return tensors


def shard_places(index: Path) -> dict[str, str]:
    """The file of each tensor, as an index of shards gives it.

    Raises:
        CheckpointError: it does not.
    """
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not places or not all(Path(str(name)).name == name for name in places.values()):
        raise CheckpointError(f"{index}: 'weight_map' must give a file of this folder for every tensor")
    return places


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> Path:
    """Write a ``.safetensors`` file; tensors may be views of each other's memory. Returns the path."""
    save_file(
        {key: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for key, tensor in tensors.items()},
        path,
    )
    return path


def exact_dtype(module: nn.Module, without: Collection[str] = ()) -> torch.dtype:
    """Half precision if that holds a module's weights exactly, as it does for what was saved in it; else float32."""
    state = module.state_dict()
    weights = (each for name, each in state.items() if each.is_floating_point() and name not in without)
    return torch.float16 if all(torch.equal(each.half().float(), each.float()) for each in weights) else torch.float32


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
    broken = [key for key, tensor in tensors.items() if tensor.is_floating_point() and not _is_finite(tensor)]
    if broken:
        raise CheckpointError(
            f"{where}: not finite: {_listing(broken)}; fetch the file again or train with a lower rate"
        )


def _is_finite(tensor: Tensor) -> bool:
    """By the extremes, which are not finite where any number is not, and cost a tenth of asking each number."""
    wide = tensor if tensor.element_size() > 1 else tensor.float()
    return tensor.numel() == 0 or all(bool(extreme.isfinite()) for extreme in wide.aminmax())


def _listing(keys: Iterable[str]) -> str:
    names = sorted(keys)
    rest = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + rest
