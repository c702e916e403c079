"""Cutting recordings into segments of one speaker, at pauses where there are any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from parlando.annotate.rows import Row
from parlando.annotate.step import Step
from parlando.annotate.steps.events import MUSIC, SINGING, share
from parlando.annotate.workspace import Workspace
from parlando.audio.silence import frame_levels

FRAME_SECONDS = 0.02
PAUSES = "pauses"
ORIGINS = {
    "language": "languages",
    "probabilities": "languages",
    "music_share": "events",
    "singing_share": "events",
}
"""Fields of a segment, and the recording's fields that they come from; all others come from its turns."""


@dataclass(frozen=True)
class CutSettings:
    """Turns of one speaker at most ``join_seconds`` apart are one segment, up to ``longest_seconds``.

    ``lead_seconds`` and ``tail_seconds`` of the pauses around it stay, up to the middle of a pause. Longer turns are
    cut at their quietest place beyond ``half_share`` of the longest.
    """

    join_seconds: float = 0.6
    longest_seconds: float = 14.0
    lead_seconds: float = 0.12
    tail_seconds: float = 0.18
    half_share: float = 0.5


@dataclass(frozen=True)
class Piece:
    """A part of a recording in which one speaker speaks; ``shared_seconds`` of it overlap another's speech."""

    speaker: str
    start: float
    end: float
    shared_seconds: float = 0.0

    def with_next(self, other: Piece) -> Piece:
        """Both, and what is between them."""
        return Piece(self.speaker, self.start, other.end, self.shared_seconds + other.shared_seconds)


@dataclass(frozen=True)
class Cut(Step):
    """A recording's segments, and what is left of it as one row that is rejected."""

    how: CutSettings = field(default_factory=CutSettings)

    name = "cut"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Bounds."""
        return asdict(self.how)

    def run(self, row: Row, work: Workspace) -> Iterable[Row]:
        """The segments, by time; then the pauses."""
        turns = [Piece(name, start, end, part * (end - start)) for name, start, end, part in row.facts["turns"]]
        whole = [each for turn in turns for each in self._within_bounds(turn, row, work)]
        pieces = self._joined(whole)
        bounds = list(self._with_margins(pieces, row.seconds))
        for piece, (start, end) in zip(pieces, bounds, strict=True):
            yield self._segment(row, piece, start, end)
        rest = row.seconds - sum(end - start for start, end in bounds)
        if rest > 0.0005:
            left = Row(f"{row.id}-pauses", row.source, round(rest, 3))
            yield left.reject(self.name, PAUSES, "nobody speaks there")

    def _within_bounds(self, turn: Piece, row: Row, work: Workspace) -> Iterator[Piece]:
        most = self.how.longest_seconds - self.how.lead_seconds - self.how.tail_seconds
        part = turn.shared_seconds / max(turn.end - turn.start, 1e-9)
        start = turn.start
        while turn.end - start > most:
            place = _quietest(row, work, start + self.how.half_share * most, start + most)
            yield Piece(turn.speaker, start, place, part * (place - start))
            start = place
        yield Piece(turn.speaker, start, turn.end, part * (turn.end - start))

    def _joined(self, turns: Sequence[Piece]) -> list[Piece]:
        most = self.how.longest_seconds - self.how.lead_seconds - self.how.tail_seconds
        pieces: list[Piece] = []
        for turn in turns:
            last = pieces[-1] if pieces else None
            if (
                last is not None
                and last.speaker == turn.speaker
                and turn.start - last.end <= self.how.join_seconds
                and turn.end - last.start <= most
            ):
                pieces[-1] = last.with_next(turn)
            else:
                pieces.append(turn)
        return pieces

    def _with_margins(self, pieces: Sequence[Piece], seconds: float) -> Iterator[tuple[float, float]]:
        middles = [(one.end + other.start) / 2 for one, other in pairwise(pieces)]
        for piece, before, after in zip(pieces, [0.0, *middles], [*middles, seconds], strict=True):
            start = max(piece.start - self.how.lead_seconds, before)
            yield round(start, 3), round(min(piece.end + self.how.tail_seconds, after), 3)

    def _segment(self, row: Row, piece: Piece, start: float, end: float) -> Row:
        facts = {"audio": row.facts["audio"], "start": start, "end": end}
        known = {"speaker": f"{row.id}-{piece.speaker}", **_about(row, piece, start, end)}
        passed = {name: row.provenance[ORIGINS.get(name, "turns")] for name in known}
        segment = self.tell(Row(f"{row.id}-{round(start * 1000):09d}", row.source, round(end - start, 3)), facts)
        return Row(
            segment.id, segment.source, segment.seconds, {**segment.facts, **known}, {**segment.provenance, **passed}
        )


def _about(row: Row, piece: Piece, start: float, end: float) -> dict[str, Any]:
    """What a segment knows from its recording."""
    speaker: Mapping[str, Any] = row.facts["speakers"][piece.speaker]
    about: dict[str, Any] = {
        "gender": speaker["gender"],
        "gender_confidence": speaker["gender_confidence"],
        "speaker_pitch_hz": speaker["pitch_hz"],
        "overlap_share": round(piece.shared_seconds / max(end - start, 1e-9), 3),
    }
    if "languages" in row.facts:
        about |= row.facts["languages"][piece.speaker]
    if (events := row.facts.get("events")) is not None:
        about["music_share"] = round(share(events, MUSIC, start, end), 3)
        about["singing_share"] = round(share(events, SINGING, start, end), 3)
    return about


def _quietest(row: Row, work: Workspace, start: float, end: float) -> float:
    clip = work.read(row.facts["audio"], start, end)
    levels = frame_levels(clip.samples, round(FRAME_SECONDS * clip.sample_rate))
    return start + (int(levels.argmin()) + 0.5) * FRAME_SECONDS
