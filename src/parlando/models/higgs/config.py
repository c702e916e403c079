"""What a Higgs checkpoint is: its language model's sizes and ids, and the whole folder's `config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from parlando.core.config import AtLeastOne, Positive, Size, from_mapping
from parlando.core.errors import ConfigError
from parlando.core.types import SamplingOptions
from parlando.models.higgs.parts.codec import CodecConfig
from parlando.models.higgs.tokenizer import HubTextConfig, PhonemeTextConfig
from parlando.nn.few_bits import Kind
from parlando.nn.heads import AttentionConfig
from parlando.nn.rope import RopeConfig
from parlando.nn.sampling import check_options
from parlando.text.length import Expected


@dataclass(frozen=True)
class ReadingHead:
    """A head of a layer, both counted from 0."""

    layer: int
    head: int


@dataclass(frozen=True)
class LMConfig:
    """Sizes and special ids of the language model.

    ``codebook_size`` counts the codec's codes only; each table holds two more rows, `stream_bos` and `stream_eos`.
    Ids are of the text vocabulary: ``audio_bos_id`` opens reference audio, ``audio_out_bos_id`` spoken audio,
    ``audio_eos_id`` closes either; ``audio_in_id``, ``audio_out_id`` and ``delay_id`` (transformers layout only) are
    placeholders of audio frames; ``eot_id`` ends a turn; ``end_of_text_id`` pads. ``reading_head`` names the layer and
    the head that look at what is said next, where there are any.

    Raises:
        ConfigError: sizes that do not fit together, or an id outside the vocabulary.
    """

    vocab_size: Size
    hidden_size: Size
    num_layers: AtLeastOne
    num_heads: AtLeastOne
    num_kv_heads: AtLeastOne
    head_dim: Size
    intermediate_size: Size
    num_codebooks: AtLeastOne
    codebook_size: Size
    context_length: Size
    audio_out_id: int
    audio_out_bos_id: int
    eot_id: int
    end_of_text_id: int
    audio_in_id: int | None = None
    audio_bos_id: int | None = None
    audio_eos_id: int | None = None
    delay_id: int | None = None
    rope: RopeConfig = field(default_factory=RopeConfig)
    rms_norm_eps: Positive = 1e-5
    text_head: bool = True
    reading_head: ReadingHead | None = None

    def __post_init__(self) -> None:
        sizes = {name: value for name, value in vars(self).items() if type(value) is int and not name.endswith("_id")}
        for name, value in sizes.items():
            if value < 1:
                raise ConfigError(f"lm.{name}: {value} is not a size; use at least 1")
        if self.num_heads % self.num_kv_heads:
            raise ConfigError(f"lm.num_heads: {self.num_heads} is not a multiple of num_kv_heads = {self.num_kv_heads}")
        if self.head_dim % 2:
            raise ConfigError(f"lm.head_dim: {self.head_dim} is odd; rotary positions need an even size")
        head = self.reading_head
        if head is not None and not (0 <= head.layer < self.num_layers and 0 <= head.head < self.num_heads):
            raise ConfigError(
                f"lm.reading_head: there is no head {head.head} in a layer {head.layer}; the model has "
                f"{self.num_layers} layers of {self.num_heads} heads, counted from 0"
            )
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

    ``codec`` and ``text`` name their ``kind`` and carry its settings; ``expected`` holds what the recipe measured.
    ``references_in`` says where prompts put the clips of a voice, ``quantize`` as which kind of few bits the weights
    are stored.
    """

    name: str
    lm: LMConfig
    codec: CodecConfig
    text: PhonemeTextConfig | HubTextConfig
    default_voice: str
    format: Literal[1] = 1
    family: Literal["higgs"] = "higgs"
    prompt_layout: Literal["original", "transformers"] = "original"
    references_in: Literal["turns", "system"] = "turns"
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    expected: Expected = field(default_factory=Expected)
    quantize: Kind | None = None

    def __post_init__(self) -> None:
        check_options(self.sampling)


def parse_higgs_config(data: Mapping[str, Any], where: str = "config.json") -> HiggsConfig:
    """`HiggsConfig` from plain data.

    Raises:
        ConfigError: an unknown or missing key, a wrong type or a value out of range.
    """
    return from_mapping(HiggsConfig, data, where)
