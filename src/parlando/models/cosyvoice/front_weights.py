"""Checkpoints of what listens to a prompt, in our own layout: the speech tokenizer and the speaker encoder.

Each is a file of tensors; a training writes its settings beside it, a whole model has them in ``config.json``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from parlando.core.config import from_mapping, read_json
from parlando.models.cosyvoice.campplus import CampPlus, CampPlusConfig
from parlando.models.cosyvoice.speech_tokenizer import SpeechTokenizer, SpeechTokenizerConfig
from parlando.nn.checkpoint import SkipInitialisation, check_finite, load_strictly, read_tensors, save_tensors

TOKENIZER_FILE, SPEAKER_FILE = "speech_tokenizer.safetensors", "speaker.safetensors"
TOKENIZER_SETTINGS, SPEAKER_SETTINGS = "speech_tokenizer.json", "speaker.json"
M = TypeVar("M", bound=nn.Module)
C = TypeVar("C")


def save_speech_tokenizer(tokenizer: SpeechTokenizer, folder: Path) -> Path:
    """Write the tensors (float32) and the settings of a tokenizer; returns the file of tensors."""
    _write_settings(tokenizer.config, folder / TOKENIZER_SETTINGS)
    return _write(tokenizer, folder / TOKENIZER_FILE)


def load_speech_tokenizer(
    folder: Path, config: SpeechTokenizerConfig | None = None, device: str | torch.device = "cpu"
) -> SpeechTokenizer:
    """The tokenizer of a folder, in the dtype it is stored in; without a config, that of the settings beside it.

    Raises:
        FileMissingError: the folder has none.
        ConfigError: the settings are unknown or do not fit each other.
        CheckpointError: tensors are missing, unexpected, misshapen or not finite.
    """
    config = config or _read_settings(SpeechTokenizerConfig, folder / TOKENIZER_SETTINGS)
    return _filled(lambda: SpeechTokenizer(config), folder / TOKENIZER_FILE, device)


def save_speaker(encoder: CampPlus, folder: Path) -> Path:
    """Write the tensors (float32) and the settings of a speaker encoder; returns the file of tensors."""
    _write_settings(encoder.config, folder / SPEAKER_SETTINGS)
    return _write(encoder, folder / SPEAKER_FILE)


def load_speaker(folder: Path, config: CampPlusConfig | None = None, device: str | torch.device = "cpu") -> CampPlus:
    """The speaker encoder of a folder, as `load_speech_tokenizer` reads a tokenizer.

    Raises:
        FileMissingError: the folder has none.
        ConfigError: the settings are unknown or do not fit each other.
        CheckpointError: tensors are missing, unexpected, misshapen or not finite.
    """
    config = config or _read_settings(CampPlusConfig, folder / SPEAKER_SETTINGS)
    return _filled(lambda: CampPlus(config), folder / SPEAKER_FILE, device)


def _write(module: nn.Module, path: Path) -> Path:
    """Counters of batches, which only a training reads, stay out."""
    return save_tensors({k: t.float() for k, t in module.state_dict().items() if t.is_floating_point()}, path)


def _write_settings(config: SpeechTokenizerConfig | CampPlusConfig, path: Path) -> None:
    path.write_text(json.dumps(asdict(config), indent=2), encoding="utf-8")


def _read_settings(kind: type[C], path: Path) -> C:
    return from_mapping(kind, read_json(path), str(path))


def _filled(build: Callable[[], M], path: Path, device: str | torch.device) -> M:
    tensors = read_tensors(path, device)
    check_finite(tensors, str(path))
    with SkipInitialisation():
        module = build().eval().to(device)
    counters = {key: value for key, value in module.state_dict().items() if not value.is_floating_point()}
    load_strictly(module, {**counters, **tensors}, str(path))
    return module
