"""Training checkpoints: written whole or not at all, read without executing anything."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn

from parlando.core.errors import CheckpointError
from parlando.nn.checkpoint import load_strictly, read_tensors

_MOST_LETTERS = 300


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` beside its final name, then move it there."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of plain tensors and numbers.

    Raises:
        CheckpointError: the file is not a checkpoint.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"'{path}' is not a valid checkpoint; delete it to start again") from error
    return _from_before_objectives(state) if "task" in state else state


def resume(path: Path, restore: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Read a checkpoint and have its state restored.

    Raises:
        CheckpointError: the file is not a checkpoint, or not one of this training.
    """
    state = load_checkpoint(path)
    try:
        restore(state)
    except (RuntimeError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"'{path}' does not fit this training: {shorten(str(error), _MOST_LETTERS)}; "
            "resume it with the recipe that it was begun with, or name another folder"
        ) from error
    return state


def _from_before_objectives(state: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint as it was written when every task had a step of its own (until 0.1)."""
    task, learners = dict(state["task"]), {"optimizer": "model", "judge_optimizer": "discriminators"}
    optimizers = {learners[name]: task.pop(name) for name in learners if name in task}
    if "revoicer" in task:
        task["network"] = task.pop("revoicer")
    if "judges" in task:
        judges = task.pop("judges")
        task["discriminators"] = {name.replace(".judge.", ".score."): tensor for name, tensor in judges.items()}
    return {**state, "modules": task, "optimizers": optimizers}


def load_weights(module: nn.Module, path: Path) -> None:
    """Start a module from an exported model: a float32 copy, so that the file may be written again.

    Raises:
        FileMissingError: there is no such file.
        CheckpointError: the tensors do not fit the module.
    """
    load_strictly(module, read_float32(path), str(path))


def read_float32(path: Path) -> dict[str, Tensor]:
    """A float32 copy of a file's tensors.

    Raises:
        FileMissingError: there is no such file.
        CheckpointError: it is damaged.
    """
    return float32_copy(read_tensors(path))


def float32_copy(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors in float32, and nobody else's."""
    return {name: tensor.detach().to(torch.float32, copy=True) for name, tensor in tensors.items()}
