"""Where somebody speaks: stretches that are loud enough, and that a detector (or their modulation) calls speech."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from parlando.annotate.rows import Row
from parlando.annotate.step import Rejected, Step
from parlando.annotate.steps.events import MUSIC, SINGING, SPEECH, share
from parlando.annotate.workspace import Workspace
from parlando.audio.silence import speech_spans
from parlando.audio.speechlike import is_speechlike

WINDOW_SECONDS = 60.0
NONE_LEAST_SHARE = 0.3
"""Of a recording without speech that must be music or singing for that to be the reason."""

Stretch = tuple[float, float]


@dataclass(frozen=True)
class FindSpeech(Step):
    """Stretches of speech between pauses of at least ``pause_seconds``.

    A detector's speech counts ``margin_seconds`` beyond its ends, for it hears soft beginnings late.
    """

    pause_seconds: float = 0.25
    margin_seconds: float = 0.2
    shortest_seconds: float = 0.2

    name = "speech"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Pauses and margins."""
        return {
            "pause_seconds": self.pause_seconds,
            "margin_seconds": self.margin_seconds,
            "shortest_seconds": self.shortest_seconds,
        }

    def run(self, row: Row, work: Workspace) -> Iterable[Row]:
        """The row with its stretches of speech, in seconds."""
        loud = [(start + first, start + last) for start, first, last in _loud(row, work)]
        events = row.facts.get("events")
        if events is None:
            spoken = [each for each in close(loud, self.pause_seconds) if _is_speech(row, work, each)]
        else:
            margin = self.margin_seconds
            heard = [(first - margin, last + margin) for label, first, last in events if label == SPEECH]
            spoken = close(common(close(loud, self.pause_seconds), close(heard, 0.0)), self.pause_seconds)
        found = [(first, last) for first, last in spoken if last - first >= self.shortest_seconds]
        if not found:
            raise Rejected(*_why_none(row))
        yield self.tell(row, {"speech": [[round(first, 3), round(last, 3)] for first, last in found]})


def _loud(row: Row, work: Workspace) -> Iterable[tuple[float, float, float]]:
    for start, clip in work.windows(row.facts["audio"], WINDOW_SECONDS):
        rate = clip.sample_rate
        yield from ((start, span.start / rate, span.end / rate) for span in speech_spans(clip.samples, rate))


def _is_speech(row: Row, work: Workspace, stretch: Stretch) -> bool:
    clip = work.read(row.facts["audio"], *stretch)
    return is_speechlike(clip.samples, clip.sample_rate)


def _why_none(row: Row) -> tuple[str, str]:
    events, heard = row.facts.get("events") or [], []
    for label in (MUSIC, SINGING):
        if (part := share(events, label, 0.0, row.seconds)) > NONE_LEAST_SHARE:
            heard.append((part, label))
    if heard:
        part, label = max(heard)
        return label, f"{label} in {part:.0%} of it, and nobody speaks"
    return "no speech", "nobody speaks in it"


def close(stretches: Iterable[Stretch], gap: float) -> list[Stretch]:
    """Stretches in order, those at most ``gap`` apart made one."""
    closed: list[Stretch] = []
    for first, last in sorted(stretches):
        if closed and first - closed[-1][1] <= gap:
            closed[-1] = (closed[-1][0], max(closed[-1][1], last))
        else:
            closed.append((first, last))
    return closed


def common(some: Iterable[Stretch], others: Iterable[Stretch]) -> list[Stretch]:
    """What is in both of two lists, each in order and without overlaps."""
    one, other, found = list(some), list(others), []
    i = j = 0
    while i < len(one) and j < len(other):
        first, last = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if first < last:
            found.append((first, last))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return found
