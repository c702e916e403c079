"""What a CosyVoice checkpoint is: its language model's sizes and ids, and the whole folder's `config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from parlando.core.config import AtLeastOne, Count, NotNegative, Positive, Size, from_known, from_mapping
from parlando.core.errors import ConfigError
from parlando.core.types import SamplingOptions
from parlando.models.cosyvoice.parts.campplus import CampPlusConfig
from parlando.models.cosyvoice.parts.flow import FlowConfig
from parlando.models.cosyvoice.parts.hift import HiFTConfig
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizerConfig
from parlando.models.cosyvoice.tokenizer import HubTextConfig, PhonemeTextConfig
from parlando.models.options import FlowOptions
from parlando.nn.few_bits import Kind
from parlando.nn.heads import AttentionConfig
from parlando.nn.rope import RopeConfig
from parlando.nn.sampling import DrawRules, check_options
from parlando.text.length import Expected

DRAW_RULES = DrawRules(nucleus_of_all=True, redraw_others=True)
PUBLISHED_SAMPLING = SamplingOptions(temperature=1.0, top_k=25, top_p=0.8, repetition_window=10, repetition_limit=1)
PUBLISHED_CODEBOOK_SIZE = 6561
_PUBLISHED_THETA = 1e6


@dataclass(frozen=True)
class LMConfig:
    """Sizes of the language model, from which its ids follow.

    ``codebook_size`` counts the speech codes only; the speech table and head hold three more rows, of which `eos` ends
    the speech, `fill` asks for more text, and the one between them means nothing.
    ``vocab_size`` counts the text table; positions that are neither text have ids after it (`sos_id`, `task_id`, and
    `speech_id` for every position whose content is a code).
    ``group_text_tokens`` and ``group_speech_tokens`` are the two lengths that alternate when text arrives while it is
    spoken. A sentence has at least ``min_frames_per_token`` and at most ``max_frames_per_token`` frames per text token.

    With ``consensus_draws`` above 1 so many codes are drawn for each that is said, and the one nearest to them all is
    taken (`parts.mbr`): codes are numbers whose digits, of ``code_levels`` values each, are heard, and a small
    model knows most digits better than the whole number. ``guided_layer`` is the layer whose first head was taught to
    look at the phoneme that is due; in use it follows the text step by step (`parts.monotonic_attention`).

    Raises:
        ConfigError: sizes that do not fit together.
    """

    vocab_size: Size
    hidden_size: Size
    num_layers: AtLeastOne
    num_heads: AtLeastOne
    num_kv_heads: AtLeastOne
    head_dim: Size
    intermediate_size: Size
    codebook_size: Size
    context_length: Size
    rope: RopeConfig = field(default_factory=lambda: RopeConfig(theta=_PUBLISHED_THETA))
    rms_norm_eps: Positive = 1e-6
    group_text_tokens: AtLeastOne = 5
    group_speech_tokens: AtLeastOne = 15
    min_frames_per_token: NotNegative = 2.0
    max_frames_per_token: Positive = 20.0
    consensus_draws: AtLeastOne = 1
    code_levels: AtLeastOne = 3
    guided_layer: Count | None = None

    def __post_init__(self) -> None:
        if self.guided_layer is not None and not 0 <= self.guided_layer < self.num_layers:
            raise ConfigError(f"lm.guided_layer: there is no layer {self.guided_layer} among {self.num_layers}")
        sizes = {name: value for name, value in vars(self).items() if name != "guided_layer"}
        wrong = [name for name, value in sizes.items() if isinstance(value, int) and value < 1]
        if wrong:
            raise ConfigError(f"lm.{wrong[0]}: {getattr(self, wrong[0])} is not a size; use at least 1")
        if self.code_levels < 2:
            raise ConfigError(f"lm.code_levels: a digit of {self.code_levels} value says nothing; use at least 2")
        if self.num_heads % self.num_kv_heads or self.head_dim % 2:
            raise ConfigError(
                f"lm: {self.num_heads} heads of {self.head_dim} over {self.num_kv_heads} key heads cannot be; "
                "num_heads must be a multiple of num_kv_heads, and head_dim even"
            )
        if not 0 <= self.min_frames_per_token < self.max_frames_per_token:
            raise ConfigError(
                f"lm: from {self.min_frames_per_token} to {self.max_frames_per_token} frames per text token is no "
                "range; use 0 <= min_frames_per_token < max_frames_per_token"
            )

    @property
    def eos(self) -> int:
        """The code that ends the speech."""
        return self.codebook_size

    @property
    def fill(self) -> int:
        """The code that asks for the next group of text."""
        return self.codebook_size + 2

    @property
    def stop_codes(self) -> tuple[int, ...]:
        """Codes that are no speech."""
        return tuple(range(self.codebook_size, self.table_rows))

    @property
    def table_rows(self) -> int:
        """Rows of the speech table and of the speech head."""
        return self.codebook_size + 3

    @property
    def sos_id(self) -> int:
        """The position that opens every sequence."""
        return self.vocab_size

    @property
    def task_id(self) -> int:
        """The position between the end of the text and what is spoken of it from then on."""
        return self.vocab_size + 1

    @property
    def speech_id(self) -> int:
        """A position that holds a speech code."""
        return self.vocab_size + 2

    @property
    def attention(self) -> AttentionConfig:
        """The sizes of one attention block."""
        return AttentionConfig(self.hidden_size, self.num_heads, self.num_kv_heads, self.head_dim, qkv_bias=True)


@dataclass(frozen=True)
class CosyVoiceConfig:
    """`config.json` of a checkpoint in Parlando's own layout.

    ``expected`` holds what the recipe measured; ``quantize`` is as which kind of few bits the weights are stored.
    """

    name: str
    lm: LMConfig
    flow: FlowConfig
    hift: HiFTConfig
    speech_tokenizer: SpeechTokenizerConfig
    speaker: CampPlusConfig
    text: PhonemeTextConfig | HubTextConfig
    default_voice: str
    format: Literal[1] = 1
    family: Literal["cosyvoice"] = "cosyvoice"
    sampling: SamplingOptions = PUBLISHED_SAMPLING
    expected: Expected = field(default_factory=Expected)
    quantize: Kind | None = None

    def __post_init__(self) -> None:
        check_options(self.sampling)


def parse_cosyvoice_config(data: Mapping[str, Any], where: str = "config.json") -> CosyVoiceConfig:
    """`CosyVoiceConfig` from plain data.

    Raises:
        ConfigError: an unknown or missing key, a wrong type or a value out of range.
    """
    return from_mapping(CosyVoiceConfig, data, where)


def followed(flow: FlowConfig, options: FlowOptions) -> FlowConfig:
    """How a flow is followed if these options are asked for; the others stay. A first chunk is at most a whole one."""
    given = {name: value for name, value in vars(options).items() if value is not None}
    if "first_tokens" in given:
        given["first_tokens"] = min(given["first_tokens"], flow.encoder.chunk_tokens)
    if "left_chunks" in given:
        given["encoder"] = replace(flow.encoder, left_chunks=given.pop("left_chunks"))
    return replace(flow, **given)


@dataclass(frozen=True)
class _Qwen2:
    """The backbone's config, in its own words."""

    vocab_size: Size
    hidden_size: Size
    intermediate_size: Size
    num_hidden_layers: AtLeastOne
    num_attention_heads: AtLeastOne
    num_key_value_heads: AtLeastOne
    max_position_embeddings: Size
    head_dim: Size | None = None
    rope_theta: Positive = _PUBLISHED_THETA
    rms_norm_eps: Positive = 1e-6


