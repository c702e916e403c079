"""How sentences of a corpus were said, by measuring it: what instructions to a speaker can be learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from parlando.core.errors import ConfigError
from parlando.data.pitch import CorpusPitch, pitch_contour

Measure = Literal["pace", "liveliness", "height"]
_VOICED_POINTS = 25


@dataclass(frozen=True, kw_only=True)
class Direction:
    """Wordings of an instruction, and the sentences it fits: a range of all, from the least (0) to the most (1) of it.

    ``pace`` is phones a second of speech; ``liveliness`` is how far the pitch moves, and ``height`` where it is, both
    within the range of its speaker.

    Raises:
        ConfigError: no wording, or no range.
    """

    by: Measure
    least: float
    most: float
    wordings: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.least < self.most <= 1 or not self.wordings:
            raise ConfigError("mix.directions: a direction needs wordings and a range, such as least = 0.0, most = 0.1")


class Prosody(NamedTuple):
    """Mean and standard deviation of an utterance's pitch, in standard deviations of its speaker's."""

    height: float
    liveliness: float


def measure_prosody(pitch: CorpusPitch) -> dict[str, Prosody]:
    """Prosody by utterance, of those with enough voiced speech."""
    entries, ranges = pitch.corpus.entries, pitch.training_ranges()
    prosodies = {}
    for entry in (entry for entry in entries if entry.speaker in ranges):
        hertz = pitch.hertz(entry)
        contour = pitch_contour(hertz, ranges[entry.speaker])
        heights = contour[:, : hertz.shape[1]][hertz > 0]
        if len(heights) >= _VOICED_POINTS:
            prosodies[entry.id] = Prosody(float(heights.mean()), float(heights.std()))
    return prosodies
