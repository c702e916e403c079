"""`LMConfig` from the two published styles of `config.json`: the original nested one and that of `transformers`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parlando.core.config import AtLeastOne, Positive, Size, Whole, from_known, from_mapping
from parlando.core.errors import ConfigError
from parlando.models.higgs.config import LMConfig
from parlando.nn.rope import RopeConfig

AUDIO_BOS_ID, AUDIO_EOS_ID, AUDIO_OUT_BOS_ID, DELAY_ID = 128011, 128012, 128013, 128014
AUDIO_IN_ID, AUDIO_OUT_ID = 128015, 128016
END_OF_TEXT_ID, EOT_ID = 128001, 128009
_STREAM_MARKS = 2
_LLAMA_ONLY = {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False}


@dataclass(frozen=True)
class _Rope:
    """Rotary positions; ``type`` is the older name of ``rope_type``."""

    rope_type: str | None = None
    type: str | None = None
    rope_theta: Positive | None = None
    factor: Positive | None = None
    low_freq_factor: Positive | None = None
    high_freq_factor: Positive | None = None
    original_max_position_embeddings: Size | None = None


_TRANSFORMERS_ROPE = _Rope("llama3", None, 500_000.0, 32.0, 0.125, 0.5, 1024)


@dataclass(frozen=True)
class _Llama:
    """The backbone; what may be left out has Llama's defaults."""

    vocab_size: Size
    hidden_size: Size
    intermediate_size: Size
    num_hidden_layers: AtLeastOne
    num_attention_heads: AtLeastOne
    max_position_embeddings: Size
    num_key_value_heads: AtLeastOne | None = None
    head_dim: Size | None = None
    rms_norm_eps: Positive = 1e-6
    rope_theta: Positive | None = None
    rope_parameters: _Rope | None = None
    rope_scaling: _Rope | None = None


@dataclass(frozen=True)
class _Transformers(_Llama):
    """The whole file in the style of `transformers`, with the defaults of its ``HiggsAudioV2Config``.

    That style writes out only what differs from them; its ``codebook_size`` counts BOS and EOS.
    """

    vocab_size: Size = 128_256
    hidden_size: Size = 3072
    intermediate_size: Size = 8192
    num_hidden_layers: AtLeastOne = 28
    num_attention_heads: AtLeastOne = 24
    max_position_embeddings: Size = 2048
    num_key_value_heads: AtLeastOne = 8
    head_dim: Size = 128
    rms_norm_eps: Positive = 1e-5
    num_codebooks: AtLeastOne = 8
    codebook_size: Size = 1024
    audio_token_id: Whole = AUDIO_OUT_ID
    audio_bos_token_id: Whole = AUDIO_OUT_BOS_ID
    audio_delay_token_id: Whole = DELAY_ID
    eos_token_id: Whole | tuple[Whole, ...] = EOT_ID
    pad_token_id: Whole = END_OF_TEXT_ID


@dataclass(frozen=True)
class _Original:
    """The original file, around its ``text_config``."""

    audio_num_codebooks: AtLeastOne
    audio_codebook_size: Size = 1024
    audio_in_token_idx: Whole = AUDIO_IN_ID
    audio_out_token_idx: Whole = AUDIO_OUT_ID
    audio_out_bos_token_id: Whole = AUDIO_OUT_BOS_ID
    audio_bos_token_id: Whole = AUDIO_BOS_ID
    audio_eos_token_id: Whole = AUDIO_EOS_ID
    eot_token_id: Whole = EOT_ID
    pad_token_id: Whole = END_OF_TEXT_ID


def lm_config_from_transformers(data: Mapping[str, Any], where: str = "config.json") -> LMConfig:
    """`LMConfig` from a published config in the style of `transformers`.

    Raises:
        ConfigError: a value of a wrong type or out of range, or one that asks for something that is not computed here.
    """
    _refuse_others(data, _LLAMA_ONLY, where)
    given = from_known(_Transformers, data, where)
    size, eos = given.codebook_size - _STREAM_MARKS, given.eos_token_id
    _refuse_others(data, {"audio_stream_bos_id": size, "audio_stream_eos_id": size + 1}, where)
    if eos == ():
        raise ConfigError(f"{where}: eos_token_id: [] names no id; give the id that ends a turn")
    # This style does not name the ids around audio; they are known for the published vocabulary only.
    known = given.audio_token_id == AUDIO_OUT_ID
    ids = {
        "audio_out_id": given.audio_token_id,
        "audio_out_bos_id": given.audio_bos_token_id,
        "delay_id": given.audio_delay_token_id,
        "eot_id": eos[0] if isinstance(eos, tuple) else eos,
        "end_of_text_id": given.pad_token_id,
        "audio_in_id": AUDIO_IN_ID if known else None,
        "audio_bos_id": AUDIO_BOS_ID if known else None,
        "audio_eos_id": AUDIO_EOS_ID if known else None,
    }
    audio = {"num_codebooks": given.num_codebooks, "codebook_size": size}
    return from_mapping(LMConfig, _backbone(given, _TRANSFORMERS_ROPE, where) | audio | ids, where)


