"""HuBERT checkpoints of tiny sizes, by the published implementation."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from parlando.models.higgs.parts.codec_config import hubert_to_transformers
from parlando.models.higgs.parts.hubert import HubertConfig

TINY_HUBERT = HubertConfig(
    hidden_size=16,
    num_layers=3,
    num_heads=4,
    intermediate_size=24,
    conv_channels=(8,) * 7,
    position_kernel=6,
    position_groups=2,
)
LARGE = {"conv_norm": "layer", "norm_first": True, "conv_bias": True}
"""What large checkpoints have otherwise."""


def published_hubert(config: HubertConfig) -> torch.nn.Module:
    transformers = pytest.importorskip("transformers")
    return transformers.HubertModel(
        transformers.HubertConfig(**hubert_to_transformers(config), mask_time_prob=0.0)
    ).eval()


def write_hubert(folder, tensors, config: HubertConfig = TINY_HUBERT, prefix: str = ""):
    """A folder of a checkpoint with these tensors; returns it."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(hubert_to_transformers(config)))
    save_file({f"{prefix}{key}": tensor.contiguous() for key, tensor in tensors.items()}, folder / "model.safetensors")
    return folder
