"""Training of HiFT: spectral losses first, discriminators late, and the pitch predictor by the corpus's own pitch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from parlando.audio.fbank import MirroredMel
from parlando.core.errors import ConfigError
from parlando.data.sampler import CropConfig, Crops
from parlando.data.shards import PackedCorpus
from parlando.models.cosyvoice.parts.features import flow_mel_config
from parlando.models.cosyvoice.parts.hift import HiFT, HiFTConfig
from parlando.models.cosyvoice.parts.hift_weights import WEIGHTS_FILE, published_layout, save_hift
from parlando.nn.checkpoint import load_strictly, read_tensors
from parlando.nn.streaming import Carry
from parlando.train.cosyvoice.predicted_mels import MadeMels
from parlando.train.cosyvoice.vocoder_examples import MadeCropSampler, PitchedCropSampler
from parlando.train.loop import parallel
from parlando.train.loop.optim import OptimConfig, apply_gradients, make_optimizer
from parlando.train.shared.discriminator import Discriminators, discriminator_loss, generator_losses
from parlando.train.shared.losses import SpectralLoss

_PITCH_UNIT_HERTZ = 100.0
_OTHER_STEPS = 1 << 30


@dataclass(frozen=True)
class VocoderTrainConfig:
    """A training of the vocoder in crops.

    Mels are made of whole crops and ``margin_frames`` (of mel) cut off at both ends, where they would show the crop's
    border. Crops are up to ``quietest`` times as loud as the corpus. The corpus's pitch excites the vocoder at first,
    its own prediction after ``predicted_after`` of the budget; discriminators join in after ``adversarial_after``.
    The pitch predictor, which costs little, learns from ``pitch_crops`` more a step. ``made_crops`` of the crops have
    the mel that a flow makes of their codes (`made_mels`).
    """

    hift: HiFTConfig = field(default_factory=HiFTConfig)
    crops: CropConfig = field(default_factory=CropConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    margin_frames: int = 2
    pitch_crops: int = 24
    made_crops: int = 0
    quietest: float = 0.3
    predicted_after: float = 0.2
    adversarial_after: float = 0.5
    pitch_weight: float = 1.0
    adversarial_weight: float = 0.15
    matching_weight: float = 0.5
    start_from: str | None = None

    def __post_init__(self) -> None:
        if min(self.margin_frames, self.pitch_crops, self.made_crops) < 0:
            raise ConfigError("margin_frames, pitch_crops and made_crops must be at least 0")
        if self.made_crops >= self.crops.batch:
            raise ConfigError(f"made_crops = {self.made_crops}: use less than the {self.crops.batch} crops of a batch")


@dataclass(frozen=True)
class VocoderBatch:
    """Samples, the mel that they are to be made of, and its pitch in hertz (0 where nothing is voiced)."""

    wave: Float[Tensor, "batch sample"]
    mel: Float[Tensor, "batch bin frame"]
    hertz: Float[Tensor, "batch frame"]

    def joined(self, other: VocoderBatch) -> VocoderBatch:
        """The crops of both."""
        return VocoderBatch(*(torch.cat(pair) for pair in zip(vars(self).values(), vars(other).values(), strict=True)))


class VocoderTask:
    """Implements `train.loop.Task` for `HiFT`.

    Raises:
        ConfigError: the corpus's pitch is not measured, or the corpus does not fit the vocoder.
    """

    def __init__(
        self,
        corpus: PackedCorpus,
        config: VocoderTrainConfig,
        device: str = "cpu",
        rank: int = 0,
        mels: MadeMels | None = None,
    ) -> None:
        if config.made_crops and mels is None:
            raise ConfigError("train.made_crops: name the flow's mels by --mels; see: parlando data mels")
        self.config, self.device, self.rank = config, torch.device(device), rank
        own_crops = replace(config.crops, batch=config.crops.batch - config.made_crops)
        self.sampler = PitchedCropSampler(corpus, own_crops)
        self.made_sampler = None
        if config.made_crops and mels is not None:
            self.made_sampler = MadeCropSampler(corpus, replace(config.crops, batch=config.made_crops), mels)
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
        self.mel = MirroredMel(mel).to(self.device)
        self.hift = HiFT(config.hift)
        self.spectral = SpectralLoss(packed.sample_rate).to(self.device)
        self.judges = Discriminators().to(self.device)
        if config.start_from:
            self._start_from(Path(config.start_from))
        self.hift.to(self.device)
        self.optimizer = make_optimizer(self.hift, config.optim)
        self.judge_optimizer = make_optimizer(self.judges, config.optim)

    def _start_from(self, folder: Path) -> None:
        file = folder / WEIGHTS_FILE
        load_strictly(self.hift, published_layout(read_tensors(file), self.hift), str(file))

    def train_step(self, step: int, progress: float) -> Mapping[str, float]:
        """One step: spectra and pitch, then discriminators too."""
        config, batch = self.config, self._batch(self.sampler.batch(step, self.rank), varied=True)
        if self.made_sampler is not None:
            batch = batch.joined(self._made_batch(self.made_sampler.batch(step, self.rank), varied=True))
        made, losses = self._reconstruct(self.hift.train(), batch, predicted=progress >= config.predicted_after)
        if config.pitch_crops:
            more = self._batch(self.pitch_sampler.batch(step + _OTHER_STEPS, self.rank), varied=True)
            losses["pitch"] = (losses["pitch"] + self._pitch_loss(self.hift.f0_predictor(more.mel, Carry()), more)) / 2
        loss = losses["spectral"] + config.pitch_weight * losses["pitch"]
        if progress >= config.adversarial_after:
            losses["judge"] = self._judge_step(batch.wave, made.detach(), progress)
            losses["adversarial"], losses["matching"] = self._judged(batch.wave, made)
            loss = loss + config.adversarial_weight * losses["adversarial"]
            loss = loss + config.matching_weight * losses["matching"]
        loss.backward()
        norm = apply_gradients(self.optimizer, self.hift.parameters(), config.optim, progress)
        seconds = batch.wave.numel() / config.hift.source.sample_rate * parallel.size()
        numbers = {name: float(value.detach()) for name, value in losses.items()}
        return {"loss": float(loss.detach()), **numbers, "norm": norm, "audio_seconds": seconds}

    def _batch(self, crops: Crops, varied: bool = False) -> VocoderBatch:
        wave, hertz = self._placed(crops.waves), self._placed(crops.labels)
        wave = wave * self._loudness(len(wave)) if varied else wave
        return self._inner(wave, self.mel(wave), hertz)

    def _made_batch(self, crops: Crops, varied: bool = False) -> VocoderBatch:
        """Crops with the mels that came with them."""
        wave, labels = self._placed(crops.waves), self._placed(crops.labels)
        points = self.sampler.pitch.points
        mel = labels[:, :, points:].unflatten(2, (-1, self.mel.config.num_bands)).flatten(1, 2).transpose(1, 2)
        if varied:
            loudness = self._loudness(len(wave))
            wave, mel = wave * loudness, mel + loudness.log()[:, :, None]
        return self._inner(wave, mel, labels[:, :, :points])

    def _placed(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def _loudness(self, rows: int) -> Float[Tensor, "batch 1"]:
        return torch.empty(rows, 1, device=self.device).uniform_(self.config.quietest, 1.0)

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
        self, hift: HiFT, batch: VocoderBatch, predicted: bool
    ) -> tuple[Float[Tensor, "batch sample"], dict[str, Tensor]]:
        """Samples of the mels, and the losses without judges."""
        carry = Carry()
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

    def _judge_step(
        self, wave: Float[Tensor, "batch sample"], made: Float[Tensor, "batch sample"], progress: float
    ) -> Float[Tensor, ""]:
        self.judges.requires_grad_(True)
        loss = discriminator_loss(self.judges(wave), self.judges(made))
        loss.backward()
        apply_gradients(self.judge_optimizer, self.judges.parameters(), self.config.optim, progress)
        return loss

    def _judged(
        self, wave: Float[Tensor, "batch sample"], made: Float[Tensor, "batch sample"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        self.judges.requires_grad_(False)
        with torch.no_grad():
            real = self.judges(wave)
        return generator_losses(real, self.judges(made))

    @torch.no_grad()
    def evaluate(self) -> Mapping[str, float]:
        """Of held-out crops, excited by the predicted pitch: spectral loss, pitch error, wrong decisions on voicing.

        Of made mels the spectral loss as ``made``.
        """
        batch = self._batch(self.sampler.held_out())
        losses, made = self._held_out_losses(batch), {}
        if self.made_sampler is not None:
            made["made"] = float(self._held_out_losses(self._made_batch(self.made_sampler.held_out()))["spectral"])
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
            return self._reconstruct(self.hift.eval(), batch, predicted=True)[1]

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        return {
            "hift": self.hift,
            "judges": self.judges,
            "optimizer": self.optimizer,
            "judge_optimizer": self.judge_optimizer,
        }

    def state(self) -> dict[str, Any]:
        """Weights and optimisers."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def export(self, folder: Path) -> None:
        """``hift.safetensors`` (float32, without weight norm) and ``hift.json``."""
        save_hift(self.hift, folder)
