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
from parlando.data.pitch import CorpusPitch
from parlando.data.sampler import CropConfig, Crops, CropSampler, at_speed
from parlando.data.shards import Entry, PackedCorpus
from parlando.models.cosyvoice.parts.features import flow_mel_config
from parlando.models.cosyvoice.parts.hift import HiFT, HiFTConfig
from parlando.models.cosyvoice.parts.hift_weights import WEIGHTS_FILE, published_layout, save_hift
from parlando.nn.checkpoint import load_strictly, read_tensors
from parlando.nn.streaming import Carry
from parlando.train import parallel
from parlando.train.discriminator import Discriminators, discriminator_loss, generator_losses
from parlando.train.losses import SpectralLoss
from parlando.train.optim import OptimConfig, apply_gradients, make_optimizer

_PITCH_UNIT_HERTZ = 100.0
_OTHER_STEPS = 1 << 30


@dataclass(frozen=True)
class VocoderTrainConfig:
    """A training of the vocoder in crops.

    Mels are made of whole crops and ``margin_frames`` (of mel) cut off at both ends, where they would show the crop's
    border. Crops are up to ``quietest`` times as loud as the corpus. The corpus's pitch excites the vocoder at first,
    its own prediction after ``predicted_after`` of the budget; discriminators join in after ``adversarial_after``.
    The pitch predictor, which costs little, learns from ``pitch_crops`` more a step.
    """

    hift: HiFTConfig = field(default_factory=HiFTConfig)
    crops: CropConfig = field(default_factory=CropConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    margin_frames: int = 2
    pitch_crops: int = 24
    quietest: float = 0.3
    predicted_after: float = 0.2
    adversarial_after: float = 0.5
    pitch_weight: float = 1.0
    adversarial_weight: float = 0.15
    matching_weight: float = 0.5
    start_from: str | None = None

    def __post_init__(self) -> None:
        if min(self.margin_frames, self.pitch_crops) < 0:
            raise ConfigError("margin_frames and pitch_crops cannot be negative")


@dataclass(frozen=True)
class VocoderBatch:
    """Samples, the mel that they are to be made of, and its pitch in hertz (0 where nothing is voiced)."""

    wave: Float[Tensor, "batch sample"]
    mel: Float[Tensor, "batch bin frame"]
    hertz: Float[Tensor, "batch frame"]


class PitchedCropSampler(CropSampler):
    """Crops whose labels are pitch: hertz of every 10 ms of a frame, 0 where nothing is voiced."""

    def __init__(self, corpus: PackedCorpus, config: CropConfig) -> None:
        super().__init__(corpus, config)
        self.pitch = CorpusPitch(corpus)

    def describe(self, entry: Entry, first_frame: int, speed: float) -> np.ndarray:
        """Hertz (float32 [frame, point]) as heard at this speed."""
        hertz = self.pitch.hertz(entry)[first_frame:]
        return at_speed(hertz, speed, self.config.frames) * np.float32(speed)


class VocoderTask:
    """Implements `train.loop.Task` for `HiFT`.

    Raises:
        ConfigError: the corpus's pitch is not measured, or the corpus does not fit the vocoder.
    """

    def __init__(self, corpus: PackedCorpus, config: VocoderTrainConfig, device: str = "cpu", rank: int = 0) -> None:
        self.config, self.device, self.rank = config, torch.device(device), rank
        self.sampler = PitchedCropSampler(corpus, config.crops)
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
        wave, hertz = (torch.from_numpy(array).to(self.device) for array in (crops.waves, crops.labels))
        if varied:
            wave = wave * torch.empty(len(wave), 1, device=self.device).uniform_(self.config.quietest, 1.0)
        inner = slice(self.config.margin_frames, -self.config.margin_frames or None)
        mel, hop = self.mel(wave)[:, :, inner], self.config.hift.samples_per_frame
        # A mel frame's middle is a point of the pitch: the second of two, when points are half as far apart.
        hertz = hertz.flatten(1)[:, self.points_per_mel // 2 :: self.points_per_mel][:, inner]
        return VocoderBatch(wave.unflatten(1, (-1, hop))[:, inner].flatten(1), mel, hertz)

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
        """Of held-out crops, excited by the predicted pitch: spectral loss, pitch error, wrong decisions on voicing."""
        batch = self._batch(self.sampler.held_out())
        with torch.random.fork_rng():
            torch.manual_seed(0)
            _, losses = self._reconstruct(self.hift.eval(), batch, predicted=True)
        found, is_voiced = self.hift.f0_predictor(batch.mel, Carry()), batch.hertz > 0
        says_voiced = found > self.config.hift.source.voiced_above_hertz
        both = is_voiced & says_voiced
        error = (found[both] / batch.hertz[both] - 1).abs()
        return {
            "spectral": float(losses["spectral"]),
            "pitch_hertz": float(losses["pitch"]) * _PITCH_UNIT_HERTZ,
            "pitch_error": float(error.median()) if len(error) else 0.0,
            "voicing_error": float((is_voiced != says_voiced).float().mean()),
        }

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
