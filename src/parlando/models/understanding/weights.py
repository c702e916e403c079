"""The folder of an understanding model, and towers of published layouts: Higgs Audio's, Qwen2-Audio's, Whisper's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from parlando.core.config import from_mapping, read_json, to_mapping
from parlando.core.errors import CheckpointError, ConfigError
from parlando.core.folder import write_json
from parlando.models.understanding.config import EarConfig, TowerConfig, UnderstandingConfig
from parlando.models.understanding.network import UnderstandingNetwork
from parlando.nn.checkpoint import built, first_file, load_strictly, read_weights, save_tensors

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
KIND: Final = "understanding"
_FILES = (
    *(f"{WEIGHTS_FILE}.index.json", WEIGHTS_FILE),
    *("pytorch_model.bin.index.json", "pytorch_model.bin"),
)
_PUBLISHED_HOP, _PUBLISHED_FFT = 160, 400
_TOWERS: Mapping[str, tuple[str, ...]] = {
    "audio_encoder_config": ("audio_tower.", "model.audio_tower."),
    "audio_config": ("audio_tower.", "model.audio_tower."),
    "": ("model.encoder.", "encoder."),
}
"""Where a config says the tower's sizes, and how its tensors are named then; Whisper's config is the tower's own."""
_PROJECTOR = "audio_encoder_proj."


def is_understanding(folder: Path) -> bool:
    """Whether a folder holds an understanding model of ours."""
    path = folder / CONFIG_FILE
    return path.is_file() and read_json(path).get("kind") == KIND


def read_config(folder: Path) -> UnderstandingConfig:
    """The sizes of an understanding model.

    Raises:
        FileMissingError: there is none.
        CheckpointError: the folder holds something else.
        ConfigError: a setting is unknown or wrong.
    """
    path = folder / CONFIG_FILE
    data = read_json(path)
    if data.pop("kind", None) != KIND:
        raise CheckpointError(f"'{folder}' holds no understanding model; train one: parlando train understanding")
    return from_mapping(UnderstandingConfig, data, str(path))


def load_network(folder: Path, device: str | torch.device = "cpu") -> UnderstandingNetwork:
    """The network of a folder that a training wrote; errors as for `read_config`, or of the tensors."""
    config = read_config(folder)
    network = built(UnderstandingNetwork, config, str(folder))
    load_strictly(network, read_weights(folder / WEIGHTS_FILE), str(folder / WEIGHTS_FILE))
    return network.to(device).eval()


def save_network(network: UnderstandingNetwork, folder: Path) -> Path:
    """Write config and tensors; returns the tensors' file."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CONFIG_FILE, {"kind": KIND, **to_mapping(network.config)})
    return save_tensors(network.state_dict(), folder / WEIGHTS_FILE)


def published_config(folder: Path, config: UnderstandingConfig) -> UnderstandingConfig:
    """A config with the ear and the tower of a published checkpoint, which may be of any size.

    Raises:
        FileMissingError: there is no config.json.
        ConfigError: it does not describe a tower of Whisper's kind.
    """
    sizes, where = _tower_sizes(folder)
    bands = sizes.get("num_mel_bins", 128)
    wanted = ("d_model", "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim", "max_source_positions")
    if missing := [name for name in wanted if name not in sizes]:
        raise ConfigError(f"{folder / CONFIG_FILE}: no {', '.join(missing)}; this is no tower of Whisper's kind")
    if sizes.get("scale_embedding"):
        raise ConfigError(f"{folder / CONFIG_FILE}: scale_embedding is not implemented; no published tower uses it")
    data = {name: sizes[name] for name in wanted} | {"pooled": where != ""}
    tower = from_mapping(TowerConfig, data, str(folder / CONFIG_FILE))
    ear = from_mapping(EarConfig, {"num_bands": bands}, str(folder / CONFIG_FILE))
    return replace(
        config, ear=replace(ear, hop_samples=_PUBLISHED_HOP, fft_samples=_PUBLISHED_FFT), tower=tower, ctc_symbols=1
    )


def load_published(folder: Path, network: UnderstandingNetwork) -> None:
    """Put a published tower into a network of its sizes, and the projector, if there is one of that size.

    Raises:
        FileMissingError: there are no weights.
        CheckpointError: tensors of the tower are missing, unexpected or misshapen.
    """
    _, where = _tower_sizes(folder)
    path = first_file(folder, _FILES, "weights")
    tensors = read_weights(path)
    own = _under(tensors, _TOWERS[where])
    if not own:
        raise CheckpointError(f"{path}: no tensor is named {' or '.join(_TOWERS[where])}…; this is no audio tower")
    load_strictly(network.audio_tower, own, str(path))
    network.audio_tower.embed_positions.weight.requires_grad_(False)
    projector = _under(tensors, (_PROJECTOR, f"model.{_PROJECTOR}"))
    expected = {name: tensor.shape for name, tensor in network.audio_encoder_proj.state_dict().items()}
    if {name: tensor.shape for name, tensor in projector.items()} == expected:
        load_strictly(network.audio_encoder_proj, projector, str(path))


def _under(tensors: Mapping[str, Tensor], prefixes: tuple[str, ...]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor.float()
        for name, tensor in tensors.items()
        for prefix in prefixes
        if name.startswith(prefix)
    }


def _tower_sizes(folder: Path) -> tuple[Mapping[str, Any], str]:
    """The tower's sizes, and under which key of the config they are."""
    data = read_json(folder / CONFIG_FILE)
    where = next((key for key in _TOWERS if key and isinstance(data.get(key), dict)), "")
    return (data[where] if where else data), where
