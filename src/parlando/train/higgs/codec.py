"""Training of the light codec: reconstruction with a phone-aware first codebook, then the decoder, adversarially."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from parlando.data.sampler import CropConfig, Crops, CropSampler
from parlando.data.shards import PHONES, UNKNOWN_PHONE, PackedCorpus
from parlando.models.higgs.parts.spectral import SpectralCodec, SpectralCodecConfig
from parlando.nn.checkpoint import save_tensors
from parlando.nn.placement import full_precision
from parlando.train.higgs.encoders import CODEC_CONFIG, CODEC_WEIGHTS
from parlando.train.loop.checkpoint import load_weights
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.task import Arrays, Extent, Learner, Objective, Task
from parlando.train.shared.adversarial import DISCRIMINATORS, GENERATOR, AdversarialConfig, adversarial_objectives
from parlando.train.shared.codes import mean_used
from parlando.train.shared.discriminator import Discriminators
from parlando.train.shared.losses import SpectralLoss, known_cross_entropy
from parlando.train.shared.speaker_head import SpeakerHead


@dataclass(frozen=True, kw_only=True)
class CodecTrainConfig(AdversarialConfig):
    """A codec training; ``adversarial`` freezes encoder and codebooks and tunes the decoder against discriminators.

    Until the discriminators join in, only spectra count.
    With ``spectral_weight`` 0 only the half-way spectrogram is learned, at half the cost: enough to settle the codes.
    ``speaker_weight`` is how strongly the content is kept from telling speakers apart (gradient reversal, Ganin and
    Lempitsky, 2015), judged over ``speaker_reach`` frames on each side. What an adversarial training evaluates and
    exports is the running mean of its decoders, of which each step keeps ``averaging``.
    """

    codec: SpectralCodecConfig = field(default_factory=SpectralCodecConfig)
    crops: CropConfig = field(default_factory=CropConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    adversarial: bool = False
    start_from: str | None = None
    spectral_weight: float = 1.0
    mel_weight: float = 0.5
    phone_weight: float = 0.4
    speaker_weight: float = 0.0
    speaker_reach: int = 0
    commit_weight: float = 0.25
    dropout: float = 0.3
    unquantised: float = 0.05
    averaging: float = 0.999


@dataclass(frozen=True)
class CodecBatch(Arrays):
    """Samples, the phones of every frame, and who speaks."""

    wave: Float[Tensor, "batch sample"]
    phones: Int[Tensor, "batch frame label"]
    speakers: Int[Tensor, " batch"]


class CodecTask(Task[CodecBatch]):
    """Trains a `SpectralCodec`."""

    autocast_on = ("cpu", "cuda")
    batch_setting = "train.crops.batch"

    def __init__(self, corpus: PackedCorpus, config: CodecTrainConfig) -> None:
        self.config, self.sampler = config, CropSampler(corpus, config.crops)
        self.codec = SpectralCodec(config.codec)
        content_dim = config.codec.content_dim or config.codec.latent_dim
        self.phone_head = nn.Linear(content_dim, corpus.config.labels_per_frame * len(PHONES))
        self.speaker_head = SpeakerHead(content_dim, len(self.sampler.speakers), config.speaker_reach)
        self.spectral = SpectralLoss(config.codec.sample_rate)
        self.discriminators = Discriminators() if config.adversarial else None
        if config.start_from:
            load_weights(self.codec, Path(config.start_from) / CODEC_WEIGHTS)
        self.averaged = AveragedModel(self.codec.decoder, multi_avg_fn=get_ema_multi_avg_fn(config.averaging))
        if self.discriminators is not None:
            self.codec.encoder.requires_grad_(False)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The codec, the heads that teach it, and those of the stage."""
        modules = {"codec": self.codec, "phone_head": self.phone_head, "speaker_head": self.speaker_head}
        modules["spectral"] = self.spectral
        if self.discriminators is not None:
            modules |= {DISCRIMINATORS: self.discriminators, "averaged": self.averaged}
        return modules

    @property
    def learners(self) -> Mapping[str, Learner]:
        """All of the codec and its heads, or in an adversarial stage the decoder and the discriminators."""
        if self.discriminators is None:
            trained = nn.ModuleList((self.codec, self.phone_head, self.speaker_head))
            return {GENERATOR: Learner(trained, self.config.optim)}
        learners = {GENERATOR: self.codec.decoder, DISCRIMINATORS: self.discriminators}
        return {name: Learner(module, self.config.optim) for name, module in learners.items()}

    def batch(self, number: int) -> CodecBatch:
        """Random crops."""
        return _batch(self.sampler.batch(number))

    def extent(self, batch: CodecBatch) -> Extent:
        """In crops, frames and seconds."""
        seconds = batch.wave.numel() / self.config.codec.sample_rate
        return Extent(len(batch.wave), seconds, batch.phones[..., 0].numel())

    def objectives(self, batch: CodecBatch, progress: float) -> Iterator[Objective]:
        """Those of the stage that the config names."""
        if self.discriminators is None:
            yield self._reconstruction(batch, progress)
        else:
            yield from self._decoding(self.discriminators, batch, progress)

    def after_step(self) -> None:
        """Average the decoder that is tuned."""
        if self.discriminators is not None:
            self.averaged.update_parameters(self.codec.decoder)

    def _reconstruction(self, batch: CodecBatch, progress: float) -> Objective:
        config, codec, wave = self.config, self.codec, batch.wave
        with full_precision(wave.device):
            mel = codec.analyse(wave)
        latent = codec.encoder(mel)
        with full_precision(wave.device):
            total, content, codes, commit = self._quantize(latent.float(), progress)
        made, halfway = codec.decoder(total) if config.spectral_weight else (None, codec.decoder.halfway(total)[1])
        with full_precision(wave.device):
            losses = {
                "spectral": torch.zeros(()) if made is None else self.spectral(made, wave),
                "mel": (halfway.float() - mel).abs().mean(),
                "phone": known_cross_entropy(
                    self._phone_logits(content).flatten(0, 2), batch.phones.flatten(), UNKNOWN_PHONE
                ),
                "commit": commit,
                "speaker": self.speaker_head(content, batch.speakers),
            }
        loss = sum((weight * losses[name] for name, weight in self._weights().items()), torch.zeros(()))
        return Objective(GENERATOR, loss, {**losses, "codes_used": torch.tensor(mean_used(codes))})

    def _quantize(
        self, latent: Float[Tensor, "batch frame latent"], progress: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quantise, but not before the encoder has learned enough for its vectors to be worth clustering."""
        if progress < self.config.unquantised:
            zero = torch.zeros((), device=latent.device)
            content = self.codec.quantizer.content(latent)
            return latent, content, torch.zeros(len(latent), 1, 1, dtype=torch.long), zero
        return self.codec.quantizer(
            latent, self.codec.quantizer.stages_used(len(latent), self.config.dropout, latent.device)
        )

    def _phone_logits(self, content: Float[Tensor, "batch frame content"]) -> Float[Tensor, "batch frame label phone"]:
        return self.phone_head(content).float().unflatten(2, (-1, len(PHONES)))

    def _weights(self) -> dict[str, float]:
        c = self.config
        weights = {"spectral": c.spectral_weight, "mel": c.mel_weight, "phone": c.phone_weight}
        return {**weights, "commit": c.commit_weight, "speaker": c.speaker_weight}

    def _decoding(self, discriminators: Discriminators, batch: CodecBatch, progress: float) -> Iterator[Objective]:
        config, codec, wave = self.config, self.codec, batch.wave
        with full_precision(wave.device):
            latent = codec.quantizer.decode(codec.encode(wave)).clone()
        made, halfway = codec.decoder(latent)
        with full_precision(wave.device):
            losses = {
                "spectral": self.spectral(made, wave),
                "mel": (halfway.float() - codec.analyse(wave)).abs().mean(),
            }
        loss = config.spectral_weight * losses["spectral"] + config.mel_weight * losses["mel"]
        if progress < config.adversarial_after:
            yield Objective(GENERATOR, loss, losses)
        else:
            yield from adversarial_objectives(discriminators, config, wave, made, {"loss": loss, **losses})

    @property
    def _decoder(self) -> nn.Module:
        """The decoder that is evaluated and kept."""
        return self.codec.decoder if self.discriminators is None else self.averaged.module

    def evaluate(self, device: torch.device) -> Mapping[str, float]:
        """Held-out spectral loss with all stages and phone accuracy of the first."""
        batch = _batch(self.sampler.held_out()).to(device)
        codes = self.codec.encode(batch.wave)
        made, halfway = self._decoder(self.codec.quantizer.decode(codes))
        content = self.codec.quantizer.content_of(codes[:, 0])
        right = self._phone_logits(content).argmax(-1) == batch.phones
        known = batch.phones != UNKNOWN_PHONE
        accuracy = float(right[known].float().mean()) if bool(known.any()) else 0.0
        mel = (halfway - self.codec.analyse(batch.wave)).abs().mean()
        return {
            "spectral": float(self.spectral(made, batch.wave)),
            "mel": float(mel),
            "phone_accuracy": accuracy,
            "speaker": float(self.speaker_head(content, batch.speakers)),
        }

    def export(self, folder: Path) -> None:
        """``codec.safetensors`` (float32) and ``codec.json``."""
        kept = {f"decoder.{name}": tensor for name, tensor in self._decoder.state_dict().items()}
        tensors = {name: tensor.float() for name, tensor in {**self.codec.state_dict(), **kept}.items()}
        save_tensors(tensors, folder / CODEC_WEIGHTS)
        (folder / CODEC_CONFIG).write_text(json.dumps(asdict(self.config.codec), indent=2), encoding="utf-8")


def _batch(crops: Crops) -> CodecBatch:
    wave, phones, speakers = map(torch.from_numpy, crops)
    return CodecBatch(wave, phones.long(), speakers)
