"""WavLM (Chen et al., 2021) as transformers has it, from tensors with the names of the published checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from parlando.evaluate.optional import require

# Longer names first: each is replaced where it stands.
RENAMED = (
    ("self_attn.relative_attention_bias", "attention.rel_attn_embed"),
    ("self_attn.grep_linear", "attention.gru_rel_pos_linear"),
    ("self_attn.grep_a", "attention.gru_rel_pos_const"),
    ("self_attn_layer_norm", "layer_norm"),
    ("self_attn", "attention"),
    ("fc1", "feed_forward.intermediate_dense"),
    ("fc2", "feed_forward.output_dense"),
    ("encoder.pos_conv.0.weight_g", "encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
    ("encoder.pos_conv.0.weight_v", "encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
    ("encoder.pos_conv.0", "encoder.pos_conv_embed.conv"),
    ("post_extract_proj", "feature_projection.projection"),
)
CONV_PREFIX = "feature_extractor.conv_layers."
UNUSED = ("mask_emb", "final_proj", "label_embs_concat", "project_q", "quantizer")


@dataclass(frozen=True)
class WavLMSizes:
    """The sizes of a WavLM whose layers begin with their norms."""

    hidden: int = 1024
    layers: int = 24
    heads: int = 16
    feed_forward: int = 4096
    conv_channels: int = 512
    position_kernel: int = 128
    position_groups: int = 16


WAVLM_LARGE = WavLMSizes()


def new_wavlm(sizes: WavLMSizes) -> nn.Module:
    """A WavLM with random weights.

    Raises:
        MissingDependencyError: transformers is not installed.
    """
    transformers: Any = require("transformers", "pip install transformers")
    config = transformers.WavLMConfig(
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.feed_forward,
        conv_dim=(sizes.conv_channels,) * 7,
        num_conv_pos_embeddings=sizes.position_kernel,
        num_conv_pos_embedding_groups=sizes.position_groups,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        layerdrop=0.0,
        mask_time_prob=0.0,
    )
    model: nn.Module = transformers.WavLMModel(config)
    return model.eval()


def from_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under transformers' names, without what is for training alone."""
    return {_own_name(name): t for name, t in tensors.items() if not name.startswith(UNUSED)}


def _own_name(name: str) -> str:
    if name.startswith(CONV_PREFIX):
        # conv_layers.3.0 is the convolution; its norm is conv_layers.3.2.1.
        layer, place = name.removeprefix(CONV_PREFIX).split(".", 1)
        module = "conv" if place.startswith("0.") else "layer_norm"
        return f"{CONV_PREFIX}{layer}.{module}.{place.rsplit('.', 1)[-1]}"
    if name.startswith("layer_norm."):
        return f"feature_projection.{name}"
    for published, own in RENAMED:
        if published in name:
            return name.replace(published, own)
    return name
