"""The unified audio tokenizer of Higgs Audio v2: acoustic latents and semantic features, quantised together.

Parameter names are those of the transformers layout, so published checkpoints load by name (see codec_weights).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.audio.resample import sinc_resample
from parlando.core.config import AtLeastOne, Size
from parlando.core.errors import AudioError, ConfigError
from parlando.models.higgs.parts.dac import DacConfig, DacDecoder, DacEncoder
from parlando.models.higgs.parts.hubert import Hubert, HubertConfig
from parlando.models.higgs.parts.semantic import SemanticConfig, SemanticDecoder, SemanticEncoder
from parlando.nn.rvq import ResidualVectorQuantizer

TRAINING_PARTS = ("decoder_semantic", "fc1")
"""Parts that only a training needs: they rebuild the teacher's features from the codes."""


@dataclass(frozen=True)
class UnifiedCodecConfig:
    """The published tokenizer by default.

    ``padding`` says how much silence goes to both sides of a clip whose acoustic frames come out one short of its
    semantic frames: ``transformers`` pads half a frame, ``original`` the semantic padding times the semantic stride.
    The codes differ.
    """

    kind: Literal["dac"] = "dac"
    sample_rate: Size = 24_000
    semantic_sample_rate: Size = 16_000
    num_codebooks: AtLeastOne = 8
    codebook_size: Size = 1024
    codebook_dim: Size = 64
    padding: Literal["transformers", "original"] = "transformers"
    acoustic: DacConfig = field(default_factory=DacConfig)
    teacher: HubertConfig = field(default_factory=HubertConfig)
    semantic: SemanticConfig = field(default_factory=SemanticConfig)

    def __post_init__(self) -> None:
        if self.semantic_stride < 1:
            raise ConfigError(
                "codec: the teacher is slower than the codec's frames; check the ratios and the sample rates"
            )

    @property
    def semantic_stride(self) -> int:
        """Teacher features per code frame, of which the first is kept."""
        samples = self.acoustic.samples_per_frame * self.semantic_sample_rate / self.sample_rate
        return int(samples / self.teacher.samples_per_frame)

    @property
    def semantic_padding_samples(self) -> int:
        """Zeros on both sides of the teacher's input, at its rate: half the distance of its features."""
        return self.teacher.samples_per_frame // 2

    @property
    def acoustic_padding_samples(self) -> int:
        """Zeros on both sides of a clip whose acoustic frames are too few, at the codec's rate."""
        if self.padding == "transformers":
            return self.acoustic.samples_per_frame // 2
        return self.semantic_padding_samples * self.semantic_stride


class UnifiedCodec(nn.Module):
    """DAC-style encoder and decoder, HuBERT features, and one residual quantiser over both."""

    past_frames: int
    future_frames: int

    def __init__(self, config: UnifiedCodecConfig) -> None:
        super().__init__()
        self.config = config
        acoustic_dim, semantic_dim = config.acoustic.latent_size, config.teacher.hidden_size
        dim = acoustic_dim + semantic_dim
        self.acoustic_encoder = DacEncoder(config.acoustic)
        self.acoustic_decoder = DacDecoder(config.acoustic)
        self.encoder_semantic = SemanticEncoder(semantic_dim, config.semantic)
        self.decoder_semantic = SemanticDecoder(semantic_dim, config.semantic)
        self.semantic_model = Hubert(config.teacher).eval().requires_grad_(False)
        self.fc = nn.Linear(dim, dim)
        self.fc1 = nn.Linear(dim, semantic_dim)
        self.fc2 = nn.Linear(dim, acoustic_dim)
        self.quantizer = ResidualVectorQuantizer(dim, config.codebook_dim, config.codebook_size, config.num_codebooks)
        self.past_frames, self.future_frames = self.acoustic_decoder.context()

    def leave_out(self, parts: Collection[str]) -> None:
        """Do without some of the `TRAINING_PARTS`, which a checkpoint need not have."""
        for name in parts:
            setattr(self, name, None)

    @property
    def sample_rate(self) -> int:
        """Samples per second, in and out."""
        return self.config.sample_rate

    @property
    def samples_per_frame(self) -> int:
        """Samples that one code frame stands for."""
        return self.config.acoustic.samples_per_frame

    @property
    def num_codebooks(self) -> int:
        """Codes per frame."""
        return self.config.num_codebooks

    @property
    def codebook_size(self) -> int:
        """Codewords per codebook."""
        return self.config.codebook_size

    @torch.no_grad()
    def semantic_features(self, wave: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame dim"]:
        """What the teacher hears, one vector per code frame; it never learns."""
        config = self.config
        slow = sinc_resample(wave, config.sample_rate, config.semantic_sample_rate)
        padded = functional.pad(slow, (config.semantic_padding_samples,) * 2)
        return self.semantic_model(padded)[:, :: config.semantic_stride]

    def acoustic_latents(
        self, wave: Float[Tensor, "batch sample"], num_frames: int
    ) -> Float[Tensor, "batch dim frame"]:
        """Latents of a wave that has ``num_frames`` semantic frames; padded where there would be too few."""
        if self.acoustic_encoder.num_frames(wave.shape[1]) != num_frames:
            wave = functional.pad(wave, (self.config.acoustic_padding_samples,) * 2)
        return self.acoustic_encoder(wave[:, None])

    def num_frames(self, num_samples: int) -> int:
        """How many code frames a clip of ``num_samples`` gives; 0 when it is too short."""
        config = self.config
        slow = -(-num_samples * config.semantic_sample_rate // config.sample_rate)
        features = self.semantic_model.num_frames(slow + 2 * config.semantic_padding_samples)
        return -(-features // config.semantic_stride)

    @torch.inference_mode()
    def encode(self, wave: Float[Tensor, "batch sample"]) -> Int[Tensor, "batch codebook frame"]:
        """Codes of a batch of equal lengths at ``sample_rate``.

        Raises:
            AudioError: the clip is shorter than one frame needs.
        """
        if self.num_frames(wave.shape[1]) == 0:
            raise AudioError(
                f"a clip of {wave.shape[1]} samples is too short to encode; one frame is {self.samples_per_frame}"
            )
        return self.quantizer.encode(self.latents(wave, self.semantic_features(wave)))

    def latents(
        self, wave: Float[Tensor, "batch sample"], features: Float[Tensor, "batch frame semantic"]
    ) -> Float[Tensor, "batch shared dim"]:
        """What is quantised of a wave and its `semantic_features`."""
        semantic = self.encoder_semantic(features.transpose(1, 2))
        acoustic = self.acoustic_latents(wave, semantic.shape[2])
        shared = min(acoustic.shape[2], semantic.shape[2])
        joined = torch.cat((acoustic[..., :shared], semantic[..., :shared]), dim=1)
        return self.fc(joined.transpose(1, 2))

    def sound(self, quantised: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch sample"]:
        """The samples of quantised latents."""
        return self.acoustic_decoder(self.fc2(quantised).transpose(1, 2))[:, 0]

    def rebuilt_features(self, quantised: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch frame semantic"]:
        """The `semantic_features` that quantised latents stand for; only with the `TRAINING_PARTS`."""
        return self.decoder_semantic(self.fc1(quantised).transpose(1, 2)).transpose(1, 2)

    @torch.inference_mode()
    def decode(self, codes: Int[Tensor, "batch codebook frame"]) -> Float[Tensor, "batch sample"]:
        """Samples, ``samples_per_frame`` for each code frame; the first few codebooks alone are allowed."""
        return self.sound(self.quantizer.decode(codes))
