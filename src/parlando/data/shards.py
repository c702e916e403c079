"""A packed corpus: one file of 16-bit samples, one of phone labels per code frame, one index line per utterance.

Training reads crops by offset through a memory map, so a corpus larger than memory costs nothing to open.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr
from tqdm import tqdm

from parlando.audio.files import read_audio
from parlando.core.config import from_mapping, read_json
from parlando.core.errors import AudioError, FileMissingError
from parlando.data.details import Words, read_details
from parlando.data.manifest import SPEECH, Utterance, read_manifest
from parlando.data.sentences import sentence_key
from parlando.data.tracks import TRACKS, points_in, track_points, words_from

# fmt: off
PHONES = (
    "pau", "aa", "ae", "ah", "ao", "aw", "ax", "axr", "ay", "b", "ch", "d", "dh", "eh",
    "er", "ey", "f", "g", "hh", "ih", "iy", "jh", "k", "l", "m", "n", "ng", "ow",
    "oy", "p", "r", "s", "sh", "t", "th", "uh", "uw", "v", "w", "y", "z", "zh",
)
# fmt: on
UNKNOWN_PHONE = 255
TARGET_RMS, SILENT_RMS, LOUDEST_PEAK = 0.06, 1e-5, 0.95
# Silence kept at both ends: a model begins and ends as its corpus does, and listeners wait for the lead.
LEAD_SECONDS, TAIL_SECONDS = 0.04, 0.1
VALIDATION_SHARE = 0.01
COMPLETE = "pack.json"
PITCH = "pitch.f16"  # measured later, by who needs it


@dataclass(frozen=True)
class PackConfig:
    """Rate of the packed samples; samples per code frame, and how many phone labels describe one from left to right."""

    sample_rate: int = 24_000
    frame_samples: int = 960
    labels_per_frame: int = 2


@dataclass(frozen=True)
class Entry:
    """Where one utterance lies: ``start`` and ``samples`` in the samples' file, a whole number of frames.

    ``split`` is "train", "validation" or "test"; a sentence has one split, however often it was recorded. ``words`` are
    (word, start, end in seconds from the utterance's start) where a teacher told them; ``kind`` is the manifest's.
    """

    id: str
    speaker: str
    language: str
    text: str
    start: int
    samples: int
    split: str = "train"
    words: Words = ()
    kind: str = SPEECH


class PackedCorpus:
    """Read access to a folder that `pack` wrote."""

    def __init__(self, folder: Path) -> None:
        index = folder / "index.jsonl"
        for file in (index, folder / COMPLETE):
            if not file.is_file():
                raise FileMissingError(file, "packed corpus")
        self.folder = folder
        self.config = from_mapping(PackConfig, read_json(folder / COMPLETE), str(folder / COMPLETE))
        with index.open(encoding="utf-8") as lines:
            self.entries = [_entry(json.loads(line)) for line in lines]
        self._samples = np.memmap(folder / "samples.i16", dtype=np.int16, mode="r")
        labels = np.memmap(folder / "labels.u8", dtype=np.uint8, mode="r")
        self._labels = labels.reshape(-1, self.config.labels_per_frame)
        tracks, points = folder / TRACKS, points_in(self.config.frame_samples, self.config.sample_rate)
        self._tracks = np.memmap(tracks, np.float16, mode="r").reshape(-1, points, 2) if tracks.is_file() else None

    def samples(self, entry: Entry, first: int = 0, count: int | None = None) -> np.ndarray:
        """Float samples in [-1, 1] of a part of an utterance, first and count in samples."""
        stop = entry.samples if count is None else min(entry.samples, first + count)
        return self._samples[entry.start + first : entry.start + stop].astype(np.float32) / 32768.0

    def labels(self, entry: Entry) -> np.ndarray:
        """Indices into `PHONES` (uint8 [frame, label]), `UNKNOWN_PHONE` where nobody knows."""
        return self._labels[self._frames(entry)]

    def tracks(self, entry: Entry) -> np.ndarray | None:
        """Pitch in hertz (0 where unvoiced) and energy as the teacher had them (float32 [frame, point, 2]).

        ``None`` where the utterance was not spoken by a teacher that tells them.
        """
        if self._tracks is None:
            return None
        tracks = self._tracks[self._frames(entry)]
        return None if np.isnan(tracks).all() else tracks.astype(np.float32)

    def _frames(self, entry: Entry) -> slice:
        frame = self.config.frame_samples
        return slice(entry.start // frame, (entry.start + entry.samples) // frame)


def _entry(fields: dict) -> Entry:
    words = fields.pop("words", ())
    return Entry(**fields, words=tuple((word, start, end) for word, start, end in words))


class _Packed(NamedTuple):
    """What an utterance becomes: samples, labels, tracks, words."""

    samples: np.ndarray
    labels: np.ndarray
    tracks: np.ndarray
    words: Words


def _load(utterance: Utterance, folder: Path, config: PackConfig) -> _Packed:
    clip = read_audio(folder / utterance.audio)
    wave = soxr.resample(clip.samples, clip.sample_rate, config.sample_rate)
    first, last = _spoken_span(utterance, len(wave) / config.sample_rate)
    wave = wave[int(first * config.sample_rate) : int(last * config.sample_rate)]
    loudness = float(np.sqrt(np.square(wave).mean())) if len(wave) else 0.0
    if loudness < SILENT_RMS:
        raise AudioError(f"nothing is spoken in '{folder / utterance.audio}'; take it out of the manifest")
    gain = min(TARGET_RMS / loudness, LOUDEST_PEAK / float(np.abs(wave).max()))
    frames = -(-len(wave) // config.frame_samples)
    padded = np.zeros(frames * config.frame_samples, dtype=np.int16)
    padded[: len(wave)] = np.round(wave * gain * 32767)
    details = read_details(folder / utterance.audio)
    tracks = track_points(details, first, frames * points_in(config.frame_samples, config.sample_rate))
    return _Packed(padded, _frame_labels(utterance, first, frames, config), tracks, words_from(details, first))


def _spoken_span(utterance: Utterance, seconds: float) -> tuple[float, float]:
    """Start and end without the pauses at both ends, a short margin kept."""
    phones = utterance.phones or ()
    first = phones[0][1] - LEAD_SECONDS if phones and phones[0][0] == "pau" else 0.0
    ends_silent = len(phones) > 1 and phones[-1][0] == "pau"
    last = phones[-2][1] + TAIL_SECONDS if ends_silent else seconds
    return max(0.0, first), min(seconds, last)


def _frame_labels(utterance: Utterance, first: float, frames: int, config: PackConfig) -> np.ndarray:
    labels = np.full(frames * config.labels_per_frame, UNKNOWN_PHONE, dtype=np.uint8)
    if utterance.phones:
        ends = np.array([end for _, end in utterance.phones]) - first
        seconds = config.frame_samples / config.labels_per_frame / config.sample_rate
        centres = (np.arange(len(labels)) + 0.5) * seconds
        which = np.minimum(np.searchsorted(ends, centres), len(ends) - 1)
        names = [PHONES.index(name) if name in PHONES else UNKNOWN_PHONE for name, _ in utterance.phones]
        labels[:] = np.array(names, dtype=np.uint8)[which]
    return labels


def _job(arguments: tuple[Utterance, Path, PackConfig]) -> tuple[Utterance, _Packed]:
    return arguments[0], _load(*arguments)


def split_of(text: str, test: Collection[str], validation: Collection[str] = (), wordless: str = "") -> str:
    """The split of a sentence: as its key is listed, else a fixed hundredth is "validation".

    A recording without words, such as music, goes by what ``wordless`` calls it.
    """
    key = sentence_key(text) or wordless
    if key in test:
        return "test"
    if key in validation:
        return "validation"
    digest = int.from_bytes(hashlib.sha1(key.encode()).digest()[:4], "big")
    return "validation" if digest < VALIDATION_SHARE * 2**32 else "train"


def pack(
    manifests: Iterable[Path],
    folder: Path,
    test: Iterable[str] = (),
    config: PackConfig | None = None,
    validation: Iterable[str] = (),
) -> int:
    """Write a packed corpus of all manifests; sentences listed in ``test`` are marked so that no training sees them.

    Those listed in ``validation`` join the hundredth that trainings are measured by.
    Returns the number of utterances. The corpus is complete only once ``pack.json`` is there.
    """
    config = config or PackConfig()
    test_keys, validation_keys = ({sentence_key(text) for text in texts} for texts in (test, validation))
    jobs = [(u, m.parent, config) for m in manifests for u in read_manifest(m)]
    folder.mkdir(parents=True, exist_ok=True)
    for name in (COMPLETE, PITCH, TRACKS):
        (folder / name).unlink(missing_ok=True)
    start, told = 0, False
    with (
        (folder / "samples.i16").open("wb") as samples_file,
        (folder / "labels.u8").open("wb") as labels_file,
        (folder / TRACKS).open("wb") as tracks_file,
        (folder / "index.jsonl").open("w", encoding="utf-8") as index,
        multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool,
    ):
        for utterance, packed in tqdm(pool.imap(_job, jobs, chunksize=16), total=len(jobs), unit="clip"):
            samples_file.write(packed.samples.tobytes())
            labels_file.write(packed.labels.tobytes())
            tracks_file.write(packed.tracks.tobytes())
            told = told or not np.isnan(packed.tracks).all()
            entry = Entry(
                utterance.id,
                utterance.speaker,
                utterance.language,
                utterance.text,
                start,
                len(packed.samples),
                split_of(utterance.text, test_keys, validation_keys, utterance.id),
                packed.words,
                utterance.kind,
            )
            index.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
            start += len(packed.samples)
    if not told:
        (folder / TRACKS).unlink()
    (folder / COMPLETE).write_text(json.dumps(asdict(config)), encoding="utf-8")
    return len(jobs)
