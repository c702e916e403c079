"""Whole corpora through PocketSphinx, by several processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from functools import cache

from tqdm import tqdm

from parlando.audio.clip import Clip
from parlando.evaluate.judges.pocketsphinx import PocketSphinx


@cache
def _judge() -> PocketSphinx:
    return PocketSphinx()


def hear(clip: Clip) -> str:
    """The words of one English clip as PocketSphinx hears them, lower-case; empty when it hears none."""
    return _judge().hear(clip, "en")


def recognise(clips: Sequence[Clip], workers: int | None = None, label: str = "recognise") -> list[str]:
    """The words of every clip, in order, by several processes; ``workers`` 1 stays in this one.

    Raises:
        MissingDependencyError: PocketSphinx is not installed.
    """
    _judge()
    count = min(workers or os.cpu_count() or 1, len(clips))
    if count <= 1:
        return [hear(clip) for clip in tqdm(clips, desc=label, unit="clip")]
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        return list(tqdm(pool.imap(hear, clips, chunksize=4), total=len(clips), desc=label, unit="clip"))
