"""The pitch of a packed corpus, measured once and kept beside its samples (`parlando data pitch`)."""

from __future__ import annotations

import multiprocessing
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from parlando.audio.pitch import WINDOW_SECONDS, pitch_track
from parlando.core.errors import ConfigError
from parlando.data.shards import PITCH, Entry, PackedCorpus
from parlando.data.tracks import points_in

LEAST_SPREAD = 0.05


@dataclass(frozen=True)
class PitchRange:
    """Where a speaker's voice lies: mean and standard deviation of the logarithm of its hertz."""

    mean: float
    spread: float


def points_per_frame(corpus: PackedCorpus) -> int:
    """Pitch values per code frame, one every 10 ms."""
    return points_in(corpus.config.frame_samples, corpus.config.sample_rate)


class CorpusPitch:
    """Hertz of every utterance as `measure_pitch` found it, 0 where nothing is voiced."""

    def __init__(self, corpus: PackedCorpus) -> None:
        self.corpus, self.points = corpus, points_per_frame(corpus)
        file = corpus.folder / PITCH
        if not file.is_file():
            raise ConfigError(
                f"the pitch of '{corpus.folder}' is not measured; run: parlando data pitch {corpus.folder}"
            )
        self._hertz = np.memmap(file, dtype=np.float16, mode="r").reshape(-1, self.points)

    def hertz(self, entry: Entry) -> np.ndarray:
        """Pitch (float32 [frame, point]) of one utterance."""
        frame = self.corpus.config.frame_samples
        return self._hertz[entry.start // frame : (entry.start + entry.samples) // frame].astype(np.float32)

    def ranges(self, entries: Iterable[Entry]) -> dict[str, PitchRange]:
        """Each speaker's range over the given utterances."""
        voiced: Mapping[str, list[np.ndarray]] = defaultdict(list)
        for entry in entries:
            hertz = self.hertz(entry)
            voiced[entry.speaker].append(np.log(hertz[hertz > 0]))
        return {speaker: _range(np.concatenate(parts)) for speaker, parts in voiced.items()}

    def training_ranges(self) -> dict[str, PitchRange]:
        """Every speaker's range over the corpus's training utterances."""
        return self.ranges(entry for entry in self.corpus.entries if entry.split == "train")


def _range(logs: np.ndarray) -> PitchRange:
    if not len(logs):
        return PitchRange(0.0, 1.0)
    return PitchRange(float(logs.mean()), max(LEAST_SPREAD, float(logs.std())))


def pitch_contour(hertz: np.ndarray, within: PitchRange) -> np.ndarray:
    """What a pitch says without saying whose it is (float32 [frame, 2 × point]).

    Standard deviations from the speaker's mean, 0 where unvoiced, then whether each point is voiced.
    """
    voiced = hertz > 0
    height = np.where(voiced, (np.log(np.maximum(hertz, 1.0)) - within.mean) / within.spread, 0.0)
    return np.concatenate([height, voiced], axis=-1).astype(np.float32)


class _Worker:
    """Measures utterances of one corpus in a process of its own."""

    corpus: PackedCorpus

    @classmethod
    def start(cls, folder: Path) -> None:
        """Set up this process."""
        cls.corpus = PackedCorpus(folder)

    @classmethod
    def run(cls, entry: Entry) -> np.ndarray:
        """Hertz (float16) of one utterance, the windows centred on their points."""
        points, config = points_per_frame(cls.corpus), cls.corpus.config
        margin = round(WINDOW_SECONDS * config.sample_rate / 2)
        track = pitch_track(np.pad(cls.corpus.samples(entry), (margin, margin)), config.sample_rate)
        count = entry.samples // config.frame_samples * points
        return np.pad(track[:count], (0, count - len(track[:count]))).astype(np.float16)


def measure_pitch(corpus: PackedCorpus) -> float:
    """Measure every utterance on all cores; returns the share of voiced points."""
    partial, voiced, points = corpus.folder / f"{PITCH}.partial", 0, 0
    context = multiprocessing.get_context("spawn")
    with partial.open("wb") as file, context.Pool(os.cpu_count(), _Worker.start, (corpus.folder,)) as pool:
        tracks = pool.imap(_Worker.run, corpus.entries, chunksize=16)
        for hertz in tqdm(tracks, total=len(corpus.entries), unit="clip", desc="pitch"):
            file.write(hertz.tobytes())
            voiced, points = voiced + int((hertz > 0).sum()), points + hertz.size
    os.replace(partial, corpus.folder / PITCH)
    return voiced / max(1, points)
