"""Weights of the parts around the language model, in our own layout: one file a part, strict both ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from parlando.nn.checkpoint import SkipInitialisation, check_finite, load_strictly, read_tensors, save_tensors

M = TypeVar("M", bound=nn.Module)
FLOW_FILE, HIFT_FILE = "flow.safetensors", "hift.safetensors"
SPEECH_TOKENIZER_FILE, SPEAKER_FILE = "speech_tokenizer.safetensors", "speaker.safetensors"


def load_part(build: Callable[[], M], path: Path) -> M:
    """A part filled from its file, on the CPU, in float32 whatever precision it is stored in.

    Raises:
        FileMissingError: there is no such file.
        CheckpointError: tensors are missing, unexpected, misshapen or not finite.
    """
    with SkipInitialisation():
        module = build()
    tensors = {key: t.float() if t.is_floating_point() else t for key, t in read_tensors(path).items()}
    check_finite(tensors, str(path))
    load_strictly(module, tensors, str(path))
    return module.eval()


def save_part(module: nn.Module, path: Path, dtype: torch.dtype = torch.float32) -> Path:
    """Write a part's tensors, the floating-point ones in ``dtype``; returns the file."""
    state = module.state_dict()
    return save_tensors({key: t.to(dtype) if t.is_floating_point() else t for key, t in state.items()}, path)
