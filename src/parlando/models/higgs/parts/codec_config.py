"""The published audio tokenizers' config files, read into `UnifiedCodecConfig` and written again.

Bookkeeping keys are passed over; a setting that asks for a computation that is not implemented is an error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from parlando.core.config import AtLeastOne, Positive, Size, from_known, from_mapping
from parlando.core.errors import ConfigError
from parlando.models.higgs.parts.hubert import HubertConfig
from parlando.models.higgs.parts.unified_codec import UnifiedCodecConfig

Padding = Literal["transformers", "original"]
MODEL_TYPE, HUBERT = "higgs_audio_v2_tokenizer", "hubert"

_TEACHER_FIXED = {
    "feat_extract_activation": "gelu",
    "hidden_act": "gelu",
    "feat_proj_layer_norm": True,
    "conv_pos_batch_norm": False,
}
_ORIGINAL_FIXED = {"downsample_mode": "step_down", "vq_scale": 1, "semantic_techer": "hubert_base_general"}
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
    "feat_extract_norm": "conv_norm",
    "do_stable_layer_norm": "norm_first",
}
_PUBLISHED = UnifiedCodecConfig()


@dataclass(frozen=True)
class _Acoustic:
    """``acoustic_model_config`` of the transformers layout."""

    encoder_hidden_size: Size = _PUBLISHED.acoustic.encoder_channels
    decoder_hidden_size: Size = _PUBLISHED.acoustic.decoder_channels
    hidden_size: Size = _PUBLISHED.acoustic.latent_size
    downsampling_ratios: tuple[Size, ...] = _PUBLISHED.acoustic.ratios
    upsampling_ratios: tuple[Size, ...] | None = None


@dataclass(frozen=True)
class _Transformers:
    """The rest of that layout's file; ``target_bandwidths`` are in kilobits per second."""

    sample_rate: Size = _PUBLISHED.sample_rate
    semantic_sample_rate: Size = _PUBLISHED.semantic_sample_rate
    codebook_size: Size = _PUBLISHED.codebook_size
    codebook_dim: Size = _PUBLISHED.codebook_dim
    target_bandwidths: tuple[Positive, ...] | None = None
    strides: tuple[Size, ...] = (1, 1)
    channel_ratios: tuple[Size, ...] = (1, 1)
    kernel_size: Size = _PUBLISHED.semantic.kernel
    unit_kernel_size: Size = _PUBLISHED.semantic.unit_kernel
    block_dilations: tuple[Size, ...] = _PUBLISHED.semantic.dilations


@dataclass(frozen=True)
class _Original:
    """The file beside the original ``model.pth``; ``D`` is the width of the latents."""

    sample_rate: Size = _PUBLISHED.sample_rate
    semantic_sample_rate: Size = _PUBLISHED.semantic_sample_rate
    codebook_size: Size | None = None
    bins: Size | None = None
    codebook_dim: Size = _PUBLISHED.codebook_dim
    n_q: AtLeastOne = _PUBLISHED.num_codebooks
    ratios: tuple[Size, ...] = _PUBLISHED.acoustic.ratios
    D: Size = _PUBLISHED.acoustic.latent_size


def config_from_transformers(
    data: Mapping[str, Any], padding: Padding = "transformers", where: str = "codec config"
) -> UnifiedCodecConfig:
    """The config.json of the transformers layout.

    Raises:
        ConfigError: a setting that is not implemented, of the wrong type or out of range.
    """
    given = from_known(_Transformers, data, where)
    acoustic = from_known(_Acoustic, _table(data, "acoustic_model_config", where), f"{where}.acoustic_model_config")
    teacher = _table(data, "semantic_model_config", where)
    if {*given.strides, *given.channel_ratios} - {1}:
        raise ConfigError(
            f"{where}: strides {list(given.strides)} and channel_ratios {list(given.channel_ratios)} must all be 1"
        )
    ratios = acoustic.downsampling_ratios
    if ratios != (acoustic.upsampling_ratios or ratios):
        raise ConfigError(f"{where}: downsampling_ratios and upsampling_ratios must be equal, in the same order")
    own = {
        "sample_rate": given.sample_rate,
        "semantic_sample_rate": given.semantic_sample_rate,
        "codebook_size": given.codebook_size,
        "codebook_dim": given.codebook_dim,
        "num_codebooks": _codebooks(given, ratios),
        "padding": padding,
        "acoustic": {
            "encoder_channels": acoustic.encoder_hidden_size,
            "decoder_channels": acoustic.decoder_hidden_size,
            "latent_size": acoustic.hidden_size,
            "ratios": ratios,
        },
        "teacher": _own_teacher(teacher, f"{where}.semantic_model_config"),
        "semantic": {
            "kernel": given.kernel_size,
            "unit_kernel": given.unit_kernel_size,
            "dilations": given.block_dilations,
            "num_blocks": len(given.strides),
        },
    }
    return from_mapping(UnifiedCodecConfig, own, where)


