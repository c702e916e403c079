"""HuBERT checkpoints in the layout of `transformers`: read strictly into our module, and written."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from parlando.core.config import read_json
from parlando.core.errors import CheckpointError
from parlando.core.folder import write_json
from parlando.models.higgs.parts.codec_config import hubert_from_transformers, hubert_to_transformers
from parlando.models.higgs.parts.codec_weights import fold_weight_norm
from parlando.models.higgs.parts.hubert import Hubert, HubertConfig
from parlando.nn.checkpoint import built, first_file, load_strictly, read_weights, save_tensors

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
MASK = "masked_spec_embed"
_FILES = (
    *(f"{WEIGHTS_FILE}.index.json", WEIGHTS_FILE),
    *("pytorch_model.bin.index.json", "pytorch_model.bin"),
)
# What a recogniser made of HuBERT has around it.
_WRAPPER = "hubert."
_IN_CODEC = "semantic_model."


def read_hubert_config(folder: Path) -> HubertConfig:
    """The sizes of a HuBERT checkpoint.

    Raises:
        FileMissingError: there is no config.json.
        ConfigError: it is not a HuBERT's, or asks for what is not implemented.
    """
    path = folder / CONFIG_FILE
    return hubert_from_transformers(read_json(path), str(path))


def load_hubert(folder: Path) -> Hubert:
    """The HuBERT of a folder, on the CPU, in float32; heads on top of it are left out.

    Raises:
        FileMissingError, ConfigError: as for `read_hubert_config`, or there are no weights.
        CheckpointError: tensors are missing, unexpected, misshapen or not finite.
    """
    config = read_hubert_config(folder)
    path = first_file(folder, _FILES, "HuBERT weights")
    tensors = {key.removeprefix(_WRAPPER): value for key, value in read_weights(path).items()}
    with torch.device("meta"):
        hubert = built(Hubert, config, str(path)).eval()
    parts = tuple(f"{name}." for name, _ in hubert.named_children())
    if not any(key.startswith(parts) for key in tensors):
        raise CheckpointError(f"{path}: no tensor of a HuBERT in it; name the folder of a HuBERT checkpoint")
    own = {f"{_IN_CODEC}{key}": value.float() for key, value in tensors.items() if key.startswith(parts)}
    load_strictly(hubert, {key.removeprefix(_IN_CODEC): v for key, v in fold_weight_norm(own).items()}, str(path))
    return hubert


def save_hubert(hubert: Hubert, config: HubertConfig, mask: Tensor, folder: Path) -> Path:
    """Write a HuBERT with the vector that stood for masked frames; returns the file of tensors."""
    write_json(folder / CONFIG_FILE, hubert_to_transformers(config))
    return save_tensors({**hubert.state_dict(), MASK: mask}, folder / WEIGHTS_FILE)
