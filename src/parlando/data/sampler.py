"""Batches for training, each a pure function of its step number, so that a resumed run sees what it would have seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from parlando.core.config import NotNegative
from parlando.core.errors import ConfigError
from parlando.data.shards import Entry, PackedCorpus


@dataclass(frozen=True)
class CropConfig:
    """Random crops: how many of how many frames, how often each speaker and kind, how often at another speed.

    Without ``kind_weights`` an hour of music counts as much as one of speech; with them, a kind is drawn as often as
    its weight says, however many hours there are of it, and one that is not named is left out.
    """

    batch: int = 16
    frames: int = 36
    speaker_weights: Mapping[str, float] = field(default_factory=dict)
    warp_share: float = 0.25
    slowest: float = 0.84
    fastest: float = 1.2
    held_out_batch: int = 24
    kind_weights: Mapping[str, NotNegative] = field(default_factory=dict)


class Crops(NamedTuple):
    """Samples (float32 [batch, sample]), phone labels (uint8 [batch, frame, label]) and speaker numbers ([batch])."""

    waves: np.ndarray
    labels: np.ndarray
    speakers: np.ndarray


def at_speed(values: np.ndarray, speed: float, frames: int) -> np.ndarray:
    """Values ([frame, value]) of the first ``frames`` frames of a clip that is played ``speed`` times as fast."""
    flat = values.reshape(-1)
    centres = ((np.arange(frames * values.shape[1]) + 0.5) * speed).astype(int)
    return flat[np.minimum(centres, len(flat) - 1)].reshape(frames, values.shape[1])


class CropSampler:
    """Random crops of a packed corpus with their phone labels."""

    def __init__(self, corpus: PackedCorpus, config: CropConfig) -> None:
        self.corpus, self.config = corpus, config
        usable = [entry for entry in corpus.entries if self.usable(entry)]
        self.train = [e for e in usable if e.split == "train"]
        self.validation = [e for e in usable if e.split == "validation"] or self.train[:1]
        if not self.train:
            raise ConfigError(f"no utterance of '{corpus.folder}' is as long as a crop of {config.frames} frames")
        weights = self._weights()
        self.cumulative = np.cumsum(weights / weights.sum())
        self.speakers = sorted({e.speaker for e in usable})

    def _weights(self) -> np.ndarray:
        """How often each utterance is drawn: by its length and speaker, and within the share of its kind."""
        wanted, speakers = self.config.kind_weights, self.config.speaker_weights
        weights = np.array([e.samples * speakers.get(e.speaker, 1.0) for e in self.train], dtype=np.float64)
        if not wanted:
            return weights
        kinds = np.array([entry.kind for entry in self.train])
        for kind in {*kinds, *wanted}:
            present = kinds == kind
            if kind in wanted and not present.any():
                raise ConfigError(
                    f"crops.kind_weights: '{self.corpus.folder}' has no usable '{kind}'; of its recordings there are: "
                    f"{', '.join(sorted(set(kinds)))}"
                )
            weights[present] *= wanted.get(kind, 0.0) / weights[present].sum()
        if not weights.any():
            raise ConfigError("crops.kind_weights: at least one kind needs a weight above 0")
        return weights

    def batch(self, number: int) -> Crops:
        """The crops of a batch."""
        generator = np.random.default_rng((17, number))
        picks = np.searchsorted(self.cumulative, generator.random(self.config.batch))
        return self._stack([self._crop(self.train[min(i, len(self.train) - 1)], generator) for i in picks])

    def held_out(self) -> Crops:
        """The same crops every time, from sentences that training never sees."""
        generator = np.random.default_rng(23)
        picks = generator.integers(len(self.validation), size=self.config.held_out_batch)
        return self._stack([self._crop(self.validation[i], generator, warp=False) for i in picks])

    def describe(self, entry: Entry, first_frame: int, speed: float) -> np.ndarray:
        """What is known of the frames of a crop ([frame, label]): their phones."""
        return at_speed(self.corpus.labels(entry)[first_frame:], speed, self.config.frames)

    def usable(self, entry: Entry) -> bool:
        """Whether crops can be taken of an utterance, at any speed."""
        return entry.samples >= self.config.frames * self.corpus.config.frame_samples * self.config.fastest

    def loudness(self, generator: np.random.Generator) -> float:
        """What the samples of a crop are multiplied by."""
        return generator.uniform(0.6, 1.3)

    @staticmethod
    def _stack(crops: list[tuple[np.ndarray, np.ndarray, int]]) -> Crops:
        waves, labels, speakers = zip(*crops, strict=True)
        return Crops(np.stack(waves), np.stack(labels), np.array(speakers))

    def _crop(
        self, entry: Entry, generator: np.random.Generator, warp: bool = True
    ) -> tuple[np.ndarray, np.ndarray, int]:
        config, frame = self.config, self.corpus.config.frame_samples
        warped = warp and generator.random() < config.warp_share
        speed = generator.uniform(config.slowest, config.fastest) if warped else 1.0
        samples = config.frames * frame
        taken = int(np.ceil(samples * speed))
        first = int(generator.integers(0, (entry.samples - taken) // frame + 1)) * frame
        wave = self.corpus.samples(entry, first, taken)
        label = self.describe(entry, first // frame, speed)
        if warped:
            wave = np.interp(np.arange(samples) * speed, np.arange(len(wave)), wave).astype(np.float32)
        speaker = self.speakers.index(entry.speaker)
        return wave[:samples] * np.float32(self.loudness(generator)), label, speaker
