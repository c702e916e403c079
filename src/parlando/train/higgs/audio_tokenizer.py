"""Training of the unified audio tokenizer: two encoders, one quantiser, two decoders, and a teacher that never learns.

The design is X-Codec's (Ye et al., 2024) with DAC's acoustic half (Kumar et al., 2023). How Higgs's was trained is not
published; losses and weights here are those of these two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.core.config import NotNegative, Share
from parlando.core.errors import ConfigError
from parlando.data.sampler import CropConfig, Crops, CropSampler
from parlando.data.shards import PackedCorpus
from parlando.models.higgs.build import load_codec_of
from parlando.models.higgs.parts.codec_weights import save_published_codec
from parlando.models.higgs.parts.hubert import HubertConfig
from parlando.models.higgs.parts.hubert_weights import load_hubert, read_hubert_config
from parlando.models.higgs.parts.unified_codec import UnifiedCodec, UnifiedCodecConfig
from parlando.models.locate import locate
from parlando.nn.placement import full_precision
from parlando.nn.rvq import CodebookLearning
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.task import Arrays, Extent, Learner, Objective, Task
from parlando.train.shared.adversarial import DISCRIMINATORS, GENERATOR, AdversarialConfig, adversarial_objectives
from parlando.train.shared.codes import mean_perplexity, mean_used
from parlando.train.shared.discriminator import DiscriminatorConfig, Discriminators
from parlando.train.shared.losses import FINE_RESOLUTIONS, SpectralLoss

KIND = "dac"
_OPTIM = OptimConfig(rate=1e-4, beta1=0.8, beta2=0.99, weight_decay=0.01, warmup=0.01, clip=100.0)
_WIDE = DiscriminatorConfig(
    period_widths=(32, 128, 512, 1024), fft_samples=(128, 256, 512, 1024, 2048), spectrum_width=32
)


@dataclass(frozen=True, kw_only=True)
class AudioTokenizerTrainConfig(AdversarialConfig):
    """A training of the audio tokenizer, of the published sizes by default.

    The teacher is a HuBERT of the sizes ``codec.teacher``, read from the folder ``teacher``; what starts from an audio
    tokenizer has that one's sizes, teacher included. ``semantic_loss`` is the distance of the features that are
    rebuilt from the teacher's. Of a share ``dropout`` of the clips only the first few codebooks are used, so that these
    can be decoded alone. Of a new tokenizer there are no codes for a share ``unquantised`` of the budget: vectors of an
    encoder that knows nothing are not worth clustering.
    """

    codec: UnifiedCodecConfig = field(default_factory=UnifiedCodecConfig)
    crops: CropConfig = field(default_factory=lambda: CropConfig(warp_share=0.0))
    optim: OptimConfig = _OPTIM
    learning: CodebookLearning = field(default_factory=lambda: CodebookLearning(decay=0.99))
    discriminators: DiscriminatorConfig = _WIDE
    teacher: str | None = None
    start_from: str | None = None
    adversarial_after: Share = 0.05
    adversarial_weight: NotNegative = 1.0
    matching_weight: NotNegative = 2.0
    mel_weight: NotNegative = 15.0
    semantic_weight: NotNegative = 100.0
    semantic_loss: Literal["l2", "cosine"] = "l2"
    commit_weight: NotNegative = 1.0
    dropout: Share = 0.5
    unquantised: Share = 0.01


@dataclass(frozen=True)
class WaveBatch(Arrays):
    """Samples."""

    wave: Float[Tensor, "batch sample"]


class AudioTokenizerTask(Task[WaveBatch]):
    """Trains a `UnifiedCodec`.

    Raises:
        FileMissingError, CheckpointError: what it starts from is not there, or damaged.
        ConfigError: there is no teacher, it is of other sizes, or the corpus does not fit the tokenizer.
    """

    # What makes sound, what is quantised and what is compared are in float32 even there.
    autocast_on = ("cuda",)
    batch_setting = "train.crops.batch"

    def __init__(self, corpus: PackedCorpus, config: AudioTokenizerTrainConfig) -> None:
        self.codec = _begin(config)
        unquantised = 0.0 if config.start_from else config.unquantised
        self.config = config = replace(config, codec=self.codec.config, unquantised=unquantised)
        _check_crops(corpus, config.crops, self.codec)
        self.codec.quantizer.learn_by(config.learning)
        self.sampler = CropSampler(corpus, config.crops)
        self.spectral = SpectralLoss(config.codec.sample_rate, FINE_RESOLUTIONS)
        self.discriminators = Discriminators(config.discriminators)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The tokenizer, its discriminators, and what compares spectra."""
        return {"codec": self.codec, DISCRIMINATORS: self.discriminators, "spectral": self.spectral}

    @property
    def learners(self) -> Mapping[str, Learner]:
        """The tokenizer, but for its teacher, and the discriminators."""
        learners = {GENERATOR: self.codec, DISCRIMINATORS: self.discriminators}
        return {name: Learner(module, self.config.optim) for name, module in learners.items()}

    def batch(self, number: int) -> WaveBatch:
        """Random crops."""
        return _batch(self.sampler.batch(number))

    def extent(self, batch: WaveBatch) -> Extent:
        """In crops, frames and seconds."""
        samples = batch.wave.numel()
        return Extent(len(batch.wave), samples / self.codec.sample_rate, samples // self.codec.samples_per_frame)

    def objectives(self, batch: WaveBatch, progress: float) -> Iterator[Objective]:
        """What is rebuilt, then what discriminators say of it, too."""
        config, wave = self.config, batch.wave
        quantised, codes, commit, features = self._quantise(wave, progress)
        rebuilt = self.codec.rebuilt_features(quantised)
        with full_precision(wave.device):
            made = self.codec.sound(quantised)
            losses = {
                "mel": self.spectral(made, wave),
                "semantic": self._semantic_loss(rebuilt.float(), features),
                "commit": commit,
            }
        weights = {"mel": config.mel_weight, "semantic": config.semantic_weight, "commit": config.commit_weight}
        loss = torch.stack([weight * losses[name] for name, weight in weights.items()]).sum()
        losses["codes_used"] = torch.tensor(mean_used(codes))
        if progress < config.adversarial_after:
            yield Objective(GENERATOR, loss, losses)
        else:
            yield from adversarial_objectives(self.discriminators, config, wave, made, {"loss": loss, **losses})

    def _quantise(
        self, wave: Float[Tensor, "batch sample"], progress: float
    ) -> tuple[
        Float[Tensor, "batch frame dim"],
        Int[Tensor, "batch codebook frame"],
        Float[Tensor, ""],
        Float[Tensor, "batch frame semantic"],
    ]:
        """Quantised latents, their codes, the commitment loss, and the teacher's features."""
        codec = self.codec
        with full_precision(wave.device):
            features = codec.semantic_features(wave)
        latents = codec.latents(wave, features).float()
        if progress < self.config.unquantised:
            return latents, torch.zeros(1, 1, 1, dtype=torch.long), latents.new_zeros(()), features
        with full_precision(wave.device):
            used = codec.quantizer.stages_used(len(wave), self.config.dropout, wave.device)
            quantised, _, codes, commit = codec.quantizer(latents, used)
        return quantised, codes, commit, features

    def _semantic_loss(
        self, rebuilt: Float[Tensor, "batch frame semantic"], features: Float[Tensor, "batch frame semantic"]
    ) -> Float[Tensor, ""]:
        if self.config.semantic_loss == "cosine":
            return 1 - functional.cosine_similarity(rebuilt, features, dim=2).mean()
        return functional.mse_loss(rebuilt, features)

    def evaluate(self, device: torch.device) -> Mapping[str, float]:
        """Held-out losses with all codebooks, and with half of them, and how many codes are in use."""
        codec, wave = self.codec, _batch(self.sampler.held_out()).to(device).wave
        features = codec.semantic_features(wave)
        codes = codec.quantizer.encode(codec.latents(wave, features))
        quantised = codec.quantizer.decode(codes)
        half = codec.quantizer.decode(codes[:, : -(-codec.num_codebooks // 2)])
        return {
            "mel": float(self.spectral(codec.sound(quantised), wave)),
            "mel_of_half": float(self.spectral(codec.sound(half), wave)),
            "semantic": float(self._semantic_loss(codec.rebuilt_features(quantised), features)),
            "codes_used": mean_used(codes),
            "code_perplexity": mean_perplexity(codes),
        }

    def export(self, folder: Path) -> None:
        """``config.json`` and ``model.safetensors`` (float32) as they are published, in the transformers layout."""
        save_published_codec(self.codec, folder)


def _batch(crops: Crops) -> WaveBatch:
    return WaveBatch(torch.from_numpy(crops.waves))


def _begin(config: AudioTokenizerTrainConfig) -> UnifiedCodec:
    """The tokenizer to start from, or a new one around its teacher."""
    if config.start_from and config.teacher:
        raise ConfigError(
            "an audio tokenizer that is started from has its teacher in it; leave out --teacher or --from"
        )
    if config.start_from:
        return _started(locate(config.start_from))
    if not config.teacher:
        raise ConfigError(
            "an audio tokenizer needs a teacher: name the folder of a HuBERT with --teacher (parlando train "
            "content-teacher makes a small one), or that of an audio tokenizer with --from"
        )
    folder = locate(config.teacher)
    _check_sizes(folder, read_hubert_config(folder), config.codec.teacher)
    codec = UnifiedCodec(config.codec)
    codec.semantic_model.load_state_dict(load_hubert(folder).state_dict())
    return codec


def _started(folder: Path) -> UnifiedCodec:
    """A copy of the tokenizer in a folder; what only a training needs is new where a file lacks it."""
    found = load_codec_of(folder)
    if found.config.kind != KIND:
        raise ConfigError(
            f"'{folder}' has a codec of the kind '{found.config.kind}'; name the folder of a unified audio tokenizer, "
            "or train that codec by parlando train codec"
        )
    codec = UnifiedCodec(cast("UnifiedCodecConfig", found.config))
    codec.load_state_dict(found.state_dict(), strict=False)
    return codec


def _check_sizes(folder: Path, found: HubertConfig, wanted: HubertConfig) -> None:
    other = [
        f"{name} {getattr(found, name)} instead of {value}"
        for name, value in vars(wanted).items()
        if getattr(found, name) != value
    ]
    if other:
        raise ConfigError(
            f"'{folder}' is a HuBERT of other sizes than the recipe's: {', '.join(other)}; "
            "set them in [train.codec.teacher], or name another folder with --teacher"
        )


def _check_crops(corpus: PackedCorpus, crops: CropConfig, codec: UnifiedCodec) -> None:
    packed, hop = corpus.config, codec.samples_per_frame
    if packed.sample_rate != codec.sample_rate:
        raise ConfigError(
            f"the corpus has {packed.sample_rate} Hz and the audio tokenizer {codec.sample_rate}; pack the corpus again"
        )
    samples = crops.frames * packed.frame_samples
    if samples % hop:
        raise ConfigError(
            f"train.crops.frames: {crops.frames} frames of {packed.frame_samples} samples are not a whole number of "
            f"the tokenizer's, of {hop}; choose another number, or pack the corpus again"
        )
    if codec.num_frames(samples) != samples // hop:
        raise ConfigError(
            f"the teacher has {codec.num_frames(samples)} features where the tokenizer has {samples // hop} frames; "
            "check train.codec.acoustic.ratios, the sample rates and the teacher's conv_strides"
        )
