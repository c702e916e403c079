"""Speaker embeddings of GE2E (Wan et al., 2018) by Resemblyzer, whose weights come with it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from parlando.audio.clip import Clip
from parlando.audio.resample import resample
from parlando.audio.silence import trim_silence
from parlando.evaluate.judges.base import JUDGE_RATE, Card, unit, version_of
from parlando.evaluate.optional import require

LEVEL = 0.05


class Resemblyzer:
    """A speaker encoder (`judges.base.SpeakerEncoder`): the speech of a clip, at one level."""

    def __init__(self) -> None:
        """Name it.

        Raises:
            MissingDependencyError: Resemblyzer is not installed.
        """
        self._library = require("resemblyzer")
        self.card = Card("resemblyzer", version_of("Resemblyzer"), {"silence": "trimmed", "level": LEVEL})

    @cached_property
    def _encoder(self) -> Any:
        return self._library.VoiceEncoder("cpu", verbose=False)

    def embed(self, clip: Clip) -> np.ndarray:
        """The voice of a clip, float32 [256]."""
        speech = trim_silence(clip.samples, clip.sample_rate)
        wave = resample(speech if len(speech) else clip.samples, clip.sample_rate, JUDGE_RATE)
        level = float(np.sqrt(np.square(wave, dtype=np.float64).mean()))
        return unit(self._encoder.embed_utterance(wave * (LEVEL / max(level, 1e-6))))