def config_to_transformers(config: UnifiedCodecConfig) -> dict[str, Any]:
    """What `config_from_transformers` turns back into an equal config, but for its padding."""
    acoustic, semantic = config.acoustic, config.semantic
    once = [1] * semantic.num_blocks
    return {
        "model_type": MODEL_TYPE,
        "architectures": ["HiggsAudioV2TokenizerModel"],
        "sample_rate": config.sample_rate,
        "semantic_sample_rate": config.semantic_sample_rate,
        "downsample_factor": config.teacher.samples_per_frame,
        "codebook_size": config.codebook_size,
        "codebook_dim": config.codebook_dim,
        "target_bandwidths": _bandwidths(config),
        "strides": once,
        "channel_ratios": once,
        "kernel_size": semantic.kernel,
        "unit_kernel_size": semantic.unit_kernel,
        "block_dilations": list(semantic.dilations),
        "acoustic_model_config": {
            "model_type": "dac",
            "sampling_rate": config.sample_rate,
            "encoder_hidden_size": acoustic.encoder_channels,
            "decoder_hidden_size": acoustic.decoder_channels,
            "hidden_size": acoustic.latent_size,
            "downsampling_ratios": list(acoustic.ratios),
            "upsampling_ratios": list(acoustic.ratios),
        },
        # Where nothing is masked, the model has no vector that stands for what is.
        "semantic_model_config": {**hubert_to_transformers(config.teacher), "mask_time_prob": 0.0},
    }


def hubert_from_transformers(data: Mapping[str, Any], where: str = "HuBERT config") -> HubertConfig:
    """The config.json of a HuBERT checkpoint.

    Raises:
        ConfigError: it is of another kind of model, or a setting is not implemented, of a wrong type or out of range.
    """
    kind = data.get("model_type")
    if kind != HUBERT:
        raise ConfigError(f"{where}: model_type {kind!r} is not '{HUBERT}'; name the folder of a HuBERT checkpoint")
    return from_mapping(HubertConfig, _own_teacher(data, where), where)


def hubert_to_transformers(config: HubertConfig) -> dict[str, Any]:
    """What `hubert_from_transformers` turns back into an equal config."""
    sizes = {theirs: getattr(config, ours) for theirs, ours in _TEACHER.items()}
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in sizes.items()}
    layers = {"num_feat_extract_layers": len(config.conv_channels)}
    return {"model_type": HUBERT, "architectures": ["HubertModel"], **_TEACHER_FIXED, **plain, **layers}


def is_audio_tokenizer(data: Mapping[str, Any]) -> bool:
    """Whether a config.json is that of a published audio tokenizer, in either layout, and not of a model."""
    return data.get("model_type") == MODEL_TYPE or "acoustic_model_config" in data or "n_q" in data


def config_from_original(
    data: Mapping[str, Any], padding: Padding = "original", where: str = "codec config"
) -> UnifiedCodecConfig:
    """The config.json beside the original ``model.pth``; widths and the teacher are fixed there.

    Raises:
        ConfigError: a setting that is not implemented, of the wrong type or out of range.
    """
    _check_fixed(data, _ORIGINAL_FIXED, where)
    given = from_known(_Original, data, where)
    own = {
        "sample_rate": given.sample_rate,
        "semantic_sample_rate": given.semantic_sample_rate,
        "codebook_size": given.bins or given.codebook_size or _PUBLISHED.codebook_size,
        "codebook_dim": given.codebook_dim,
        "num_codebooks": given.n_q,
        "padding": padding,
        "acoustic": {"ratios": given.ratios, "latent_size": given.D},
    }
    return from_mapping(UnifiedCodecConfig, own, where)


def _codebooks(given: _Transformers, ratios: tuple[int, ...]) -> int:
    """How many codebooks the highest bandwidth pays for."""
    if not given.target_bandwidths:
        return _PUBLISHED.num_codebooks
    frame_rate = math.ceil(given.sample_rate / math.prod(ratios))
    bits = max(1, math.ceil(math.log2(given.codebook_size)))
    return int(1000 * given.target_bandwidths[-1] // (frame_rate * bits))


def _bandwidths(config: UnifiedCodecConfig) -> list[float]:
    """What the first codebook takes, the first two, and so on, in kilobits per second."""
    bits = max(1, math.ceil(math.log2(config.codebook_size)))
    per_codebook = math.ceil(config.sample_rate / config.acoustic.samples_per_frame) * bits
    return [_kilobits(count * per_codebook) for count in range(1, config.num_codebooks + 1)]


def _kilobits(bits: int) -> float:
    """A thousandth that, taken a thousand times, is no less: who reads it counts whole codebooks."""
    exact = bits / 1000
    return exact if 1000 * exact >= bits else math.nextafter(exact, math.inf)


def _own_teacher(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    _check_fixed(data, _TEACHER_FIXED, where)
    return {ours: data[theirs] for theirs, ours in _TEACHER.items() if theirs in data}


def _table(data: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    table = data.get(key)
    if table is not None and not isinstance(table, Mapping):
        raise ConfigError(f"{where}.{key}: expected a table of settings, got {table!r}")
    return table or {}


def _check_fixed(data: Mapping[str, Any], fixed: Mapping[str, Any], where: str) -> None:
    for key, value in fixed.items():
        if data.get(key, value) != value:
            raise ConfigError(f"{where}.{key}: {data[key]!r} is not supported, only {value!r}")
