"""Training of a content teacher for the audio tokenizer: a small HuBERT (Hsu et al., 2021), from audio alone.

Spans are masked, and what was there is told from what is around it: clusters of mels, and phones where they are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.audio.mel import MelConfig, MelSpectrogram
from parlando.audio.resample import sinc_resample
from parlando.core.config import AtLeastOne, NotNegative, Share, Size
from parlando.core.errors import ConfigError
from parlando.data.sampler import CropConfig, Crops, CropSampler
from parlando.data.shards import PHONES, UNKNOWN_PHONE, PackedCorpus
from parlando.models.higgs.parts.hubert import Hubert, HubertConfig
from parlando.models.higgs.parts.hubert_weights import load_hubert, read_hubert_config, save_hubert
from parlando.models.higgs.parts.unified_codec import UnifiedCodecConfig
from parlando.models.locate import locate
from parlando.nn.placement import full_precision
from parlando.nn.rvq import Codebook
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.task import Arrays, Extent, Learner, Objective, Task
from parlando.train.shared.losses import known_cross_entropy

BANDS: Final = 40
_CLUSTERING_BATCHES = 4
_HEARD_RATE = UnifiedCodecConfig().semantic_sample_rate


@dataclass(frozen=True)
class ContentTeacherTrainConfig:
    """A training of a HuBERT of the sizes ``hubert``, or of those of one that it starts from.

    Of the frames a share ``masked`` (a little less, since spans meet) is hidden in spans of ``span_frames``; of each it
    is told in which of so many ``clusters`` of the corpus's log mels it falls. Phones are told of all frames.
    """

    hubert: HubertConfig = field(default_factory=HubertConfig)
    crops: CropConfig = field(default_factory=lambda: CropConfig(warp_share=0.0))
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(rate=5e-4, warmup=0.08, final=0.0))
    clusters: Size = 100
    masked: Share = 0.5
    span_frames: AtLeastOne = 10
    cluster_weight: NotNegative = 1.0
    phone_weight: NotNegative = 1.0
    start_from: str | None = None


@dataclass(frozen=True)
class HeardBatch(Arrays):
    """Samples, and the phones of every frame of the corpus."""

    wave: Float[Tensor, "batch sample"]
    phones: Int[Tensor, "batch frame label"]


class MaskedHubert(nn.Module):
    """A HuBERT, the vector that stands for what is hidden, and a head that tells clusters and phones."""

    def __init__(self, config: HubertConfig, clusters: int) -> None:
        super().__init__()
        self.clusters, self.edge = clusters, config.samples_per_frame // 2
        self.hubert = Hubert(config)
        self.mask = nn.Parameter(torch.rand(config.hidden_size))
        self.head = nn.Linear(config.hidden_size, clusters + len(PHONES))

    def forward(
        self, wave: Float[Tensor, "batch sample"], hidden: Bool[Tensor, "batch frame"]
    ) -> tuple[Float[Tensor, "batch frame cluster"], Float[Tensor, "batch frame phone"]]:
        """Logits of clusters by the last layer, of phones by the mean of all, which is what a tokenizer will hear."""
        local = self.hubert.feature_extractor(functional.pad(wave, (self.edge, self.edge))).transpose(1, 2)
        projected = self.hubert.feature_projection(local)
        states = self.hubert.encoder(torch.where(hidden[..., None], self.mask.to(projected), projected))
        told, said = self.head(states[-1]), self.head(torch.stack(states).mean(0))
        return told[..., : self.clusters].float(), said[..., self.clusters :].float()


class Targets(nn.Module):
    """What a frame of the teacher's is: the nearest of some clusters of log mels, each clip's mean taken off."""

    def __init__(self, frame_samples: int, clusters: int) -> None:
        super().__init__()
        self.mel = MelSpectrogram(MelConfig(_HEARD_RATE, 2 * frame_samples, frame_samples, BANDS))
        self.codebook = Codebook(clusters, BANDS)

    def forward(self, wave: Float[Tensor, "batch sample"]) -> Int[Tensor, "batch frame"]:
        """The cluster of each frame."""
        heard = self.heard(wave)
        return self.codebook.nearest(heard.flatten(0, 1)).view(heard.shape[:2])

    def heard(self, wave: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame band"]:
        """What is clustered."""
        mel = self.mel(wave)
        return mel - mel.mean(1, keepdim=True)


class ContentTeacherTask(Task[HeardBatch]):
    """Trains a `Hubert`.

    Raises:
        FileMissingError, CheckpointError: what it starts from is not there, or damaged.
        ConfigError: crops are not whole frames of the teacher's, or too short for a span.
    """

    autocast_on = ("cpu", "cuda")
    batch_setting = "train.crops.batch"

    def __init__(self, corpus: PackedCorpus, config: ContentTeacherTrainConfig) -> None:
        self.config, self.sampler = config, CropSampler(corpus, config.crops)
        self.sample_rate = corpus.config.sample_rate
        started = locate(config.start_from) if config.start_from else None
        self.sizes = read_hubert_config(started) if started else config.hubert
        self.trained = MaskedHubert(self.sizes, config.clusters)
        if started:
            self.trained.hubert.load_state_dict(load_hubert(started).state_dict())
        self.targets = Targets(self.sizes.samples_per_frame, config.clusters)
        self._check_crops(corpus.config.frame_samples)
        waves = [torch.from_numpy(self.sampler.batch(number).waves) for number in range(_CLUSTERING_BATCHES)]
        self.targets.codebook.start(self.targets.heard(self._heard(torch.cat(waves))).flatten(0, 1))

    def _check_crops(self, frame_samples: int) -> None:
        samples, frame = self.config.crops.frames * frame_samples, self.sizes.samples_per_frame
        heard = samples * _HEARD_RATE / self.sample_rate
        if heard % frame or self.trained.hubert.num_frames(int(heard) + 2 * (frame // 2)) != heard / frame:
            raise ConfigError(
                f"train.crops.frames: {samples} samples at {self.sample_rate} Hz are not a whole number of the "
                f"teacher's frames, of {frame} at {_HEARD_RATE} Hz; choose another number"
            )
        if heard < self.config.span_frames * frame:
            raise ConfigError(
                f"train.span_frames: a span of {self.config.span_frames} frames is longer than a crop of "
                f"{heard / frame:.0f}; use longer crops, or shorter spans"
            )

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The teacher with its heads, and the clusters."""
        return {"trained": self.trained, "targets": self.targets}

    @property
    def learners(self) -> Mapping[str, Learner]:
        """The teacher with its heads."""
        return {"model": Learner(self.trained, self.config.optim)}

    def batch(self, number: int) -> HeardBatch:
        """Random crops."""
        return _batch(self.sampler.batch(number))

    def extent(self, batch: HeardBatch) -> Extent:
        """In crops, frames of the corpus and seconds."""
        return Extent(len(batch.wave), batch.wave.numel() / self.sample_rate, batch.phones[..., 0].numel())

    def objectives(self, batch: HeardBatch, progress: float) -> Iterator[Objective]:
        """What was hidden, and what is said."""
        del progress
        losses, _, _ = self._hear(batch, hide=True)
        loss = self.config.cluster_weight * losses["cluster"] + self.config.phone_weight * losses["phone"]
        yield Objective("model", loss, losses)

    def _hear(self, batch: HeardBatch, hide: bool) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Losses, logits of phones, and the phones; if nothing is hidden, the clusters of all frames are told."""
        with full_precision(batch.wave.device):
            wave = self._heard(batch.wave)
            clusters = self.targets(wave)
        hidden = self._spans(clusters) if hide else torch.zeros_like(clusters, dtype=torch.bool)
        told, said = self.trained(wave, hidden)
        asked = hidden if hide else ~hidden
        phones = _spread(batch.phones.flatten(1), clusters.shape[1])
        with full_precision(wave.device):
            losses = {
                "cluster": functional.cross_entropy(told[asked], clusters[asked]),
                "phone": known_cross_entropy(said.flatten(0, 1), phones.flatten(), UNKNOWN_PHONE),
            }
        return losses, said, phones

    def _spans(self, like: Int[Tensor, "batch frame"]) -> Bool[Tensor, "batch frame"]:
        """Which frames are hidden: spans from random places on, at least one in every clip."""
        clips, frames = like.shape
        span = self.config.span_frames
        starts = torch.rand(clips, frames - span + 1, device=like.device) < self.config.masked / span
        first = torch.randint(frames - span + 1, (clips, 1), device=like.device)
        padded = functional.pad(starts.scatter(1, first, value=True).float(), (span - 1, span - 1))
        return functional.max_pool1d(padded, span, stride=1) > 0

    def _heard(self, wave: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch heard"]:
        return sinc_resample(wave, self.sample_rate, _HEARD_RATE)

    def evaluate(self, device: torch.device) -> Mapping[str, float]:
        """Held-out losses with nothing hidden, and the accuracy of phones."""
        losses, said, phones = self._hear(_batch(self.sampler.held_out()).to(device), hide=False)
        right = (said.argmax(-1) == phones)[phones != UNKNOWN_PHONE].float()
        return {
            "phone_accuracy": float(right.mean()) if len(right) else 0.0,
            **{name: float(value) for name, value in losses.items()},
        }

    def export(self, folder: Path) -> None:
        """``config.json`` and ``model.safetensors`` (float32) as a HuBERT checkpoint for `transformers` has them."""
        save_hubert(self.trained.hubert, self.sizes, self.trained.mask, folder)


def _batch(crops: Crops) -> HeardBatch:
    return HeardBatch(torch.from_numpy(crops.waves), torch.from_numpy(crops.labels).long())


def _spread(labels: Int[Tensor, "batch label"], frames: int) -> Int[Tensor, "batch frame"]:
    """The label at the middle of each of so many frames."""
    middles = (torch.arange(frames, device=labels.device) + 0.5) * (labels.shape[1] / frames)
    return labels[:, middles.long()]
