"""Training of the speaker encoder: which of many voices is it? Every recorded voice at every speed counts as one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.audio.resample import sinc_resample
from parlando.core.errors import ConfigError
from parlando.data.shards import Entry, PackedCorpus
from parlando.models.cosyvoice.parts.campplus import CampPlus, CampPlusConfig
from parlando.models.cosyvoice.parts.part_weights import SPEAKER_FILE, save_trained
from parlando.nn.checkpoint import load_strictly, read_tensors
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.task import Arrays, Extent, Learner, Objective, Task
from parlando.train.shared.augment import AugmentConfig, augment


@dataclass(frozen=True)
class SpeakerTrainConfig:
    """A training of the speaker encoder, in batches of crops of ``least_frames`` to ``most_frames`` of the corpus.

    Playing a voice faster or slower makes another: ``speeds`` are trained on, ``unseen_speeds`` only tested. A crop's
    tempo is changed once more by up to ``tempo_spread``, so that a voice is known by its sound and not by its haste.
    ``margin`` (radians, growing from nothing at ``margin_after`` of the budget) and ``scale`` are those of additive
    angular margin (Deng et al., 2019).
    """

    encoder: CampPlusConfig = field(default_factory=CampPlusConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    batch: int = 16
    least_frames: int = 40
    most_frames: int = 75
    speeds: tuple[float, ...] = (0.76, 0.84, 0.9, 0.95, 1.0, 1.06, 1.12, 1.19, 1.3)
    unseen_speeds: tuple[float, ...] = (0.8, 1.25)
    tempo_spread: float = 0.12
    margin: float = 0.2
    margin_after: float = 0.5
    scale: float = 24.0
    held_out_per_voice: int = 4
    start_from: str | None = None

    def margin_at(self, progress: float) -> float:
        """The margin at a share of the budget."""
        return self.margin * max(0.0, progress - self.margin_after) / (1 - self.margin_after)


class Voices(NamedTuple):
    """Crops of equal length (float32 [batch, sample]) and the number of the voice of each."""

    waves: np.ndarray
    voices: np.ndarray


class VoiceSampler:
    """Crops by voices, a recorded speaker at a speed, all equally often.

    Raises:
        ConfigError: no speaker has an utterance of the longest crop at the highest speed.
    """

    def __init__(self, corpus: PackedCorpus, config: SpeakerTrainConfig) -> None:
        self.corpus, self.config = corpus, config
        self.train = self._by_speaker([e for e in corpus.entries if e.split == "train"])
        self.validation = self._by_speaker([e for e in corpus.entries if e.split != "train"]) or self.train
        self.speakers = sorted(self.train)
        if not self.speakers:
            raise ConfigError(f"no utterance of '{corpus.folder}' is long enough; lower most_frames or the speeds")
        self.voices = list(product(self.speakers, config.speeds))

    def _by_speaker(self, entries: list[Entry]) -> dict[str, list[Entry]]:
        """Each speaker's utterances, the longest first; who has none for the longest crop is left out."""
        speakers: dict[str, list[Entry]] = {}
        for entry in sorted(entries, key=lambda e: -e.samples):
            speakers.setdefault(entry.speaker, []).append(entry)
        fastest = max(self.config.speeds + self.config.unseen_speeds)
        needed = self._samples(self.config.most_frames, fastest)
        return {name: mine for name, mine in speakers.items() if mine[0].samples >= needed}

    def batch(self, number: int) -> Voices:
        """The crops of a batch, of one length."""
        generator, config = np.random.default_rng((41, number)), self.config
        frames = int(generator.integers(config.least_frames, config.most_frames + 1))
        picks = generator.integers(len(self.voices), size=config.batch)
        crops = []
        for pick in picks:
            speaker, speed = self.voices[pick]
            crops.append(self._crop(self.train[speaker], speed, frames, generator))
        return Voices(np.stack(crops), picks)

    def held_out(self, speeds: tuple[float, ...]) -> Voices:
        """The same crops every time, of sentences that training never sees; as many of each speaker at each speed."""
        generator, config = np.random.default_rng(43), self.config
        known = [name for name in self.speakers if name in self.validation]
        chosen = [
            (self.speakers.index(name) * len(speeds) + i, name, s) for name in known for i, s in enumerate(speeds)
        ]
        crops = [
            (self._crop(self.validation[name], speed, config.most_frames, generator), number)
            for number, name, speed in chosen
            for _ in range(config.held_out_per_voice)
        ]
        waves, numbers = zip(*crops, strict=True)
        return Voices(np.stack(waves), np.array(numbers))

    def _samples(self, frames: int, speed: float) -> int:
        return math.ceil(frames * self.corpus.config.frame_samples * speed) + 1

    def _crop(self, mine: list[Entry], speed: float, frames: int, generator: np.random.Generator) -> np.ndarray:
        taken = self._samples(frames, speed)
        usable = int(np.searchsorted([-entry.samples for entry in mine], -taken, side="right"))
        entry = mine[generator.integers(usable)]
        wave = self.corpus.samples(entry, int(generator.integers(entry.samples - taken + 1)), taken)
        places = np.arange(frames * self.corpus.config.frame_samples) * speed
        return np.interp(places, np.arange(len(wave)), wave).astype(np.float32)


