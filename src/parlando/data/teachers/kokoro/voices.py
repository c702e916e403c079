"""Kokoro's voices are vectors: mixtures of them are new speakers, and so is a step away from one of them.

A made speaker's name is its seed. ``mix_017`` is a convex mixture of three voices; ``far_003`` is v + 0.35 (v − w).
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from parlando.core.errors import VoiceNotFoundError

ROWS, WIDTH = 510, 256
VOICE_BYTES = ROWS * WIDTH * 4
BRITISH = "b"
MADE = re.compile(r"(mix|far)_\d{3,}")
STEP = 0.35
LEAST_SHARE = 0.15

# fmt: off
MIXED = (
    "af_heart", "af_bella", "af_aoede", "af_sarah", "af_kore", "bf_emma", "bf_isabella",
    "am_michael", "am_fenrir", "am_puck", "am_onyx", "bm_george", "bm_fable", "bm_lewis",
    "af_alloy", "af_nova", "af_sky", "am_adam", "am_echo", "am_santa", "bf_alice",
    "jf_gongitsune", "jm_kumo", "hf_alpha", "hm_psi", "im_nicola", "pf_dora", "pm_alex",
    "zf_xiaoxiao", "zf_xiaobei", "zm_yunxi", "zm_yunyang", "zf_xiaoni", "zm_yunjian",
)
"""What speakers are made of. The other voices are in none: to a model that was taught mixtures they are unheard."""
# fmt: on

Recipe = tuple[tuple[str, float], ...]


def recipe(speaker: str) -> Recipe:
    """The voices of a speaker and their weights, which sum to 1; the same name has the same recipe everywhere."""
    if not MADE.fullmatch(speaker):
        return ((speaker, 1.0),)
    drawn = random.Random(speaker)
    if speaker.startswith("far_"):
        voice, other = drawn.sample(MIXED, 2)
        return ((voice, 1 + STEP), (other, -STEP))
    voices = drawn.sample(MIXED, 3)
    weights = [drawn.uniform(LEAST_SHARE, 1) for _ in voices]
    return tuple((voice, weight / sum(weights)) for voice, weight in zip(voices, weights, strict=True))


def is_british(speaker: str) -> bool:
    """Whether most of a speaker is British."""
    return sum(weight for voice, weight in recipe(speaker) if voice.startswith(BRITISH)) > 0.5


@dataclass(frozen=True)
class Voices:
    """The voices in a folder, one ``.bin`` file each."""

    folder: Path

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the voices that are there."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.bin")))

    def check(self, speaker: str) -> None:
        """Refuse a speaker that can neither be found nor made.

        Raises:
            VoiceNotFoundError: a voice that it needs is not there.
        """
        for voice, _ in recipe(speaker):
            if voice not in self.names:
                raise VoiceNotFoundError(voice, (*self.names, "mix_000 (any number)", "far_000 (any number)"))

    def style(self, speaker: str, tokens: int) -> np.ndarray:
        """What the model is told of a speaker who says so many tokens (float32 [1, width])."""
        parts = [weight * self._rows(voice)[[tokens - 1]] for voice, weight in recipe(speaker)]
        return np.asarray(sum(parts), np.float32)

    def _rows(self, voice: str) -> np.ndarray:
        return np.memmap(self.folder / f"{voice}.bin", np.float32, mode="r", shape=(ROWS, WIDTH))
