"""Weights of the parts around the language model, in our own layout: a file of tensors each, strict both ways.

A training writes a part's settings beside its file (``flow.json``); a whole model has all of them in ``config.json``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from parlando.core.config import from_mapping, read_json
from parlando.models.cosyvoice.parts.campplus import CampPlus, CampPlusConfig
from parlando.models.cosyvoice.parts.flow import Flow, FlowConfig
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizer, SpeechTokenizerConfig
from parlando.nn.checkpoint import built, load_strictly, read_weights, save_tensors
from parlando.nn.quantized import few_bit_names, kept_as, quantize

M = TypeVar("M", bound=nn.Module)
C = TypeVar("C")
FLOW_FILE, SPEECH_TOKENIZER_FILE = "flow.safetensors", "speech_tokenizer.safetensors"
SPEAKER_FILE = "speaker.safetensors"
BATCH_COUNTER = ".num_batches_tracked"


def load_flow(folder: Path, config: FlowConfig | None = None, quantized: str | None = None) -> Flow:
    """The flow of a folder; without a config, that of the settings beside it. ``quantized`` is as in `load_part`.

    Raises:
        FileMissingError: the folder has none.
        ConfigError: the settings are unknown or do not fit each other.
        CheckpointError: tensors are missing, unexpected, misshapen or not finite.
    """
    return load_part(Flow, config or _settings(FlowConfig, folder / FLOW_FILE), folder / FLOW_FILE, quantized)


def load_speech_tokenizer(
    folder: Path, config: SpeechTokenizerConfig | None = None, quantized: str | None = None
) -> SpeechTokenizer:
    """The speech tokenizer of a folder; arguments and errors as for `load_flow`."""
    file = folder / SPEECH_TOKENIZER_FILE
    return load_part(SpeechTokenizer, config or _settings(SpeechTokenizerConfig, file), file, quantized)


def load_speaker(folder: Path, config: CampPlusConfig | None = None) -> CampPlus:
    """The speaker encoder of a folder; config and errors as for `load_flow`."""
    return load_part(CampPlus, config or _settings(CampPlusConfig, folder / SPEAKER_FILE), folder / SPEAKER_FILE)


def load_part(build: Callable[[C], M], config: C, file: Path, quantized: str | None = None) -> M:
    """A part filled from its file, on the CPU, in float32 whatever precision it is stored in.

    Its linear layers stay in few bits where they were ``quantized`` to some kind of them. Counters of batches, which
    only a training reads, may be left out. Errors are as for `load_flow`.
    """
    module = built(build, config, str(file))
    if quantized is not None:
        quantize(module, quantized, filled=False)
    weights = read_weights(file, counters=(BATCH_COUNTER, *kept_as(quantized)))
    few = few_bit_names(module)
    tensors = {
        key: tensor.float() if tensor.is_floating_point() and key not in few else tensor
        for key, tensor in weights.items()
    }
    state = module.state_dict()
    counters = {key: value for key, value in state.items() if key not in few and not value.is_floating_point()}
    load_strictly(module, {**counters, **tensors}, str(file))
    return module.eval()


def save_part(module: nn.Module, file: Path, dtype: torch.dtype = torch.float32) -> Path:
    """Write a part's weights, in ``dtype`` but for those in few bits; returns the file."""
    few = few_bit_names(module)
    kept = {key: tensor for key, tensor in module.state_dict().items() if key in few or tensor.is_floating_point()}
    return save_tensors({key: tensor if key in few else tensor.to(dtype) for key, tensor in kept.items()}, file)


def save_trained(module: nn.Module, config: Any, file: Path) -> Path:
    """Write a part's tensors (float32), and its settings beside them; returns the file of tensors."""
    file.with_suffix(".json").write_text(json.dumps(asdict(config), indent=2), encoding="utf-8")
    return save_part(module, file)


def _settings(kind: type[C], file: Path) -> C:
    path = file.with_suffix(".json")
    return from_mapping(kind, read_json(path), str(path))
