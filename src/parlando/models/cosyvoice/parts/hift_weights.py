"""The vocoder's checkpoints: the published ``hift.pt`` in every spelling of its keys, and our own plain weights.

Loading is strict; the names are the published ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from parlando.core.config import from_mapping, read_json
from parlando.core.errors import ConfigError
from parlando.models.cosyvoice.parts.hift import HiFT, HiFTConfig
from parlando.nn.checkpoint import built, load_strictly, read_weights, save_tensors

WEIGHTS_FILE, CONFIG_FILE = "hift.safetensors", "hift.json"
_PREFIX, _OF_TRAINING = "generator.", "discriminator."
_GAIN, _DIRECTION = ".parametrizations.weight.original0", ".parametrizations.weight.original1"
_OLD_NAMES = {".weight_g": _GAIN, ".weight_v": _DIRECTION}
_NAMES = {
    "in_channels": "mel_bins",
    "base_channels": "channels",
    "f0_cond_channels": "pitch_channels",
    "upsample_rates": "upsample_rates",
    "upsample_kernel_sizes": "upsample_kernels",
    "resblock_kernel_sizes": "kernels",
    "resblock_dilation_sizes": "dilations",
    "source_resblock_kernel_sizes": "source_kernels",
    "source_resblock_dilation_sizes": "source_dilations",
    "lrelu_slope": "leaky_slope",
    "audio_limit": "loudest_sample",
}
_SOURCE_NAMES = {
    "sampling_rate": "sample_rate",
    "nb_harmonics": "num_harmonics",
    "nsf_alpha": "sine_amplitude",
    "nsf_sigma": "voiced_noise",
    "nsf_voiced_threshold": "voiced_above_hertz",
}
_STFT_NAMES = {"n_fft": "fft_samples", "hop_len": "hop_samples"}
_PITCH_NAMES = {"cond_channels": "pitch_channels", "in_channels": "mel_bins"}
_ONE_PITCH = {"num_class": 1}


def config_from_published(data: Mapping[str, Any]) -> HiFTConfig:
    """The ``hift`` table of the published ``cosyvoice2.yaml`` (or of a flat file with ``f0_cond_channels``).

    Raises:
        ConfigError: an unknown key, a wrong type, or a value that does not fit the others.
    """
    top = dict(data)
    stft, pitch = (_table(top.pop(key, {}), key) for key in ("istft_params", "f0_predictor"))
    for key, value in _ONE_PITCH.items():
        if pitch.pop(key, value) != value:
            raise ConfigError(f"hift.f0_predictor.{key}: only {value} is supported")
    source = _renamed({key: top.pop(key) for key in _SOURCE_NAMES if key in top}, _SOURCE_NAMES)
    own = _renamed(pitch, _PITCH_NAMES) | _renamed(stft, _STFT_NAMES) | _renamed(top, _NAMES) | {"source": source}
    return from_mapping(HiFTConfig, own, "hift")


def _table(value: Any, key: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"hift.{key}: expected a table of settings, got {value!r}")
    return dict(value)


def load_hift(path: Path, config: HiFTConfig | None = None) -> HiFT:
    """The vocoder of a weights file, ready for inference, on the CPU, in float32 (pitch in float64).

    Raises:
        FileMissingError: there is no such file.
        CheckpointError: tensors are missing, unexpected, misshapen or not finite.
    """
    return read_hift(path, config or HiFTConfig()).prepare()


def read_hift(path: Path, config: HiFTConfig) -> HiFT:
    """The same to go on training it, with weight norm; errors as for `load_hift`."""
    hift = built(HiFT, config, str(path))
    load_strictly(hift, published_layout(read_weights(path), hift), str(path))
    return hift


def load_hift_folder(folder: Path) -> HiFT:
    """The vocoder that `save_hift` wrote, ready for inference.

    Raises:
        FileMissingError: the folder holds none.
        ConfigError: a setting is unknown or does not fit the others.
        CheckpointError: the tensors are not those of the config, or not finite.
    """
    file = folder / CONFIG_FILE
    return load_hift(folder / WEIGHTS_FILE, from_mapping(HiFTConfig, read_json(file), str(file)))


def save_hift(hift: HiFT, folder: Path) -> None:
    """Write `WEIGHTS_FILE` (float32, weight norm folded) and `CONFIG_FILE`; the vocoder itself stays as it is."""
    plain = HiFT(hift.config)
    plain.load_state_dict(hift.state_dict())
    plain.prepare()
    save_tensors({key: tensor.float() for key, tensor in plain.state_dict().items()}, folder / WEIGHTS_FILE)
    (folder / CONFIG_FILE).write_text(json.dumps(asdict(hift.config), indent=2), encoding="utf-8")


def published_layout(tensors: Mapping[str, Tensor], fresh: HiFT) -> dict[str, Tensor]:
    """Any spelling under the names of a fresh model; unknown keys pass through for the strict check to name.

    Read are: a prefix before every key, both generations of weight norm's names, folded weights, and a training's file,
    which has the discriminators too.
    """
    kept = {key: tensor for key, tensor in tensors.items() if not key.startswith(_OF_TRAINING)}
    renamed = {_modern(key.removeprefix(_PREFIX)): tensor.float() for key, tensor in kept.items()}
    for stem in (key.removesuffix(_GAIN) for key in fresh.state_dict() if key.endswith(_GAIN)):
        plain = renamed.pop(f"{stem}.weight", None)
        if plain is not None:
            gain = plain.norm(dim=(1, 2), keepdim=True)
            renamed |= {stem + _GAIN: gain, stem + _DIRECTION: plain}
    return renamed


def _modern(key: str) -> str:
    for old, new in _OLD_NAMES.items():
        if key.endswith(old):
            return key.removesuffix(old) + new
    return key


def _renamed(data: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Our names where there is one; the rest keeps its own, for the strict config to refuse."""
    return {names.get(key, key): value for key, value in data.items()}