def backbone_from_llama(data: Mapping[str, Any], where: str = "config.json") -> dict[str, Any]:
    """The part of an `LMConfig` that a text model of Llama's shape has, from its config in the style of `transformers`.

    Raises:
        ConfigError: a size is missing, a value is of a wrong type or out of range, or it is a model of another shape.
    """
    _refuse_others(data, {"model_type": "llama", **_LLAMA_ONLY}, where)
    return _backbone(from_known(_Llama, data, where), _Rope(), where)


def lm_config_from_original(data: Mapping[str, Any], where: str = "config.json") -> LMConfig:
    """`LMConfig` from a published config in the original style, whose backbone is nested as ``text_config``.

    Raises:
        ConfigError: a size is missing, a value is of a wrong type or out of range, or the config asks for a variant
            without published weights (audio attention, layers without audio weights and the like).
    """
    text, inner = data.get("text_config"), f"{where}: text_config"
    if not isinstance(text, Mapping):
        raise ConfigError(f"{inner}: expected the backbone's table of settings, got {text!r}")
    _refuse_others(text, _LLAMA_ONLY, inner)
    backbone, given = from_known(_Llama, text, inner), from_known(_Original, data, where)
    size = given.audio_codebook_size
    _refuse_others(
        data,
        {
            "audio_dual_ffn_layers": list(range(backbone.num_hidden_layers)),
            "use_audio_out_self_attention": False,
            "use_audio_out_embed_projector": False,
            "use_rq_transformer": False,
            "audio_embed_avg": False,
            "audio_decoder_proj_num_layers": 0,
            "audio_stream_bos_id": size,
            "audio_stream_eos_id": size + 1,
        },
        where,
    )
    ids = {
        "audio_out_id": given.audio_out_token_idx,
        "audio_out_bos_id": given.audio_out_bos_token_id,
        "eot_id": given.eot_token_id,
        "end_of_text_id": given.pad_token_id,
        "audio_in_id": given.audio_in_token_idx,
        "audio_bos_id": given.audio_bos_token_id,
        "audio_eos_id": given.audio_eos_token_id,
    }
    audio = {"num_codebooks": given.audio_num_codebooks, "codebook_size": size}
    return from_mapping(LMConfig, _backbone(backbone, _Rope(), inner) | audio | ids, where)


def _backbone(given: _Llama, usual_rope: _Rope, where: str) -> dict[str, Any]:
    heads = given.num_attention_heads
    return {
        "vocab_size": given.vocab_size,
        "hidden_size": given.hidden_size,
        "num_layers": given.num_hidden_layers,
        "num_heads": heads,
        "num_kv_heads": given.num_key_value_heads or heads,
        "head_dim": given.head_dim or given.hidden_size // heads,
        "intermediate_size": given.intermediate_size,
        "context_length": given.max_position_embeddings,
        "rms_norm_eps": given.rms_norm_eps,
        "rope": vars(_rope(given, usual_rope, where)),
    }


def _rope(given: _Llama, usual: _Rope, where: str) -> RopeConfig:
    rope = given.rope_parameters or given.rope_scaling or usual
    theta = rope.rope_theta or given.rope_theta or 10_000.0
    if rope is usual and given.rope_theta is not None:
        theta = given.rope_theta
    kind = rope.rope_type or rope.type or "default"
    if kind == "default":
        return RopeConfig(theta)
    if kind != "llama3":
        raise ConfigError(f"{where}: rope type {kind!r} is not supported; only 'default' and 'llama3' are")
    factors = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    missing = [name for name in factors if getattr(rope, name) is None]
    if missing:
        raise ConfigError(f"{where}: '{missing[0]}' is missing in the settings of rotary positions; add it")
    return RopeConfig(theta, *(getattr(rope, name) for name in factors))


def _refuse_others(data: Mapping[str, Any], supported: Mapping[str, Any], where: str) -> None:
    for key, value in supported.items():
        if data.get(key, value) != value:
            raise ConfigError(f"{where}: {key} = {data[key]!r} is not supported; only {value!r} is")
