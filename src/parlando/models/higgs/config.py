"""What a Higgs checkpoint is: its language model's sizes and ids, and the whole folder's `config.json`.

Also reads the two published styles of `config.json` (the original nested one and that of `transformers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from parlando.core.config import from_mapping
from parlando.core.errors import ConfigError
from parlando.core.types import SamplingOptions
from parlando.nn.attention import AttentionConfig
from parlando.nn.rope import RopeConfig

PUBLISHED_AUDIO_BOS_ID = 128011
PUBLISHED_AUDIO_EOS_ID = 128012
PUBLISHED_AUDIO_OUT_BOS_ID = 128013
PUBLISHED_AUDIO_IN_ID = 128015
PUBLISHED_AUDIO_OUT_ID = 128016
PUBLISHED_END_OF_TEXT_ID = 128001
PUBLISHED_EOT_ID = 128009


@dataclass(frozen=True)
class LMConfig:
    """Sizes and special ids of the language model.

    ``codebook_size`` counts the codec's codes only; each table holds two more rows, `stream_bos` and `stream_eos`.
    Ids are of the text vocabulary: ``audio_bos_id`` opens reference audio, ``audio_out_bos_id`` spoken audio,
    ``audio_eos_id`` closes either; ``audio_in_id``, ``audio_out_id`` and ``delay_id`` (transformers layout only) are
    placeholders of audio frames; ``eot_id`` ends a turn; ``end_of_text_id`` pads.

    Raises:
        ConfigError: sizes that do not fit together, or an id outside the vocabulary.
    """

    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    num_codebooks: int
    codebook_size: int
    context_length: int
    audio_out_id: int
    audio_out_bos_id: int
    eot_id: int
    end_of_text_id: int
    audio_in_id: int | None = None
    audio_bos_id: int | None = None
    audio_eos_id: int | None = None
    delay_id: int | None = None
    rope: RopeConfig = field(default_factory=RopeConfig)
    rms_norm_eps: float = 1e-5
    text_head: bool = True

    def __post_init__(self) -> None:
        sizes = {name: value for name, value in vars(self).items() if type(value) is int and not name.endswith("_id")}
        for name, value in sizes.items():
            if value < 1:
                raise ConfigError(f"lm.{name}: {value} is not a size; use at least 1")
        if self.num_heads % self.num_kv_heads:
            raise ConfigError(f"lm.num_heads: {self.num_heads} is not a multiple of num_kv_heads = {self.num_kv_heads}")
        if self.head_dim % 2:
            raise ConfigError(f"lm.head_dim: {self.head_dim} is odd; rotary positions need an even size")
        for name, value in vars(self).items():
            if name.endswith("_id") and value is not None and not 0 <= value < self.vocab_size:
                raise ConfigError(f"lm.{name}: {value} is outside the vocabulary of {self.vocab_size} ids")

    @property
    def stream_bos(self) -> int:
        """The code that opens every codebook of a clip."""
        return self.codebook_size

    @property
    def stream_eos(self) -> int:
        """The code that closes every codebook of a clip."""
        return self.codebook_size + 1

    @property
    def table_rows(self) -> int:
        """Rows per codebook in the audio embedding and the audio head."""
        return self.codebook_size + 2

    @property
    def attention(self) -> AttentionConfig:
        """The sizes of one attention block."""
        return AttentionConfig(self.hidden_size, self.num_heads, self.num_kv_heads, self.head_dim)

    @property
    def placeholder_ids(self) -> frozenset[int]:
        """Ids whose positions hold audio frames."""
        ids = (self.audio_in_id, self.audio_out_id, self.delay_id)
        return frozenset(token for token in ids if token is not None)


@dataclass(frozen=True)
class HiggsConfig:
    """`config.json` of a checkpoint in Parlando's own layout.

    ``codec`` and ``text`` name their ``kind`` and carry its settings; ``expected`` holds what the recipe measured
    (``length``: the settings of the length prior). ``references_in`` says where prompts put the clips of a voice.
    """

    name: str
    lm: LMConfig
    codec: dict
    text: dict
    default_voice: str
    format: Literal[1] = 1
    family: Literal["higgs"] = "higgs"
    prompt_layout: Literal["original", "transformers"] = "original"
    references_in: Literal["turns", "system"] = "turns"
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    expected: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in ("codec", "text"):
            if not isinstance(getattr(self, part).get("kind"), str):
                raise ConfigError(f"{part}: 'kind' is missing; name the kind of {part}")


def parse_higgs_config(data: Mapping[str, Any], where: str = "config.json") -> HiggsConfig:
    """`HiggsConfig` from plain data.

    Raises:
        ConfigError: an unknown or missing key, a wrong type or a value out of range.
    """
    return from_mapping(HiggsConfig, data, where)


def lm_config_from_transformers(data: Mapping[str, Any], where: str = "config.json") -> LMConfig:
    """`LMConfig` from a published config in the style of `transformers` (whose ``codebook_size`` counts BOS and EOS).

    Raises:
        ConfigError: a size or id is missing, or the config asks for something that this model does not compute.
    """
    _refuse_others(data, {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False}, where)
    size, vocab_size = _required(data, "codebook_size", where) - 2, _required(data, "vocab_size", where)
    _refuse_others(data, {"audio_stream_bos_id": size, "audio_stream_eos_id": size + 1}, where)
    eos = _required(data, "eos_token_id", where)
    audio_out_id = _required(data, "audio_token_id", where)
    # This style does not name the ids around audio; they are known for the published vocabulary only.
    known = audio_out_id == PUBLISHED_AUDIO_OUT_ID
    return LMConfig(
        **_backbone(data, where),
        vocab_size=vocab_size,
        num_codebooks=_required(data, "num_codebooks", where),
        codebook_size=size,
        audio_out_id=audio_out_id,
        audio_out_bos_id=_required(data, "audio_bos_token_id", where),
        delay_id=_required(data, "audio_delay_token_id", where),
        eot_id=eos[0] if isinstance(eos, list) else eos,
        end_of_text_id=_required(data, "pad_token_id", where),
        audio_in_id=PUBLISHED_AUDIO_IN_ID if known else None,
        audio_bos_id=PUBLISHED_AUDIO_BOS_ID if known else None,
        audio_eos_id=PUBLISHED_AUDIO_EOS_ID if known else None,
    )


def lm_config_from_original(data: Mapping[str, Any], where: str = "config.json") -> LMConfig:
    """`LMConfig` from a published config in the original style, whose backbone is nested as ``text_config``.

    Raises:
        ConfigError: a size is missing, or the config asks for a variant without published weights (audio attention,
            layers without audio weights and the like).
    """
    text = _required(data, "text_config", where)
    inner = f"{where}: text_config"
    _refuse_others(text, {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False}, inner)
    layers = _required(text, "num_hidden_layers", inner)
    size = data.get("audio_codebook_size", 1024)
    _refuse_others(
        data,
        {
            "audio_dual_ffn_layers": list(range(layers)),
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
    return LMConfig(
        **_backbone(text, inner),
        vocab_size=_required(text, "vocab_size", inner),
        num_codebooks=_required(data, "audio_num_codebooks", where),
        codebook_size=size,
        audio_out_id=data.get("audio_out_token_idx", PUBLISHED_AUDIO_OUT_ID),
        audio_out_bos_id=data.get("audio_out_bos_token_id", PUBLISHED_AUDIO_OUT_BOS_ID),
        eot_id=data.get("eot_token_id", PUBLISHED_EOT_ID),
        end_of_text_id=data.get("pad_token_id", PUBLISHED_END_OF_TEXT_ID),
        audio_in_id=data.get("audio_in_token_idx", PUBLISHED_AUDIO_IN_ID),
        audio_bos_id=data.get("audio_bos_token_id", PUBLISHED_AUDIO_BOS_ID),
        audio_eos_id=data.get("audio_eos_token_id", PUBLISHED_AUDIO_EOS_ID),
    )


def _backbone(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The Llama part; what may be left out has Llama's defaults."""
    heads, hidden_size = _required(data, "num_attention_heads", where), _required(data, "hidden_size", where)
    return {
        "hidden_size": hidden_size,
        "num_layers": _required(data, "num_hidden_layers", where),
        "num_heads": heads,
        "num_kv_heads": data.get("num_key_value_heads") or heads,
        "head_dim": data.get("head_dim") or hidden_size // heads,
        "intermediate_size": _required(data, "intermediate_size", where),
        "context_length": _required(data, "max_position_embeddings", where),
        "rms_norm_eps": data.get("rms_norm_eps", 1e-6),
        "rope": _rope(data, where),
    }


