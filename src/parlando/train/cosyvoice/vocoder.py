"""Training of HiFT: spectral losses first, discriminators late, and the pitch predictor by the corpus's own pitch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from parlando.audio.fbank import MirroredMel
from parlando.core.errors import ConfigError
from parlando.data.sampler import CropConfig, Crops
from parlando.data.shards import PackedCorpus
from parlando.models.cosyvoice.parts.features import flow_mel_config
from parlando.models.cosyvoice.parts.hift import HiFT, HiFTConfig
from parlando.models.cosyvoice.parts.hift_weights import save_hift
from parlando.nn.streaming import Carry
from parlando.train.cosyvoice.predicted_mels import PredictedMels
from parlando.train.cosyvoice.start import find_hift
from parlando.train.cosyvoice.vocoder_examples import PitchedCropSampler, PredictedCropSampler
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.task import Arrays, Extent, Learner, Objective, Task
from parlando.train.shared.adversarial import DISCRIMINATORS, GENERATOR, AdversarialConfig, adversarial_objectives
from parlando.train.shared.discriminator import Discriminators
from parlando.train.shared.losses import SpectralLoss

_PITCH_UNIT_HERTZ = 100.0
_OTHER_STEPS = 1 << 30


@dataclass(frozen=True, kw_only=True)
class VocoderTrainConfig(AdversarialConfig):
    """A training of the vocoder in crops; one that starts from a run or a model has the ``hift`` of that.

    Mels are made of whole crops and ``margin_frames`` (of mel) cut off at both ends, where they would show the crop's
    border. Crops are up to ``quietest`` times as loud as the corpus. The corpus's pitch excites the vocoder at first,
    its own prediction after ``predicted_after`` of the budget. The pitch predictor, which costs little, learns from
    ``pitch_crops`` more a step. ``predicted_crops`` of the crops have the mel that a flow makes of their codes
    (`predicted_mels`).
    """

    hift: HiFTConfig = field(default_factory=HiFTConfig)
    crops: CropConfig = field(default_factory=CropConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    margin_frames: int = 2
    pitch_crops: int = 24
    predicted_crops: int = 0
    quietest: float = 0.3
    predicted_after: float = 0.2
    adversarial_after: float = 0.5
    pitch_weight: float = 1.0
    start_from: str | None = None

    def __post_init__(self) -> None:
        if min(self.margin_frames, self.pitch_crops, self.predicted_crops) < 0:
            raise ConfigError("margin_frames, pitch_crops and predicted_crops must be at least 0")
        if self.predicted_crops >= self.crops.batch:
            raise ConfigError(
                f"predicted_crops = {self.predicted_crops}: use less than the {self.crops.batch} crops of a batch"
            )


@dataclass(frozen=True)
class CropBatch(Arrays):
    """Samples, and what is known of every frame: its pitch, and for some crops the mel."""

    wave: Float[Tensor, "batch sample"]
    labels: Float[Tensor, "batch token value"]


@dataclass(frozen=True)
class VocoderCrops(Arrays):
    """A step's crops, those with a flow's mels, and more to learn the pitch from."""

    own: CropBatch
    made: CropBatch | None
    pitch: CropBatch | None


@dataclass(frozen=True)
class VocoderBatch:
    """Samples, the mel that they are to be made of, and its pitch in hertz (0 where nothing is voiced)."""

    wave: Float[Tensor, "batch sample"]
    mel: Float[Tensor, "batch bin frame"]
    hertz: Float[Tensor, "batch frame"]

    def joined(self, other: VocoderBatch) -> VocoderBatch:
        """The crops of both."""
        return VocoderBatch(*(torch.cat(pair) for pair in zip(vars(self).values(), vars(other).values(), strict=True)))


class VocoderTask(Task[VocoderCrops]):
    """Trains a `HiFT`.

    Raises:
        ConfigError: the corpus's pitch is not measured, or the corpus does not fit the vocoder.
    """

    batch_setting = "train.crops.batch"

    def __init__(self, corpus: PackedCorpus, config: VocoderTrainConfig, mels: PredictedMels | None = None) -> None:
        if config.predicted_crops and mels is None:
            raise ConfigError("train.predicted_crops: name the flow's mels by --mels; see: parlando data mels")
        started = find_hift(config.start_from) if config.start_from else None
        self.config = config = config if started is None else replace(config, hift=started.config)
        own_crops = replace(config.crops, batch=config.crops.batch - config.predicted_crops)
        self.sampler = PitchedCropSampler(corpus, own_crops)
        self.predicted_sampler = None
        if config.predicted_crops and mels is not None:
            self.predicted_sampler = PredictedCropSampler(
                corpus, replace(config.crops, batch=config.predicted_crops), mels
            )
        self.pitch_sampler = PitchedCropSampler(corpus, replace(config.crops, batch=config.pitch_crops))
        mel = flow_mel_config()
        packed, points = corpus.config, self.sampler.pitch.points
        self.points_per_mel = points * mel.hop_samples // packed.frame_samples
        fits = self.points_per_mel and points * mel.hop_samples % packed.frame_samples == 0
        if not fits or len({packed.sample_rate, config.hift.source.sample_rate, mel.sample_rate}) > 1:
            raise ConfigError(
                f"a corpus of {packed.sample_rate} Hz in frames of {packed.frame_samples} samples does not fit a "
                f"vocoder of {config.hift.source.sample_rate} Hz and {mel.hop_samples} samples; pack it again"
            )
        self.mel = MirroredMel(mel)
        self.hift = started or HiFT(config.hift)
        self.spectral = SpectralLoss(packed.sample_rate)
        self.discriminators = Discriminators()

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The vocoder, its discriminators, and what makes mels."""
        modules = {"hift": self.hift, DISCRIMINATORS: self.discriminators}
        return {**modules, "spectral": self.spectral, "mel": self.mel}

    @property
    def learners(self) -> Mapping[str, Learner]:
        """The vocoder and its discriminators."""
        learners = {GENERATOR: self.hift, DISCRIMINATORS: self.discriminators}
        return {name: Learner(module, self.config.optim) for name, module in learners.items()}

    def batch(self, number: int) -> VocoderCrops:
        """Random crops."""
        made = None if self.predicted_sampler is None else _crops(self.predicted_sampler.batch(number))
        pitch = _crops(self.pitch_sampler.batch(number + _OTHER_STEPS)) if self.config.pitch_crops else None
        return VocoderCrops(_crops(self.sampler.batch(number)), made, pitch)

    def extent(self, batch: VocoderCrops) -> Extent:
        """In crops, samples and seconds, of those that are made sound of, without their margins."""
        crops = [part for part in (batch.own, batch.made) if part is not None]
        margins = 2 * self.config.margin_frames * self.mel.config.hop_samples
        samples = sum(part.wave.numel() - len(part.wave) * margins for part in crops)
        seconds = samples / self.config.hift.source.sample_rate
        return Extent(sum(len(part.wave) for part in crops), seconds, samples)

    def objectives(self, batch: VocoderCrops, progress: float) -> Iterator[Objective]:
        """Spectra and pitch, then discriminators too."""
        config, crops = self.config, self._batch(batch.own, varied=True)
        if batch.made is not None:
            crops = crops.joined(self._predicted_batch(batch.made, varied=True))
        made, losses = self._reconstruct(crops, predicted=progress >= config.predicted_after)
        if batch.pitch is not None:
            more = self._batch(batch.pitch, varied=True)
            losses["pitch"] = (losses["pitch"] + self._pitch_loss(self.hift.f0_predictor(more.mel, Carry()), more)) / 2
        loss = losses["spectral"] + config.pitch_weight * losses["pitch"]
        if progress < config.adversarial_after:
            yield Objective(GENERATOR, loss, losses)
        else:
            yield from adversarial_objectives(self.discriminators, config, crops.wave, made, {"loss": loss, **losses})

    def _batch(self, crops: CropBatch, varied: bool = False) -> VocoderBatch:
        wave = crops.wave * self._loudness(crops.wave) if varied else crops.wave
        return self._inner(wave, self.mel(wave), crops.labels)

    def _predicted_batch(self, crops: CropBatch, varied: bool = False) -> VocoderBatch:
        """Crops with the mels that came with them."""
        wave, points = crops.wave, self.sampler.pitch.points
        mel = crops.labels[:, :, points:].unflatten(2, (-1, self.mel.config.num_bands)).flatten(1, 2).transpose(1, 2)
        if varied:
            loudness = self._loudness(wave)
            wave, mel = wave * loudness, mel + loudness.log()[:, :, None]
        return self._inner(wave, mel, crops.labels[:, :, :points])

    def _loudness(self, wave: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch 1"]:
        return torch.empty(len(wave), 1, device=wave.device).uniform_(self.config.quietest, 1.0)

    def _inner(
        self,
        wave: Float[Tensor, "batch sample"],
        mel: Float[Tensor, "batch bin frame"],
        hertz: Float[Tensor, "batch token point"],
    ) -> VocoderBatch:
        """What is left without the margins."""
        inner, hop = slice(self.config.margin_frames, -self.config.margin_frames or None), self.mel.config.hop_samples
        # A mel frame's middle is a point of the pitch: the second of two, when points are half as far apart.
        hertz = hertz.flatten(1)[:, self.points_per_mel // 2 :: self.points_per_mel][:, inner]
        return VocoderBatch(wave.unflatten(1, (-1, hop))[:, inner].flatten(1), mel[:, :, inner], hertz)

    def _reconstruct(
        self, batch: VocoderBatch, predicted: bool
    ) -> tuple[Float[Tensor, "batch sample"], dict[str, Tensor]]:
        """Samples of the mels, and the losses without discriminators."""
        hift, carry = self.hift, Carry()
        found = hift.f0_predictor(batch.mel, carry)
        source = hift.m_source(found.detach() if predicted else batch.hertz, self._noise, carry)
        made = hift.filter(batch.mel, source, carry)
        return made, {"spectral": self.spectral(made, batch.wave), "pitch": self._pitch_loss(found, batch)}

    @staticmethod
    def _pitch_loss(found: Float[Tensor, "batch frame"], batch: VocoderBatch) -> Float[Tensor, ""]:
        return (found - batch.hertz).abs().mean() / _PITCH_UNIT_HERTZ

    def _noise(self, first_frame: int, num_frames: int) -> Float[Tensor, "1 sample wave"]:
        """One draw for all rows; which, the step's seed says."""
        del first_frame
        config = self.config.hift
        return torch.randn(1, num_frames * config.samples_per_frame, config.source.num_waves)

    def evaluate(self, device: torch.device) -> Mapping[str, float]:
        """Of held-out crops, excited by the predicted pitch: spectral loss, pitch error, wrong decisions on voicing.

        Of made mels the spectral loss as ``made``.
        """
        batch = self._batch(_crops(self.sampler.held_out()).to(device))
        losses, made = self._held_out_losses(batch), {}
        if self.predicted_sampler is not None:
            crops = self._predicted_batch(_crops(self.predicted_sampler.held_out()).to(device))
            made["made"] = float(self._held_out_losses(crops)["spectral"])
        found, is_voiced = self.hift.f0_predictor(batch.mel, Carry()), batch.hertz > 0
        says_voiced = found > self.config.hift.source.voiced_above_hertz
        both = is_voiced & says_voiced
        error = (found[both] / batch.hertz[both] - 1).abs()
        return {
            "spectral": float(losses["spectral"]),
            "pitch_hertz": float(losses["pitch"]) * _PITCH_UNIT_HERTZ,
            "pitch_error": float(error.median()) if len(error) else 0.0,
            "voicing_error": float((is_voiced != says_voiced).float().mean()),
            **made,
        }

    def _held_out_losses(self, batch: VocoderBatch) -> dict[str, Tensor]:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return self._reconstruct(batch, predicted=True)[1]

    def export(self, folder: Path) -> None:
        """``hift.safetensors`` (float32, without weight norm) and ``hift.json``."""
        save_hift(self.hift, folder)


def _crops(crops: Crops) -> CropBatch:
    return CropBatch(torch.from_numpy(crops.waves), torch.from_numpy(crops.labels))
