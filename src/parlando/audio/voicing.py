"""What a voice's pitch says of it: feminine or masculine, and whether it is low or high among such voices."""

from __future__ import annotations

import math

MIDDLE_HZ, STEEPNESS_PER_OCTAVE = 165.0, 8.0
"""Of a voice that may be either; and how fast the odds change with the pitch."""
LOW_HZ = {"feminine": 175.0, "masculine": 100.0}
HIGH_HZ = {"feminine": 230.0, "masculine": 145.0}


def gender_of(hertz: float) -> tuple[str, float]:
    """Feminine or masculine by the median pitch, and how surely (0.5 to 1); unknown where nothing is voiced."""
    if hertz <= 0:
        return "unknown", 0.0
    feminine = 1 / (1 + math.exp(-STEEPNESS_PER_OCTAVE * math.log2(hertz / MIDDLE_HZ)))
    return ("feminine", round(feminine, 3)) if feminine >= 0.5 else ("masculine", round(1 - feminine, 3))


def pitch_of(gender: str, hertz: float) -> str:
    """Low, medium or high among voices of a gender; medium where that is unknown."""
    if gender not in LOW_HZ or hertz <= 0:
        return "medium"
    return "low" if hertz < LOW_HZ[gender] else "high" if hertz > HIGH_HZ[gender] else "medium"