def _rope(data: Mapping[str, Any], where: str) -> RopeConfig:
    settings = {"rope_theta": data.get("rope_theta", 10000.0)}
    settings |= data.get("rope_parameters") or data.get("rope_scaling") or {}
    kind = settings.get("rope_type", settings.get("type", "default"))
    if kind == "default":
        return RopeConfig(theta=float(settings["rope_theta"]))
    if kind != "llama3":
        raise ConfigError(f"{where}: rope type {kind!r} is not supported; only 'default' and 'llama3' are")
    return RopeConfig(
        theta=float(settings["rope_theta"]),
        factor=float(_required(settings, "factor", where)),
        low_freq_factor=float(_required(settings, "low_freq_factor", where)),
        high_freq_factor=float(_required(settings, "high_freq_factor", where)),
        original_context=int(_required(settings, "original_max_position_embeddings", where)),
    )


def _required(data: Mapping[str, Any], key: str, where: str) -> Any:
    if data.get(key) is None:
        raise ConfigError(f"{where}: '{key}' is missing; this is not a complete Higgs Audio v2 config")
    return data[key]


def _refuse_others(data: Mapping[str, Any], supported: Mapping[str, Any], where: str) -> None:
    for key, value in supported.items():
        if data.get(key, value) != value:
            raise ConfigError(f"{where}: {key} = {data[key]!r} is not supported; only {value!r} is")
