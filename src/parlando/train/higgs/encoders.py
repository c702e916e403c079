"""The codec that a corpus is encoded with, of a training or of a model; it is a `train.encode.Encoder` as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from parlando.core.config import from_mapping, read_json
from parlando.core.errors import ConfigError
from parlando.models.higgs.build import CONFIG_FILE, load_codec_of
from parlando.models.higgs.config import parse_higgs_config
from parlando.models.higgs.parts.codec import CodecConfig, CodecModule
from parlando.models.higgs.parts.codec_config import is_audio_tokenizer
from parlando.models.higgs.parts.spectral import SpectralCodec, SpectralCodecConfig
from parlando.models.locate import is_own_layout
from parlando.models.registry import family_of
from parlando.train.higgs.start import FOLDERS
from parlando.train.loop.checkpoint import load_weights

CODEC_WEIGHTS, CODEC_CONFIG = "codec.safetensors", "codec.json"
LIGHT: Final = "spectral"


@dataclass(frozen=True)
class CodecShape:
    """What a language model has to know of a codec."""

    num_codebooks: int
    codebook_size: int
    frame_rate: float


def find_encoder(folder: Path, sample_rate: int) -> CodecModule | None:
    """The codec in a folder, if there is one; its rate is that of the corpus that it learned from.

    Raises:
        FileMissingError, CheckpointError: as `load_trained_codec`.
    """
    del sample_rate
    return load_any_codec(folder) if (folder / CODEC_CONFIG).is_file() or _is_model(folder) else None


def load_any_codec(folder: Path) -> CodecModule:
    """The codec of a training, an audio tokenizer or a model, in float32; errors as for `load_trained_codec`."""
    if (folder / CODEC_CONFIG).is_file() or not _is_model(folder):
        return load_trained_codec(folder)
    return load_codec_of(folder).float().eval()


def _is_model(folder: Path) -> bool:
    """Whether it is a model of this family, in our own layout or a published one, or its audio tokenizer."""
    path = folder / CONFIG_FILE
    return path.is_file() and (is_audio_tokenizer(read_json(path)) or family_of(folder) == FOLDERS.family)


def has_light_codec(folder: Path) -> bool:
    """Whether the codec of a training's or model's folder is the light one, whose decoder is trained here."""
    return _has_own_config(folder) and _read_config(folder).kind == LIGHT


def load_trained_codec(folder: Path) -> SpectralCodec:
    """The light codec that a training exported, or that a model has, in float32.

    Raises:
        FileMissingError: the folder holds none.
        ConfigError: it is another codec, of which the decoder is not trained here.
        CheckpointError: the tensors do not fit the config.
    """
    codec = SpectralCodec(read_codec_config(folder))
    load_weights(codec, folder / CODEC_WEIGHTS)
    return codec.eval()


def read_codec_config(folder: Path) -> SpectralCodecConfig:
    """The sizes of the light codec that a training exported, or that a model has; errors as `load_trained_codec`."""
    config = _read_config(folder)
    if config.kind != LIGHT:
        raise ConfigError(f"'{folder}' has a codec of the kind '{config.kind}'; name a folder of the light one")
    return config


def codec_shape(folder: Path) -> CodecShape:
    """What there is to know of the codec in a folder.

    Raises:
        FileMissingError: the folder holds none.
        ConfigError, CheckpointError: it is damaged.
    """
    is_published = _is_model(folder) and not _has_own_config(folder)
    config = load_codec_of(folder).config if is_published else _read_config(folder)
    samples = config.hop_samples * config.stride if config.kind == LIGHT else config.acoustic.samples_per_frame
    return CodecShape(config.num_codebooks, config.codebook_size, config.sample_rate / samples)


def _has_own_config(folder: Path) -> bool:
    return (folder / CODEC_CONFIG).is_file() or is_own_layout(folder)


def _read_config(folder: Path) -> CodecConfig:
    file = folder / CODEC_CONFIG
    if not file.is_file() and is_own_layout(folder):
        return parse_higgs_config(read_json(folder / CONFIG_FILE), str(folder / CONFIG_FILE)).codec
    return from_mapping(SpectralCodecConfig, read_json(file), str(file))
