"""Does a clone follow its reference? Cosine similarity of GE2E speaker embeddings (Wan et al., 2018; Resemblyzer)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from parlando.audio.clip import Clip
from parlando.core.types import Voice
from parlando.evaluate.judges.resemblyzer import Resemblyzer
from parlando.evaluate.report import markdown_table
from parlando.result import Speech

Embed = Callable[[Clip], np.ndarray]


class Cloner(Protocol):
    """Whatever clones and speaks; `parlando.Synthesizer` does."""

    def clone(self, audio: Any, text: str | None = None, name: str = "clone") -> Voice:
        """A voice that follows a recording."""
        ...

    def say(self, text: str, voice: Voice | None = None, *, seed: int | None = None) -> Speech:
        """Say it."""
        ...


@dataclass(frozen=True)
class SimilarityReport:
    """``matrix[i][j]`` is the similarity of the clone of ``names[i]`` to the recording of ``names[j]``.

    ``followed`` counts clones that are nearer to their own recording than to every other, ``sentences_followed`` single
    sentences of all ``sentences`` that are; ``floor`` is the mean similarity of two different recordings, what a clone
    reaches by chance.
    """

    model: str
    names: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]
    own: float
    others: float
    floor: float
    followed: int
    sentences: int
    sentences_followed: int


@cache
def _judge() -> Resemblyzer:
    return Resemblyzer()


def embed(clip: Clip) -> np.ndarray:
    """Speaker embedding (float32 [256], unit length) of a clip's speech.

    Raises:
        MissingDependencyError: Resemblyzer is not installed.
    """
    return _judge().embed(clip)


def _centroid(embeddings: np.ndarray) -> np.ndarray:
    mean = embeddings.mean(axis=0)
    return mean / np.linalg.norm(mean)


def run_similarity(
    cloner: Cloner,
    model: str,
    recordings: Mapping[str, tuple[Clip, str]],
    sentences: Sequence[str],
    judge: Embed = embed,
) -> SimilarityReport:
    """Clone every recording (a clip and its words), and compare what each clone says with every recording."""
    names = tuple(recordings)
    truths = np.stack([judge(recordings[name][0]) for name in names])
    clones, sentences_followed = [], 0
    for number, name in enumerate(tqdm(names, desc="clone", unit="voice")):
        voice = cloner.clone(*recordings[name], name=name)
        spoken = [cloner.say(text, voice, seed=seed) for seed, text in enumerate(sentences)]
        heard = np.stack([judge(Clip(speech.samples, speech.sample_rate)) for speech in spoken])
        sentences_followed += int(((heard @ truths.T).argmax(axis=1) == number).sum())
        clones.append(_centroid(heard))
    matrix = np.stack(clones) @ truths.T
    off = ~np.eye(len(names), dtype=bool)
    return SimilarityReport(
        model=model,
        names=names,
        matrix=tuple(tuple(float(value) for value in row) for row in matrix),
        own=float(matrix[~off].mean()),
        others=float(matrix[off].mean()) if off.any() else 0.0,
        floor=float((truths @ truths.T)[off].mean()) if off.any() else 0.0,
        followed=int((matrix.argmax(axis=1) == np.arange(len(names))).sum()),
        sentences=len(names) * len(sentences),
        sentences_followed=sentences_followed,
    )


def similarity_markdown(report: SimilarityReport) -> str:
    """The matrix of clones and recordings, and what it comes to."""
    rows = [
        [f"clone of {name}", *(f"{v:.2f}" for v in row)] for name, row in zip(report.names, report.matrix, strict=True)
    ]
    facts = [
        ("clone and its own recording", f"{report.own:.2f}"),
        ("clone and another recording", f"{report.others:.2f}"),
        ("two different recordings", f"{report.floor:.2f}"),
        ("clones nearest to their own recording", f"{report.followed} of {len(report.names)}"),
        ("sentences nearest to their own recording", f"{report.sentences_followed} of {report.sentences}"),
    ]
    tables = (markdown_table((report.model, *report.names), rows), markdown_table(("similarity", "mean"), facts))
    return "\n\n".join(tables)