class AngularMargin(nn.Module):
    """Cross entropy over cosines to one direction per voice, the right one's angle made wider by a margin."""

    def __init__(self, dim: int, voices: int, scale: float) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.randn(voices, dim) * dim**-0.5)
        self.scale = scale

    def cosines(self, embeddings: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch voice"]:
        """How near each embedding is to each voice."""
        return functional.normalize(embeddings.float(), dim=1) @ functional.normalize(self.directions, dim=1).t()

    def forward(
        self, embeddings: Float[Tensor, "batch dim"], voices: Int[Tensor, " batch"], margin: float
    ) -> Float[Tensor, ""]:
        """The loss at a margin in radians; an angle that would pass half a turn is left as it is."""
        cosines = self.cosines(embeddings)
        right = cosines.gather(1, voices[:, None])
        wider = right * math.cos(margin) - (1 - right.square()).clamp_min(1e-6).sqrt() * math.sin(margin)
        wider = torch.where(right > -math.cos(margin), wider, right)
        return functional.cross_entropy(self.scale * cosines.scatter(1, voices[:, None], wider), voices)


@dataclass(frozen=True)
class VoiceBatch(Arrays):
    """Crops of equal length, and the number of the voice of each."""

    wave: Float[Tensor, "batch sample"]
    voices: Int[Tensor, " batch"]


class SpeakerTask(Task[VoiceBatch]):
    """Trains a `CampPlus`."""

    batch_setting = "train.batch"

    def __init__(self, corpus: PackedCorpus, config: SpeakerTrainConfig) -> None:
        self.config = config
        self.sampler, self.sample_rate = VoiceSampler(corpus, config), corpus.config.sample_rate
        self.encoder = CampPlus(config.encoder)
        if config.start_from:
            path = Path(config.start_from) / SPEAKER_FILE
            counters = {k: t for k, t in self.encoder.state_dict().items() if not t.is_floating_point()}
            load_strictly(self.encoder, {**counters, **read_tensors(path)}, str(path))
        self.head = AngularMargin(config.encoder.embedding_size, len(self.sampler.voices), config.scale)
        self.trained = nn.ModuleList((self.encoder, self.head))

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The encoder and the directions of the voices."""
        return {"trained": self.trained}

    @property
    def learners(self) -> Mapping[str, Learner]:
        """Both."""
        return {"model": Learner(self.trained, self.config.optim)}

    def batch(self, number: int) -> VoiceBatch:
        """Random crops."""
        return VoiceBatch(*map(torch.from_numpy, self.sampler.batch(number)))

    def extent(self, batch: VoiceBatch) -> Extent:
        """In crops, samples and seconds."""
        return Extent(len(batch.wave), batch.wave.numel() / self.sample_rate, batch.wave.numel())

    def objectives(self, batch: VoiceBatch, progress: float) -> Iterator[Objective]:
        """The encoder's."""
        embeddings = self.encoder(self._fbank(batch.wave))
        loss = self.head(embeddings, batch.voices, self.config.margin_at(progress))
        right = (self.head.cosines(embeddings.detach()).argmax(1) == batch.voices).float().mean()
        yield Objective("model", loss, {"accuracy": right})

    @torch.no_grad()
    def _fbank(self, wave: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame band"]:
        """Filterbanks without their mean; in training, of augmented clips at a changed tempo."""
        rate = self.config.encoder.fbank.sample_rate
        wave = sinc_resample(wave, self.sample_rate, rate)
        if not self.trained.training:
            bands = self.encoder.fbank(wave)
        else:
            bands = self.encoder.fbank(augment(wave, rate, self.config.augment))
            tempo = 1 + self.config.tempo_spread * (2 * float(torch.rand(())) - 1)
            frames = round(bands.shape[1] / tempo)
            bands = functional.interpolate(bands.transpose(1, 2), frames, mode="linear").transpose(1, 2)
        return bands - bands.mean(1, keepdim=True)

    def evaluate(self, device: torch.device) -> Mapping[str, float]:
        """Held-out accuracy, and equal error rates of telling two voices apart, also for speeds never trained on."""
        seen, unseen = (self.sampler.held_out(s) for s in (self.config.speeds, self.config.unseen_speeds))
        embeddings, voices = self._embed(seen, device), torch.from_numpy(seen.voices)
        right = self.head.cosines(embeddings).argmax(1).cpu() == voices
        return {
            "accuracy": float(right.float().mean()),
            "equal_error": equal_error_rate(embeddings, voices),
            "equal_error_unseen": equal_error_rate(self._embed(unseen, device), torch.from_numpy(unseen.voices)),
        }

    def _embed(self, crops: Voices, device: torch.device) -> Float[Tensor, "batch dim"]:
        parts = torch.from_numpy(crops.waves).to(device).split(self.config.batch)
        return torch.cat([self.encoder(self._fbank(part)) for part in parts])

    def export(self, folder: Path) -> None:
        """``speaker.safetensors`` (float32) and ``speaker.json``; the directions of the voices are left behind."""
        save_trained(self.encoder, self.encoder.config, folder / SPEAKER_FILE)


def equal_error_rate(embeddings: Float[Tensor, "clip dim"], voices: Int[Tensor, " clip"]) -> float:
    """Share of pairs judged wrongly at the cosine that refuses as many true pairs as it accepts false ones."""
    unit = functional.normalize(embeddings.float().cpu(), dim=1)
    first, second = torch.triu_indices(len(unit), len(unit), 1)
    same = (voices[first] == voices[second]).numpy()
    order = np.argsort((unit @ unit.t())[first, second].numpy(), kind="stable")
    refused = np.cumsum(same[order]) / max(1, same.sum())
    accepted = 1 - np.cumsum(~same[order]) / max(1, (~same).sum())
    best = int(np.argmin(np.abs(refused - accepted)))
    return float((refused[best] + accepted[best]) / 2)