def lm_config_from_published(
    backbone: Mapping[str, Any], codebook_size: int = PUBLISHED_CODEBOOK_SIZE, where: str = "config.json"
) -> LMConfig:
    """`LMConfig` from the Qwen2 config of a published folder (``CosyVoice-BlankEN/config.json``).

    That config does not know the speech codes; ``cosyvoice2.yaml`` calls their number ``speech_token_size``.

    Raises:
        ConfigError: a size is missing, or the config asks for something that this model does not compute.
    """
    supported = {"hidden_act": "silu", "use_sliding_window": False, "rope_scaling": None}
    for key, value in supported.items():
        if backbone.get(key, value) != value:
            raise ConfigError(f"{where}: {key} = {backbone[key]!r} is not supported; only {value!r} is")
    given = from_known(_Qwen2, backbone, where)
    own = {
        "vocab_size": given.vocab_size,
        "hidden_size": given.hidden_size,
        "num_layers": given.num_hidden_layers,
        "num_heads": given.num_attention_heads,
        "num_kv_heads": given.num_key_value_heads,
        "head_dim": given.head_dim or given.hidden_size // given.num_attention_heads,
        "intermediate_size": given.intermediate_size,
        "codebook_size": codebook_size,
        "context_length": given.max_position_embeddings,
        "rope": {"theta": given.rope_theta},
        "rms_norm_eps": given.rms_norm_eps,
    }
    return from_mapping(LMConfig, own, where)
