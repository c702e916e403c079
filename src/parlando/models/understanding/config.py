"""Sizes of an understanding model: what it hears, the audio tower, and the language model that answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from parlando.core.config import AtLeastOne, NotNegative, Positive, Size
from parlando.core.errors import ConfigError


@dataclass(frozen=True)
class EarConfig:
    """Whisper's log mels; its published analysis is 400 and 160 samples at 16 kHz."""

    sample_rate: Size = 16_000
    fft_samples: Size = 512
    hop_samples: Size = 320
    num_bands: Size = 80


@dataclass(frozen=True)
class TowerConfig:
    """Whisper's encoder (Radford et al., 2022) by the published names; ``pooled``: pairs of frames averaged at the end.

    Higgs Audio's tower is Qwen2-Audio's, which is Whisper's with that pooling.
    """

    d_model: Size = 256
    encoder_layers: AtLeastOne = 6
    encoder_attention_heads: AtLeastOne = 4
    encoder_ffn_dim: Size = 1024
    max_source_positions: Size = 500
    pooled: bool = True

    def __post_init__(self) -> None:
        if self.d_model % self.encoder_attention_heads or self.d_model % 2:
            raise ConfigError(
                f"d_model {self.d_model} must be even and a multiple of encoder_attention_heads "
                f"{self.encoder_attention_heads}"
            )


@dataclass(frozen=True)
class AnswererConfig:
    """A decoder of Llama's kind, which reads the tower's frames before it writes."""

    hidden_size: Size = 192
    num_layers: AtLeastOne = 2
    num_heads: AtLeastOne = 3
    intermediate_size: Size = 512
    rms_norm_eps: Positive = 1e-5
    rope_theta: Positive = 10_000.0

    def __post_init__(self) -> None:
        if self.hidden_size % (2 * self.num_heads):
            raise ConfigError(f"hidden_size {self.hidden_size} must be a multiple of 2 x num_heads {self.num_heads}")


@dataclass(frozen=True)
class UnderstandingConfig:
    """Everything an understanding model is made by.

    ``ctc_symbols`` are told of each of the tower's frames. ``ctc_share`` is the weight of these against the decoder's
    when transcripts are chosen among; ``held_out_speakers`` were in no example that it learned from.
    """

    ear: EarConfig = field(default_factory=EarConfig)
    tower: TowerConfig = field(default_factory=TowerConfig)
    answerer: AnswererConfig = field(default_factory=AnswererConfig)
    ctc_symbols: AtLeastOne = 2
    ctc_share: NotNegative = 0.5
    held_out_speakers: tuple[str, ...] = ()

    @property
    def longest_seconds(self) -> float:
        """The most that is heard at once: all positions but the last two, which are silence."""
        return 2 * (self.tower.max_source_positions - 2) * self.ear.hop_samples / self.ear.sample_rate
