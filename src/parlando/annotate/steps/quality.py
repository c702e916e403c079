"""How a segment sounds: opinion score, noise, bandwidth, clipping, reverberation, and the gain that levels it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from parlando.annotate.models import OpinionPredictor
from parlando.annotate.rows import Row
from parlando.annotate.sound import decay_seconds, signal_to_noise
from parlando.annotate.step import Lazy, Step
from parlando.annotate.workspace import Workspace
from parlando.audio.check import clipped_share
from parlando.audio.clip import Clip
from parlando.audio.inspect import bandwidth
from parlando.audio.loudness import integrated_loudness

AROUND_SECONDS = 1.0
"""What is heard besides on both sides, for the noise of its pauses."""


@dataclass(frozen=True)
class Quality(Step):
    """Measures of a segment; ``gain_decibels`` brings it to a loudness, within bounds and below ``highest_peak``."""

    opinion: Lazy[OpinionPredictor] | None = None
    loudness_lufs: float = -23.0
    most_gain_decibels: float = 30.0
    highest_peak: float = 0.95

    name = "quality"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Who hears, and the wanted loudness."""
        return {
            "model": self.opinion and self.opinion.card,
            "around_seconds": AROUND_SECONDS,
            "loudness_lufs": self.loudness_lufs,
            "most_gain_decibels": self.most_gain_decibels,
            "highest_peak": self.highest_peak,
        }

    def run(self, row: Row, work: Workspace) -> Iterable[Row]:
        """The row with its measures."""
        audio, start, end = row.facts["audio"], row.facts["start"], row.facts["end"]
        clip = work.read(audio, start, end)
        around = work.read(audio, start - AROUND_SECONDS, end + AROUND_SECONDS)
        decay = decay_seconds(around.samples, around.sample_rate)
        facts: dict[str, Any] = {
            "snr_decibels": round(signal_to_noise(around.samples, around.sample_rate), 1),
            "bandwidth_hz": round(bandwidth(clip.samples, clip.sample_rate)),
            "clipped_share": round(clipped_share(clip.samples), 5),
            "decay_seconds": None if decay is None else round(decay, 3),
            "gain_decibels": self._gain(clip),
        }
        if self.opinion is not None:
            facts["mos"] = round(float(self.opinion().rate(clip)["mos"]), 3)
        yield self.tell(row, facts)

    def _gain(self, clip: Clip) -> float:
        loudness = integrated_loudness(clip.samples, clip.sample_rate)
        peak = float(np.abs(clip.samples).max(initial=0.0))
        if not math.isfinite(loudness) or not peak:
            return 0.0
        wanted = float(np.clip(self.loudness_lufs - loudness, -self.most_gain_decibels, self.most_gain_decibels))
        return round(min(wanted, 20 * math.log10(self.highest_peak / peak)), 2)
