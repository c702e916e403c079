"""Training of the light codec: reconstruction with a phone-aware first codebook, then the decoder against judges."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from parlando.data.sampler import CropConfig, Crops, CropSampler
from parlando.data.shards import PHONES, UNKNOWN_PHONE, PackedCorpus
from parlando.models.higgs.parts.spectral import SpectralCodec, SpectralCodecConfig
from parlando.nn.checkpoint import save_tensors
from parlando.nn.placement import training_autocast
from parlando.train.loop import parallel
from parlando.train.loop.checkpoint import load_weights
from parlando.train.loop.optim import OptimConfig, apply_gradients, make_optimizer
from parlando.train.shared.discriminator import Discriminators, discriminator_loss, generator_losses
from parlando.train.shared.losses import SpectralLoss
from parlando.train.shared.speaker_head import SpeakerHead


@dataclass(frozen=True)
class CodecTrainConfig:
    """A codec training; ``adversarial`` freezes encoder and codebooks and tunes the decoder against discriminators.

    The discriminators join in after ``adversarial_after`` of the budget; until then only spectra count.
    With ``spectral_weight`` 0 only the half-way spectrogram is learned, at half the cost: enough to settle the codes.
    ``speaker_weight`` is how strongly the content is kept from telling speakers apart (gradient reversal, Ganin and
    Lempitsky, 2015), judged over ``speaker_reach`` frames on each side. What an adversarial training evaluates and
    exports is the running mean of its decoders, of which each step keeps ``averaging``.
    """

    codec: SpectralCodecConfig = field(default_factory=SpectralCodecConfig)
    crops: CropConfig = field(default_factory=CropConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    adversarial: bool = False
    adversarial_after: float = 0.0
    start_from: str | None = None
    spectral_weight: float = 1.0
    mel_weight: float = 0.5
    phone_weight: float = 0.4
    speaker_weight: float = 0.0
    speaker_reach: int = 0
    commit_weight: float = 0.25
    adversarial_weight: float = 0.15
    matching_weight: float = 0.5
    dropout: float = 0.3
    unquantised: float = 0.05
    averaging: float = 0.999


class CodecTask:
    """Implements `train.loop.Task` for `SpectralCodec`."""

    def __init__(self, corpus: PackedCorpus, config: CodecTrainConfig, device: str = "cpu", rank: int = 0) -> None:
        self.config, self.device, self.rank = config, torch.device(device), rank
        self.sampler = CropSampler(corpus, config.crops)
        self.codec = SpectralCodec(config.codec)
        content_dim = config.codec.content_dim or config.codec.latent_dim
        self.phone_head = nn.Linear(content_dim, corpus.config.labels_per_frame * len(PHONES))
        self.speaker_head = SpeakerHead(content_dim, len(self.sampler.speakers), config.speaker_reach)
        self.spectral = SpectralLoss(config.codec.sample_rate)
        self.discriminators = Discriminators() if config.adversarial else None
        if config.start_from:
            load_weights(self.codec, Path(config.start_from) / "codec.safetensors")
        self.averaged = AveragedModel(self.codec.decoder, multi_avg_fn=get_ema_multi_avg_fn(config.averaging))
        self._place()

    def _place(self) -> None:
        trained: list[nn.Module] = [self.codec, self.phone_head, self.speaker_head]
        if self.discriminators is not None:
            self.codec.encoder.requires_grad_(False)
            trained = [self.codec.decoder]
            self.discriminators.to(self.device)
            self.averaged.to(self.device)
            self.judge_optimizer = make_optimizer(self.discriminators, self.config.optim)
        self.trained = nn.ModuleList(trained)
        for module in (self.codec, self.phone_head, self.speaker_head, self.spectral):
            module.to(self.device)
        self.optimizer = make_optimizer(self.trained, self.config.optim)

    def train_step(self, step: int, progress: float) -> Mapping[str, float]:
        """One step of the stage that the config names."""
        batch = self._batch(self.sampler.batch(step, self.rank))
        run = self._reconstruction_step if self.discriminators is None else self._decoder_step
        metrics = run(*batch, progress)
        return {**metrics, "audio_seconds": batch[0].numel() / self.config.codec.sample_rate * parallel.size()}

    def _batch(self, crops: Crops) -> tuple[Tensor, Tensor, Tensor]:
        wave, phones, speakers = (torch.from_numpy(array).to(self.device) for array in crops)
        return wave, phones.long(), speakers

    def _autocast(self) -> Any:
        return training_autocast(self.device)

    def _reconstruction_step(
        self,
        wave: Float[Tensor, "batch sample"],
        phones: Int[Tensor, "batch frame label"],
        speakers: Int[Tensor, " batch"],
        progress: float,
    ) -> dict[str, float]:
        config, codec = self.config, self.codec.train()
        mel = codec.analyse(wave)
        with self._autocast():
            latent = codec.encoder(mel)
        total, content, codes, commit = self._quantize(latent.float(), progress)
        with self._autocast():
            made, halfway = codec.decoder(total) if config.spectral_weight else (None, codec.decoder.halfway(total)[1])
        losses = {
            "spectral": torch.zeros(()) if made is None else self.spectral(made, wave),
            "mel": (halfway.float() - mel).abs().mean(),
            "phone": functional.cross_entropy(
                self._phone_logits(content).flatten(0, 2), phones.flatten(), ignore_index=UNKNOWN_PHONE
            ),
            "commit": commit,
            "speaker": self.speaker_head(content, speakers),
        }
        loss = sum((weight * losses[name] for name, weight in self._weights().items()), torch.zeros(()))
        loss.backward()
        norm = apply_gradients(self.optimizer, self.trained.parameters(), config.optim, progress)
        used = float(np.mean([len(stage.unique()) for stage in codes.unbind(1)]))
        numbers = {k: float(v.detach()) for k, v in losses.items()}
        return {"loss": float(loss.detach()), **numbers, "codes_used": used, "norm": norm}

    def _quantize(
        self, latent: Float[Tensor, "batch frame latent"], progress: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quantise, but not before the encoder has learned enough for its vectors to be worth clustering."""
        if progress < self.config.unquantised:
            zero = torch.zeros((), device=self.device)
            content = self.codec.quantizer.content(latent)
            return latent, content, torch.zeros(len(latent), 1, 1, dtype=torch.long), zero
        return self.codec.quantizer(latent, self._stages_used(len(latent)))

    def _phone_logits(self, content: Float[Tensor, "batch frame content"]) -> Float[Tensor, "batch frame label phone"]:
        return self.phone_head(content).float().unflatten(2, (-1, len(PHONES)))

    def _weights(self) -> dict[str, float]:
        c = self.config
        weights = {"spectral": c.spectral_weight, "mel": c.mel_weight, "phone": c.phone_weight}
        return {**weights, "commit": c.commit_weight, "speaker": c.speaker_weight}

    def _stages_used(self, batch: int) -> Int[Tensor, " batch"]:
        stages = self.config.codec.num_codebooks
        drop = torch.rand(batch, device=self.device) < self.config.dropout
        return torch.where(drop, torch.randint(1, max(2, stages), (batch,), device=self.device), stages)

    def _decoder_step(
        self,
        wave: Float[Tensor, "batch sample"],
        phones: Int[Tensor, "batch frame label"],
        speakers: Int[Tensor, " batch"],
        progress: float,
    ) -> dict[str, float]:
        del phones, speakers
        config, codec = self.config, self.codec
        latent = codec.quantizer.decode(codec.encode(wave)).clone()
        with self._autocast():
            made, halfway = codec.decoder(latent)
        parts = {
            "spectral": self.spectral(made, wave),
            "mel": (halfway.float() - codec.analyse(wave)).abs().mean(),
        }
        loss = config.spectral_weight * parts["spectral"] + config.mel_weight * parts["mel"]
        if progress >= config.adversarial_after:
            parts["judge"] = self._judge_step(wave, made.detach(), progress)
            parts["adversarial"], parts["matching"] = self._judged(wave, made)
            loss = loss + config.adversarial_weight * parts["adversarial"] + config.matching_weight * parts["matching"]
        loss.backward()
        norm = apply_gradients(self.optimizer, self.trained.parameters(), config.optim, progress)
        self.averaged.update_parameters(codec.decoder)
        return {"loss": float(loss.detach()), **{k: float(v.detach()) for k, v in parts.items()}, "norm": norm}

    @property
    def _decoder(self) -> nn.Module:
        """The decoder that is judged and kept."""
        return self.codec.decoder if self.discriminators is None else self.averaged.module

    def _judge_step(
        self, wave: Float[Tensor, "batch sample"], made: Float[Tensor, "batch sample"], progress: float
    ) -> Float[Tensor, ""]:
        judges = self.discriminators
        assert judges is not None
        judges.requires_grad_(True)
        with self._autocast():
            loss = discriminator_loss(judges(wave), judges(made))
        loss.backward()
        apply_gradients(self.judge_optimizer, judges.parameters(), self.config.optim, progress)
        return loss

    def _judged(
        self, wave: Float[Tensor, "batch sample"], made: Float[Tensor, "batch sample"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        judges = self.discriminators
        assert judges is not None
        judges.requires_grad_(False)
        with self._autocast():
            with torch.no_grad():
                real = judges(wave)
            return generator_losses(real, judges(made))

    @torch.no_grad()
    def evaluate(self) -> Mapping[str, float]:
        """Held-out spectral loss with all stages and phone accuracy of the first."""
        self.codec.eval()
        wave, phones, speakers = self._batch(self.sampler.held_out())
        codes = self.codec.encode(wave)
        made, halfway = self._decoder(self.codec.quantizer.decode(codes))
        content = self.codec.quantizer.content_of(codes[:, 0])
        right = self._phone_logits(content).argmax(-1) == phones
        known = phones != UNKNOWN_PHONE
        accuracy = float(right[known].float().mean()) if bool(known.any()) else 0.0
        mel = (halfway - self.codec.analyse(wave)).abs().mean()
        return {
            "spectral": float(self.spectral(made, wave)),
            "mel": float(mel),
            "phone_accuracy": accuracy,
            "speaker": float(self.speaker_head(content, speakers)),
        }

    def state(self) -> dict[str, Any]:
        """Weights and optimisers."""
        heads = {"phone_head": self.phone_head.state_dict(), "speaker_head": self.speaker_head.state_dict()}
        state = {"codec": self.codec.state_dict(), **heads}
        state["optimizer"] = self.optimizer.state_dict()
        if self.discriminators is not None:
            state["judges"] = self.discriminators.state_dict()
            state["judge_optimizer"] = self.judge_optimizer.state_dict()
            state["averaged"] = self.averaged.state_dict()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self.codec.load_state_dict(state["codec"])
        self.phone_head.load_state_dict(state["phone_head"])
        self.speaker_head.load_state_dict(state["speaker_head"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.discriminators is not None:
            self.discriminators.load_state_dict(state["judges"])
            self.judge_optimizer.load_state_dict(state["judge_optimizer"])
            self.averaged.load_state_dict(state["averaged"])

    def export(self, folder: Path) -> None:
        """``codec.safetensors`` (float32) and ``codec.json``."""
        kept = {f"decoder.{name}": tensor for name, tensor in self._decoder.state_dict().items()}
        tensors = {name: tensor.float() for name, tensor in {**self.codec.state_dict(), **kept}.items()}
        save_tensors(tensors, folder / "codec.safetensors")
        (folder / "codec.json").write_text(json.dumps(asdict(self.config.codec), indent=2), encoding="utf-8")
