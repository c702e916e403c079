"""A corpus of sines that every training test can afford: clips, manifests, a packed folder."""

from __future__ import annotations

import multiprocessing
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile

from parlando.data.manifest import Utterance, append_manifest

RATE = 16_000
SENTENCES = (
    "The sun is warm.",
    "We saw a red boat.",
    "My dog ran home.",
    "Rain fell all night.",
    "She reads a good book.",
    "Two birds sat there.",
)


def sine(hertz: float, seconds: float, sample_rate: int = RATE) -> np.ndarray:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * sample_rate)) / sample_rate)).astype(np.float32)


def write_clip(folder: Path, utterance: Utterance, hertz: float = 220.0, sample_rate: int = RATE) -> Utterance:
    """Write the sine of an utterance where its ``audio`` says."""
    target = folder / utterance.audio
    target.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(target, sine(hertz, utterance.seconds, sample_rate), sample_rate)
    return utterance


def write_corpus(folder: Path, speakers: tuple[str, ...] = ("slt", "rms"), seconds: float = 0.6) -> Path:
    """One clip per speaker and sentence, with phones pau, s, iy, pau; returns the manifest."""
    rows = []
    for place, speaker in enumerate(speakers):
        for index, text in enumerate(SENTENCES):
            name, length = f"{speaker}_{index}", seconds + 0.05 * index
            ends = (("pau", 0.1), ("s", 0.3), ("iy", length - 0.1), ("pau", length))
            clip = Utterance(name, f"audio/{name}.wav", speaker, "en", text, length, ends)
            rows.append(write_clip(folder, clip, 150.0 + 90 * place + 20 * index))
    append_manifest(folder / "manifest.jsonl", rows)
    return folder / "manifest.jsonl"


def no_processes(monkeypatch) -> None:
    """Worker pools run in this process: tests of what they compute need not pay for starting them."""

    def pool(workers=None, *arguments, **options):
        return ThreadPool(1, *arguments)

    monkeypatch.setattr(multiprocessing, "get_context", lambda method: SimpleNamespace(Pool=pool))
