"""The codec that a training exported; it is a `train.encode.Encoder` as it is."""

from __future__ import annotations

from pathlib import Path

from parlando.core.config import from_mapping, read_json
from parlando.models.higgs.parts.spectral import SpectralCodec, SpectralCodecConfig
from parlando.train.loop.checkpoint import load_weights

CODEC_WEIGHTS, CODEC_CONFIG = "codec.safetensors", "codec.json"


def find_encoder(folder: Path, sample_rate: int) -> SpectralCodec | None:
    """The codec in a folder, if there is one; its rate is that of the corpus that it learned from.

    Raises:
        FileMissingError, CheckpointError: as `load_trained_codec`.
    """
    del sample_rate
    return load_trained_codec(folder) if (folder / CODEC_CONFIG).is_file() else None


def load_trained_codec(folder: Path) -> SpectralCodec:
    """The codec that a training exported.

    Raises:
        FileMissingError: the folder holds none.
        CheckpointError: the tensors do not fit the config.
    """
    codec = SpectralCodec(read_codec_config(folder))
    load_weights(codec, folder / CODEC_WEIGHTS)
    return codec.eval()


def read_codec_config(folder: Path) -> SpectralCodecConfig:
    """The sizes of the codec that a training exported.

    Raises:
        FileMissingError: the folder holds none.
        ConfigError: they are not those of a codec.
    """
    return from_mapping(SpectralCodecConfig, read_json(folder / CODEC_CONFIG), str(folder / CODEC_CONFIG))
