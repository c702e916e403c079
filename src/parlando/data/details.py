"""What a teacher knows of an utterance besides its phones, in a file beside the audio."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Words = tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class Details:
    """The teacher's own symbols, words and tracks; all times are in seconds from the start of the audio.

    ``symbols`` are (symbol, end) pairs as the teacher has them. ``hertz`` (0 where unvoiced) and ``energy`` have
    ``track_rate`` values per second.
    """

    symbols: tuple[tuple[str, float], ...]
    words: Words
    hertz: np.ndarray
    energy: np.ndarray
    track_rate: float

    def save(self, path: Path) -> None:
        """Write a file, whole or not at all."""
        names, ends = _columns(self.symbols, 2)
        words, starts, stops = _columns(self.words, 3)
        partial = path.with_suffix(".partial.npz")
        np.savez_compressed(
            partial,
            symbols=np.array(names, dtype=np.str_),
            symbol_ends=np.array(ends, np.float32),
            words=np.array(words, dtype=np.str_),
            word_starts=np.array(starts, np.float32),
            word_ends=np.array(stops, np.float32),
            hertz=self.hertz.astype(np.float16),
            energy=self.energy.astype(np.float16),
            track_rate=np.float32(self.track_rate),
        )
        os.replace(partial, path)


def _columns(rows: tuple[tuple, ...], count: int) -> tuple[tuple, ...]:
    return tuple(zip(*rows, strict=True)) or ((),) * count


def details_path(audio: Path) -> Path:
    """Where the details of an audio file are, if it has any."""
    return audio.with_suffix(".npz")


def read_details(audio: Path) -> Details | None:
    """The details of an audio file, or ``None`` where nobody kept any."""
    path = details_path(audio)
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as kept:
        words = (kept["words"].tolist(), _times(kept["word_starts"]), _times(kept["word_ends"]))
        return Details(
            tuple(zip(kept["symbols"].tolist(), _times(kept["symbol_ends"]), strict=True)),
            tuple(zip(*words, strict=True)),
            kept["hertz"].astype(np.float32),
            kept["energy"].astype(np.float32),
            float(kept["track_rate"]),
        )


def _times(seconds: np.ndarray) -> list[float]:
    return np.round(seconds.astype(np.float64), 4).tolist()
