"""Batches for training, each a pure function of its step number, so that a resumed run sees what it would have seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from parlando.core.errors import ConfigError
from parlando.data.shards import UNKNOWN_PHONE, Entry, PackedCorpus


@dataclass(frozen=True)
class CropConfig:
    """Random crops: how many of how many frames, how often each speaker, how often at another speed."""

    batch: int = 16
    frames: int = 36
    speaker_weights: Mapping[str, float] = field(default_factory=dict)
    warp_share: float = 0.25
    slowest: float = 0.84
    fastest: float = 1.2
    held_out_batch: int = 24


class CropSampler:
    """Random crops of a packed corpus with their phone labels."""

    def __init__(self, corpus: PackedCorpus, config: CropConfig) -> None:
        self.corpus, self.config = corpus, config
        enough = config.frames * corpus.config.frame_samples
        usable = [e for e in corpus.entries if e.samples >= enough * config.fastest]
        self.train = [e for e in usable if e.split == "train"]
        self.kept_back = [e for e in usable if e.split == "validation"] or self.train[:1]
        if not self.train:
            raise ConfigError(f"no utterance of '{corpus.folder}' is as long as a crop of {config.frames} frames")
        weights = np.array(
            [e.samples * config.speaker_weights.get(e.speaker, 1.0) for e in self.train], dtype=np.float64
        )
        self.cumulative = np.cumsum(weights / weights.sum())

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Samples (float32 [batch, sample]) and phone labels (uint8 [batch, frame]) of one step."""
        generator = np.random.default_rng((17, step))
        picks = np.searchsorted(self.cumulative, generator.random(self.config.batch))
        return self._stack([self._crop(self.train[min(i, len(self.train) - 1)], generator) for i in picks])

    def held_out(self) -> tuple[np.ndarray, np.ndarray]:
        """The same crops every time, from sentences that training never sees."""
        generator = np.random.default_rng(23)
        picks = generator.integers(len(self.kept_back), size=self.config.held_out_batch)
        return self._stack([self._crop(self.kept_back[i], generator, warp=False) for i in picks])

    @staticmethod
    def _stack(crops: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
        waves, labels = zip(*crops, strict=True)
        return np.stack(waves), np.stack(labels)

    def _crop(self, entry: Entry, generator: np.random.Generator, warp: bool = True) -> tuple[np.ndarray, np.ndarray]:
        config, frame = self.config, self.corpus.config.frame_samples
        warped = warp and generator.random() < config.warp_share
        speed = generator.uniform(config.slowest, config.fastest) if warped else 1.0
        samples = config.frames * frame
        taken = int(np.ceil(samples * speed))
        first = int(generator.integers(0, (entry.samples - taken) // frame + 1)) * frame
        wave = self.corpus.samples(entry, first, taken)
        labels = self.corpus.labels(entry)
        centres = ((np.arange(config.frames) + 0.5) * speed + first / frame).astype(int)
        label = labels[np.minimum(centres, len(labels) - 1)] if len(labels) else np.full(config.frames, UNKNOWN_PHONE)
        if warped:
            wave = np.interp(np.arange(samples) * speed, np.arange(len(wave)), wave).astype(np.float32)
        return wave[:samples] * np.float32(generator.uniform(0.6, 1.3)), label
