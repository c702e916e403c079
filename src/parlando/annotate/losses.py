"""The yield: how many hours went in, how many came out, and how many were lost at which step for which reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from parlando.annotate.rows import Row

SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class Loss:
    """Rows that one step rejected for one reason; of what could not be decoded nobody knows the length."""

    step: str
    reason: str
    rows: int
    seconds: float


@dataclass(frozen=True)
class Losses:
    """The whole account; ``lost`` is in the order of the steps, then the largest loss first."""

    recordings: int
    seconds_in: float
    segments: int
    seconds_out: float
    speakers: int
    lost: tuple[Loss, ...]

    @classmethod
    def of(cls, kept: Sequence[Row], rejected: Sequence[Row], steps: Sequence[str]) -> Losses:
        """Count."""
        sums: dict[tuple[str, str], list[float]] = defaultdict(list)
        for row in rejected:
            if row.rejected is not None:
                sums[row.rejected.step, row.rejected.reason].append(row.seconds)
        order = {name: place for place, name in enumerate(("scan", *steps))}
        lost = [Loss(step, reason, len(each), round(sum(each), 3)) for (step, reason), each in sums.items()]
        lost.sort(key=lambda loss: (order[loss.step], -loss.seconds, -loss.rows, loss.reason))
        return cls(
            len({row.source for row in (*kept, *rejected)}),
            round(_seconds(kept) + _seconds(rejected), 3),
            len(kept),
            round(_seconds(kept), 3),
            len({row.facts["speaker"] for row in kept}),
            tuple(lost),
        )

    @property
    def share(self) -> float:
        """Of the hours that went in, how many came out."""
        return self.seconds_out / self.seconds_in if self.seconds_in else 0.0

    def as_data(self) -> dict[str, Any]:
        """For ``yield.json``."""
        return {
            "recordings": self.recordings,
            "hours_in": hours(self.seconds_in),
            "segments": self.segments,
            "hours_out": hours(self.seconds_out),
            "speakers": self.speakers,
            "lost": [
                {"step": loss.step, "reason": loss.reason, "rows": loss.rows, "hours": hours(loss.seconds)}
                for loss in self.lost
            ],
        }

    def __str__(self) -> str:
        lost = ", ".join(f"{_length(each.seconds)} {each.reason}" for each in self._largest())
        return (
            f"{self.recordings} recordings, {_length(self.seconds_in)} in; {self.segments} segments of {self.speakers} "
            f"speakers, {_length(self.seconds_out)} out ({self.share:.0%})" + (f"; lost: {lost}" if lost else "")
        )

    def _largest(self, count: int = 5) -> list[Loss]:
        return sorted(self.lost, key=lambda loss: -loss.seconds)[:count]


def hours(seconds: float) -> float:
    """In hours, to a third of a second."""
    return round(seconds / SECONDS_PER_HOUR, 4)


def _length(seconds: float) -> str:
    return f"{seconds / SECONDS_PER_HOUR:.1f} h" if seconds >= SECONDS_PER_HOUR else f"{seconds / 60:.1f} min"


def _seconds(rows: Iterable[Row]) -> float:
    return sum(row.seconds for row in rows)
