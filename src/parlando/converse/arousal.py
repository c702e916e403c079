"""How lively somebody speaks, by level and pitch beside what they said before: calm, neutral or excited, and no more.

A listener for where no emotion model is installed; it cannot tell joy from anger.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from parlando.audio.clip import Clip
from parlando.audio.pitch import pitch_track
from parlando.audio.silence import frame_levels

FRAME_SECONDS, LOUD_PERCENTILE = 0.05, 80
REMEMBERED_TURNS = 8
LEAST_DECIBELS, LEAST_SEMITONES = 4.0, 2.0


@dataclass(frozen=True)
class Arousal:
    """A feeling (`stages.Feeling`) with nothing but a name."""

    label: str


class ArousalListener:
    """A `stages.FeelingListener` of one speaker; the first turn is what the next ones are compared with."""

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=REMEMBERED_TURNS)
        self._pitches: deque[float] = deque(maxlen=REMEMBERED_TURNS)

    def feel(self, clip: Clip) -> Arousal:
        """Excited where a turn is louder and higher than usual, calm where it is softer and lower."""
        levels = frame_levels(clip.samples, round(FRAME_SECONDS * clip.sample_rate))
        pitch = pitch_track(clip.samples, clip.sample_rate)
        voiced = pitch[pitch > 0]
        if not len(voiced):
            return Arousal("neutral")
        level, semitones = float(np.percentile(levels, LOUD_PERCENTILE)), 12 * float(np.log2(np.median(voiced)))
        label = self._compared(level, semitones)
        self._levels.append(level)
        self._pitches.append(semitones)
        return Arousal(label)

    def _compared(self, level: float, semitones: float) -> str:
        if not self._levels:
            return "neutral"
        louder = (level - float(np.median(self._levels))) / LEAST_DECIBELS
        higher = (semitones - float(np.median(self._pitches))) / LEAST_SEMITONES
        arousal = (louder + higher) / 2
        if arousal >= 1:
            return "excited"
        return "calm" if arousal <= -1 else "neutral"
