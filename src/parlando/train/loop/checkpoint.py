"""Training checkpoints: written whole or not at all, read without executing anything."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from parlando.core.errors import CheckpointError
from parlando.nn.checkpoint import load_strictly, read_tensors


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
    return state


def load_weights(module: nn.Module, path: Path) -> None:
    """Start a module from an exported model: a float32 copy, so that the file may be written again.

    Raises:
        FileMissingError: there is no such file.
        CheckpointError: the tensors do not fit the module.
    """
    tensors = {name: tensor.to(torch.float32, copy=True) for name, tensor in read_tensors(path).items()}
    load_strictly(module, tensors, str(path))
