"""Training of voice transfer: codes of every speaker from phones and pitch, frame by frame."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.core.errors import ConfigError
from parlando.data.pitch import CorpusPitch, pitch_contour
from parlando.data.shards import UNKNOWN_PHONE, Entry, PackedCorpus
from parlando.data.tokens import EncodedUtterance, TokenCorpus
from parlando.nn.checkpoint import save_tensors
from parlando.train.higgs.voice_transfer_net import VoiceTransferConfig, VoiceTransferNet
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.task import Arrays, Extent, Learner, Objective, Task

EXPORT = "voice_transfer"


@dataclass(frozen=True)
class VoiceTransferSizes:
    """The sizes that a recipe chooses; the rest follows from the corpus."""

    dim: int = 320
    hidden_dim: int = 768
    blocks: int = 8
    dropout: float = 0.1


@dataclass(frozen=True)
class VoiceTransferTrainConfig:
    """Stretches of how many frames, how many a step, how often each speaker."""

    sizes: VoiceTransferSizes = field(default_factory=VoiceTransferSizes)
    optim: OptimConfig = field(default_factory=OptimConfig)
    batch: int = 24
    frames: int = 60
    speaker_weights: Mapping[str, float] = field(default_factory=dict)
    held_out_batch: int = 48


def has_phones(corpus: PackedCorpus, entry: Entry) -> bool:
    """Whether an utterance has phone times; one that did not fit its text has none."""
    return bool((corpus.labels(entry) != UNKNOWN_PHONE).all())


@dataclass(frozen=True)
class Stretches(Arrays):
    """So many frames in a row of some utterances."""

    phones: Int[Tensor, "batch frame label"]
    contours: Float[Tensor, "batch frame value"]
    speakers: Int[Tensor, " batch"]
    codes: Int[Tensor, "batch codebook frame"]


class StretchSampler:
    """Stretches of utterances, as they were recorded, each batch a pure function of its step number."""

    def __init__(self, corpus: PackedCorpus, tokens: TokenCorpus, config: VoiceTransferTrainConfig) -> None:
        self.corpus, self.tokens, self.config, self.pitch = corpus, tokens, config, CorpusPitch(corpus)
        entries = {entry.id: entry for entry in corpus.entries}
        usable = [
            (entries[s.id], s)
            for s in tokens.utterances
            if s.speed == 1.0 and s.frames >= config.frames and s.id in entries and has_phones(corpus, entries[s.id])
        ]
        self.train = [pair for pair in usable if pair[1].split == "train"]
        if not self.train:
            raise ConfigError(
                f"no utterance of '{corpus.folder}' with phone times and {config.frames} frames is encoded"
            )
        self.speakers = tuple(sorted({spoken.speaker for _, spoken in self.train}))
        validation = [pair for pair in usable if pair[1].split == "validation" and pair[1].speaker in self.speakers]
        self.validation = validation or self.train[:1]
        self.ranges = self.pitch.training_ranges()
        weights = np.array([s.frames * config.speaker_weights.get(s.speaker, 1.0) for _, s in self.train], dtype=float)
        self.cumulative = np.cumsum(weights / weights.sum())

    def batch(self, number: int) -> Stretches:
        """The stretches of a batch."""
        generator = np.random.default_rng((31, number))
        picks = np.searchsorted(self.cumulative, generator.random(self.config.batch))
        return self._stack([self.train[min(i, len(self.train) - 1)] for i in picks], generator)

    def held_out(self, speaker: str | None = None) -> Stretches | None:
        """The same stretches every time, of sentences that training never sees, by one speaker or by all.

        A corpus too small to keep any back shows one that training sees.
        """
        generator = np.random.default_rng(37)
        chosen = [pair for pair in self.validation if speaker in (None, pair[1].speaker)]
        if not chosen:
            return None
        picks = generator.integers(len(chosen), size=self.config.held_out_batch)
        return self._stack([chosen[i] for i in picks], generator)

    def _stack(self, pairs: list[tuple[Entry, EncodedUtterance]], generator: np.random.Generator) -> Stretches:
        parts = [self._stretch(entry, spoken, generator) for entry, spoken in pairs]
        return Stretches(*(torch.from_numpy(np.stack(column)) for column in zip(*parts, strict=True)))

    def _stretch(
        self, entry: Entry, spoken: EncodedUtterance, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        frames = self.config.frames
        first = int(generator.integers(spoken.frames - frames + 1))
        part = slice(first, first + frames)
        prosody = pitch_contour(self.pitch.hertz(entry)[part], self.ranges[entry.speaker])
        speaker = np.array(self.speakers.index(entry.speaker))
        labels = self.corpus.labels(entry)[part].astype(np.int64)
        return labels, prosody, speaker, self.tokens.codes(spoken)[:, part]


class VoiceTransferTask(Task[Stretches]):
    """Trains a `VoiceTransferNet`."""

    autocast_on = ("cpu", "cuda")
    batch_setting = "train.batch"

    def __init__(self, sampler: StretchSampler, config: VoiceTransferTrainConfig) -> None:
        self.sampler, self.config = sampler, config
        tokens, pitch = sampler.tokens, sampler.pitch
        labels = sampler.corpus.config.labels_per_frame
        sizes = asdict(config.sizes)
        self.network = VoiceTransferNet(
            VoiceTransferConfig(
                sampler.speakers, tokens.num_codebooks, tokens.codebook_size, labels, pitch.points, **sizes
            )
        )

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The network."""
        return {"network": self.network}

    @property
    def learners(self) -> Mapping[str, Learner]:
        """The network."""
        return {"model": Learner(self.network, self.config.optim)}

    def batch(self, number: int) -> Stretches:
        """Random stretches."""
        return self.sampler.batch(number)

    def extent(self, batch: Stretches) -> Extent:
        """In frames."""
        frames = batch.codes.shape[0] * batch.codes.shape[2]
        return Extent(frames, frames * self._frame_seconds(), frames)

    def objectives(self, batch: Stretches, progress: float) -> Iterator[Objective]:
        """The network's."""
        del progress
        losses = self._losses(batch)
        yield Objective("model", losses["loss"], {"first": losses["first"], "last": losses["last"]})

    def _frame_seconds(self) -> float:
        config = self.sampler.corpus.config
        return config.frame_samples / config.sample_rate

    def _losses(self, batch: Stretches) -> dict[str, Float[Tensor, ""]]:
        codes = batch.codes
        logits = self.network(batch.phones, batch.contours, batch.speakers, codes).float()
        books = functional.cross_entropy(logits.flatten(0, 2), codes.flatten(), reduction="none").view(codes.shape)
        return {"loss": books.mean(), "first": books[:, 0].mean(), "last": books[:, -1].mean()}

    def evaluate(self, device: torch.device) -> Mapping[str, float]:
        """Cross entropy a code on held-out sentences: over all speakers, and each speaker's own."""
        numbers: dict[str, float] = {}
        for speaker in (None, *self.sampler.speakers):
            batch = self.sampler.held_out(speaker)
            if batch is not None:
                losses = self._losses(batch.to(device))
                names = losses if speaker is None else ("loss",)
                numbers |= {f"{name}/{speaker}" if speaker else name: float(losses[name]) for name in names}
        return numbers

    def export(self, folder: Path) -> None:
        """``voice_transfer.safetensors`` (float32) and ``voice_transfer.json``."""
        tensors = {name: tensor.float() for name, tensor in self.network.state_dict().items()}
        save_tensors(tensors, folder / f"{EXPORT}.safetensors")
        (folder / f"{EXPORT}.json").write_text(json.dumps(asdict(self.network.config), indent=2), encoding="utf-8")
