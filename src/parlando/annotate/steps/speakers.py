"""Who speaks when: embeddings of short windows, clustered; turns change at the quietest place; overlaps are marked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from parlando.annotate.clusters import centre, cluster
from parlando.annotate.models import VoiceEncoder
from parlando.annotate.rows import Row
from parlando.annotate.step import Lazy, Step
from parlando.annotate.workspace import Workspace
from parlando.audio.pitch import pitch_track
from parlando.audio.silence import frame_levels
from parlando.audio.voicing import gender_of

FRAME_SECONDS = 0.01
PITCH_SECONDS = 30.0


@dataclass(frozen=True)
class SpeakerSettings:
    """How voices are told apart; similarities are products of embeddings.

    A group with less than ``least_speaker_seconds`` is nobody's own and goes to the most similar speaker; windows
    shorter than ``least_window_seconds`` belong to whom they sound like and make no group. In an overlap a window is
    ``overlap_drop`` less like its speaker than that speaker's windows are on average, and at most ``overlap_margin``
    more like it than like the next one.
    """

    window_seconds: float = 1.6
    hop_seconds: float = 0.8
    least_window_seconds: float = 0.8
    least_similar: float = 0.68
    least_speaker_seconds: float = 2.0
    change_seconds: float = 0.4
    overlap_drop: float = 0.08
    overlap_margin: float = 0.06


@dataclass(frozen=True)
class _Window:
    """A stretch of a recording, and which stretch of speech it is in."""

    start: float
    end: float
    speech: int

    @property
    def seconds(self) -> float:
        return self.end - self.start

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


@dataclass(frozen=True)
class Speakers(Step):
    """Turns of a recording (speaker, start, end, share that overlaps) and what is known of its speakers."""

    encoder: Lazy[VoiceEncoder]
    how: SpeakerSettings = field(default_factory=SpeakerSettings)

    name = "speakers"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Who hears, and how voices are told apart."""
        return {"model": self.encoder.card, **asdict(self.how)}

    def run(self, row: Row, work: Workspace) -> Iterable[Row]:
        """The row with ``turns`` and ``speakers``."""
        windows = [each for index, (a, b) in enumerate(row.facts["speech"]) for each in _windows(a, b, index, self.how)]
        audio = row.facts["audio"]
        embeddings = np.stack([self.encoder().embed(work.read(audio, w.start, w.end)) for w in windows])
        labels, overlaps = assign(embeddings, [window.seconds for window in windows], self.how)
        turns = list(self._turns(windows, labels, overlaps, row, work))
        speakers = {name: _described(name, turns, audio, work) for name in sorted({turn[0] for turn in turns})}
        yield self.tell(row, {"turns": turns, "speakers": speakers})

    def _turns(
        self, windows: Sequence[_Window], labels: np.ndarray, overlaps: np.ndarray, row: Row, work: Workspace
    ) -> Iterable[list[Any]]:
        for index, (first, last) in enumerate(row.facts["speech"]):
            members = [number for number, window in enumerate(windows) if window.speech == index]
            edges = [first]
            for one, other in pairwise(members):
                middle = (windows[one].middle + windows[other].middle) / 2
                changes = labels[one] != labels[other]
                edges.append(_quietest(middle, self.how.change_seconds, row, work) if changes else middle)
            edges.append(last)
            yield from _runs(members, edges, labels, overlaps)


def _runs(
    members: Sequence[int], edges: Sequence[float], labels: np.ndarray, overlaps: np.ndarray
) -> Iterable[list[Any]]:
    """Neighbouring windows of one speaker as one turn."""
    begin = 0
    for place in range(1, len(members) + 1):
        if place < len(members) and labels[members[place]] == labels[members[begin]]:
            continue
        start, end = edges[begin], edges[place]
        shared = sum(edges[i + 1] - edges[i] for i in range(begin, place) if overlaps[members[i]])
        part = round(shared / max(end - start, 1e-9), 3)
        yield [f"S{labels[members[begin]]}", round(start, 3), round(end, 3), part]
        begin = place


def _windows(first: float, last: float, index: int, how: SpeakerSettings) -> list[_Window]:
    if last - first <= how.window_seconds + how.hop_seconds:
        return [_Window(first, last, index)]
    count = math.ceil((last - first - how.window_seconds) / how.hop_seconds) + 1
    starts = np.linspace(first, last - how.window_seconds, count)
    return [_Window(float(start), float(start) + how.window_seconds, index) for start in starts]


def assign(embeddings: np.ndarray, seconds: Sequence[float], how: SpeakerSettings) -> tuple[np.ndarray, np.ndarray]:
    """The speaker of each window (int [n], numbered by first appearance), and whether it overlaps another's."""
    weights = np.asarray(seconds, np.float64)
    long = np.flatnonzero(weights >= how.least_window_seconds)
    if not len(long):
        long = np.arange(len(weights))
    groups = cluster(embeddings[long], weights[long].tolist(), how.least_similar)
    totals = np.bincount(groups, weights[long])
    kept = np.flatnonzero(totals >= how.least_speaker_seconds)
    if not len(kept):
        kept = np.array([totals.argmax()])
    members = [long[groups == group] for group in kept]
    centres = np.stack([centre(embeddings[each], weights[each]) for each in members])
    similar = embeddings @ centres.T
    labels = similar.argmax(axis=1)
    own = similar[np.arange(len(labels)), labels]
    usual = np.array([own[each].mean() for each in members])
    _, first = np.unique(labels, return_index=True)
    names = np.zeros(len(kept), int)
    names[labels[np.sort(first)]] = np.arange(len(first))
    return names[labels], _overlaps(similar, own, usual[labels], how)


def _overlaps(similar: np.ndarray, own: np.ndarray, usual: np.ndarray, how: SpeakerSettings) -> np.ndarray:
    if similar.shape[1] < 2:
        return np.zeros(len(own), bool)
    second = np.sort(similar, axis=1)[:, -2]
    return (own < usual - how.overlap_drop) & (own - second < how.overlap_margin)


def _quietest(middle: float, reach: float, row: Row, work: Workspace) -> float:
    """The quietest place around a time."""
    start = max(0.0, middle - reach)
    clip = work.read(row.facts["audio"], start, middle + reach)
    levels = frame_levels(clip.samples, round(FRAME_SECONDS * clip.sample_rate))
    return start + (int(levels.argmin()) + 0.5) * FRAME_SECONDS if len(levels) else middle


def _described(name: str, turns: Sequence[Sequence[Any]], audio: str, work: Workspace) -> dict[str, Any]:
    """Seconds, median pitch and gender of a speaker."""
    own = [(start, end) for speaker, start, end, _ in turns if speaker == name]
    voiced, heard = [], 0.0
    for start, end in own:
        if heard < PITCH_SECONDS:
            clip = work.read(audio, start, end)
            track = pitch_track(clip.samples, clip.sample_rate)
            voiced.append(track[track > 0])
            heard += end - start
    pitch = np.concatenate(voiced)
    hertz = float(np.median(pitch)) if len(pitch) else 0.0
    gender, confidence = gender_of(hertz)
    return {
        "seconds": round(sum(end - start for start, end in own), 3),
        "pitch_hz": round(hertz, 1),
        "gender": gender,
        "gender_confidence": confidence,
    }
