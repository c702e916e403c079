"""The published audio tokenizers' config files, read into `UnifiedCodecConfig`.

Bookkeeping keys are passed over; a setting that asks for a computation that is not implemented is an error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from parlando.core.config import from_mapping
from parlando.core.errors import ConfigError
from parlando.models.higgs.parts.unified_codec import UnifiedCodecConfig

Padding = Literal["transformers", "original"]

_ACOUSTIC = {
    "encoder_hidden_size": "encoder_channels",
    "decoder_hidden_size": "decoder_channels",
    "hidden_size": "latent_size",
}
_TEACHER = {
    "hidden_size": "hidden_size",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "intermediate_size": "intermediate_size",
    "conv_dim": "conv_channels",
    "conv_kernel": "conv_kernels",
    "conv_stride": "conv_strides",
    "conv_bias": "conv_bias",
    "num_conv_pos_embeddings": "position_kernel",
    "num_conv_pos_embedding_groups": "position_groups",
    "layer_norm_eps": "norm_eps",
}
_TEACHER_FIXED = {
    "feat_extract_norm": "group",
    "feat_extract_activation": "gelu",
    "hidden_act": "gelu",
    "feat_proj_layer_norm": True,
    "conv_pos_batch_norm": False,
    "do_stable_layer_norm": False,
}
_SEMANTIC = {"kernel_size": "kernel", "unit_kernel_size": "unit_kernel", "block_dilations": "dilations"}
_TOP = {name: name for name in ("sample_rate", "semantic_sample_rate", "codebook_size", "codebook_dim")}
_ORIGINAL = _TOP | {"bins": "codebook_size", "n_q": "num_codebooks"}
_ORIGINAL_FIXED = {"downsample_mode": "step_down", "vq_scale": 1, "semantic_techer": "hubert_base_general"}


def config_from_transformers(data: Mapping[str, Any], padding: Padding = "transformers") -> UnifiedCodecConfig:
    """The config.json of the transformers layout.

    Raises:
        ConfigError: a setting that is not implemented, or of the wrong type.
    """
    acoustic, teacher = data.get("acoustic_model_config") or {}, data.get("semantic_model_config") or {}
    _check_fixed(teacher, _TEACHER_FIXED, "semantic_model_config")
    strides, widths = data.get("strides", (1, 1)), data.get("channel_ratios", (1, 1))
    if {*strides, *widths} - {1}:
        raise ConfigError(f"codec config: strides {strides} and channel_ratios {widths} must all be 1")
    ratios = acoustic.get("downsampling_ratios", UnifiedCodecConfig().acoustic.ratios)
    if list(ratios) != list(acoustic.get("upsampling_ratios", ratios)):
        raise ConfigError("codec config: downsampling_ratios and upsampling_ratios must be equal, in the same order")
    own = _renamed(data, _TOP) | {"padding": padding}
    own["acoustic"] = _renamed(acoustic, _ACOUSTIC) | {"ratios": ratios}
    own["teacher"] = _renamed(teacher, _TEACHER)
    own["semantic"] = _renamed(data, _SEMANTIC) | {"num_blocks": len(strides)}
    if "target_bandwidths" in data:
        own["num_codebooks"] = _codebooks(data["target_bandwidths"][-1], own, ratios)
    return from_mapping(UnifiedCodecConfig, own, "codec config")


def config_from_original(data: Mapping[str, Any], padding: Padding = "original") -> UnifiedCodecConfig:
    """The config.json beside the original ``model.pth``; widths and the teacher are fixed there.

    Raises:
        ConfigError: a setting that is not implemented, or of the wrong type.
    """
    _check_fixed(data, _ORIGINAL_FIXED, "codec config")
    own = _renamed(data, _ORIGINAL) | {"padding": padding}
    own["acoustic"] = _renamed(data, {"ratios": "ratios", "D": "latent_size"})
    return from_mapping(UnifiedCodecConfig, own, "codec config")


def _codebooks(kilobits_per_second: float, own: Mapping[str, Any], ratios: Any) -> int:
    """How many codebooks the highest bandwidth pays for."""
    default = UnifiedCodecConfig()
    frame_rate = math.ceil(own.get("sample_rate", default.sample_rate) / math.prod(ratios))
    bits = math.ceil(math.log2(own.get("codebook_size", default.codebook_size)))
    return int(1000 * kilobits_per_second // (frame_rate * bits))


def _renamed(data: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {ours: data[theirs] for theirs, ours in names.items() if theirs in data}


def _check_fixed(data: Mapping[str, Any], fixed: Mapping[str, Any], where: str) -> None:
    for key, value in fixed.items():
        if data.get(key, value) != value:
            raise ConfigError(f"{where}.{key}: {data[key]!r} is not supported, only {value!r}")
