"""Crops for the vocoder: their pitch, and for some the mel that a flow makes of their codes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from parlando.data.pitch import CorpusPitch
from parlando.data.sampler import CropConfig, CropSampler, at_speed
from parlando.data.shards import Entry, PackedCorpus
from parlando.train.cosyvoice.predicted_mels import PredictedMels


class PitchedCropSampler(CropSampler):
    """Crops whose labels are pitch: hertz of every 10 ms of a frame, 0 where nothing is voiced."""

    def __init__(self, corpus: PackedCorpus, config: CropConfig) -> None:
        super().__init__(corpus, config)
        self.pitch = CorpusPitch(corpus)

    def describe(self, entry: Entry, first_frame: int, speed: float) -> np.ndarray:
        """Hertz (float32 [frame, point]) as heard at this speed."""
        hertz = self.pitch.hertz(entry)[first_frame:]
        return at_speed(hertz, speed, self.config.frames) * np.float32(speed)


class PredictedCropSampler(PitchedCropSampler):
    """Crops, as loud and as fast as they were recorded, whose labels are pitch and then the mels that a flow made.

    Raises:
        ConfigError: none of the corpus's utterances has any.
    """

    def __init__(self, corpus: PackedCorpus, config: CropConfig, mels: PredictedMels) -> None:
        self.mels = mels
        super().__init__(corpus, replace(config, warp_share=0.0))

    def usable(self, entry: Entry) -> bool:
        """Whether there is a mel of it too."""
        return entry in self.mels and super().usable(entry)

    def loudness(self, generator: np.random.Generator) -> float:
        """As recorded: the mel is of that."""
        del generator
        return 1.0

    def describe(self, entry: Entry, first_frame: int, speed: float) -> np.ndarray:
        """Hertz, then the bins of all mel frames (float32 [frame, point + mel frame × bin])."""
        hertz, mel = super().describe(entry, first_frame, speed), self.mels.mel(entry)
        ratio = len(mel) // (entry.samples // self.corpus.config.frame_samples)
        frames = mel[ratio * first_frame : ratio * (first_frame + self.config.frames)]
        return np.concatenate([hertz, frames.reshape(self.config.frames, -1)], axis=1)
