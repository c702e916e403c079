"""How long a text takes to say, before anybody says it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LengthPrior:
    """How many frames a text takes: so many per spoken unit (phone or letter) and per punctuation mark, plus a base."""

    base_frames: float = 0.0
    frames_per_unit: float = 2.1
    frames_per_pause: float = 0.0

    def frames(self, units: int, pauses: int) -> float:
        """Expected frames of a text."""
        return self.base_frames + self.frames_per_unit * units + self.frames_per_pause * pauses


@dataclass(frozen=True)
class Expected:
    """What a recipe measured of its model: ``length``, how long its sentences are."""

    length: LengthPrior | None = None
