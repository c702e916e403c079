"""Which language each speaker of a recording speaks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from parlando.annotate.models import LanguageListener
from parlando.annotate.rows import Row
from parlando.annotate.step import Lazy, Step
from parlando.annotate.workspace import Workspace
from parlando.audio.clip import Clip

HEARD_SECONDS, LEAST_SECONDS = 30.0, 3.0


@dataclass(frozen=True)
class Languages(Step):
    """The likeliest language of each speaker; of those who say too little to tell, that of the whole recording."""

    listener: Lazy[LanguageListener]

    name = "language"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Who hears, and how much of a speaker."""
        return {"model": self.listener.card, "heard_seconds": HEARD_SECONDS, "least_seconds": LEAST_SECONDS}

    def run(self, row: Row, work: Workspace) -> Iterable[Row]:
        """The row with ``languages``: for each speaker the likeliest, and the probabilities that are not nothing."""
        speakers: Mapping[str, Any] = row.facts["speakers"]
        whole = None
        told: dict[str, Any] = {}
        for name, known in speakers.items():
            if known["seconds"] >= LEAST_SECONDS:
                told[name] = self._told(row, work, name)
            else:
                whole = whole or self._told(row, work, None)
                told[name] = whole
        yield self.tell(row, {"languages": told})

    def _told(self, row: Row, work: Workspace, speaker: str | None) -> dict[str, Any]:
        heard = {
            language: round(float(probability), 3)
            for language, probability in self.listener().languages(_speech(row, work, speaker)).items()
        }
        return {
            "language": max(sorted(heard), key=lambda language: heard[language]),
            "probabilities": {language: value for language, value in sorted(heard.items()) if value > 0},
        }


def _speech(row: Row, work: Workspace, speaker: str | None) -> Clip:
    """Some of what a speaker, or anybody, says."""
    pieces: list[np.ndarray] = []
    rate, seconds = 1, 0.0
    for name, start, end, _ in row.facts["turns"]:
        if seconds < HEARD_SECONDS and speaker in (None, name):
            clip = work.read(row.facts["audio"], start, min(end, start + HEARD_SECONDS - seconds))
            pieces.append(clip.samples)
            rate, seconds = clip.sample_rate, seconds + clip.duration_seconds
    return Clip(np.concatenate(pieces), rate)
