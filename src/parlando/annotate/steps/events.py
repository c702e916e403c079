"""What happens in a recording, by a detector: speech, singing, music, and whatever else it knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parlando.annotate.models import EventDetector
from parlando.annotate.rows import Row
from parlando.annotate.step import Lazy, Step
from parlando.annotate.workspace import Workspace

Found = Sequence[tuple[str, float, float]]
"""Label, start and end in seconds."""
WINDOW_SECONDS = 60.0
SAME_SECONDS = 0.05
SPEECH, SINGING, MUSIC = "speech", "singing", "music"


@dataclass(frozen=True)
class Events(Step):
    """A recording's events; those that reach over the end of a window are one."""

    detector: Lazy[EventDetector]

    name = "events"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Who hears."""
        return {"model": self.detector.card, "window_seconds": WINDOW_SECONDS}

    def run(self, row: Row, work: Workspace) -> Iterable[Row]:
        """The row with its events, by time."""
        found: list[tuple[str, float, float]] = []
        for start, clip in work.windows(row.facts["audio"], WINDOW_SECONDS):
            for event in self.detector().events(clip):
                end = min(event.end_seconds, clip.duration_seconds)
                found.append((event.label, round(start + event.start_seconds, 3), round(start + end, 3)))
        yield self.tell(row, {"events": joined(found)})


def joined(found: Found) -> list[list[Any]]:
    """Events by label and time, those of one label that touch made one."""
    merged: list[list[Any]] = []
    for label, start, end in sorted(found):
        if merged and merged[-1][0] == label and start - merged[-1][2] <= SAME_SECONDS:
            merged[-1][2] = max(merged[-1][2], end)
        else:
            merged.append([label, start, end])
    return sorted(merged, key=lambda event: (event[1], event[0]))


def share(found: Found, label: str, start: float, end: float) -> float:
    """The part of a stretch in which a label is heard."""
    heard = sum(max(0.0, min(end, last) - max(start, first)) for name, first, last in found if name == label)
    return min(1.0, heard / max(end - start, 1e-9))
