"""An independent recogniser: PocketSphinx (Huggins-Daines et al., 2006) with the English model it brings.

Defaults, unrestricted word list. A weak recogniser, so a rate means something only next to that of a reference.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from tqdm import tqdm

from parlando.audio.clip import Clip
from parlando.audio.resample import resample
from parlando.evaluate.optional import require

RECOGNISER_RATE = 16000


@cache
def _decoder() -> Any:
    return require("pocketsphinx").Decoder(loglevel="FATAL")


def hear(clip: Clip) -> str:
    """The words of one clip as PocketSphinx hears them, lower-case; empty when it hears none."""
    wave = resample(clip.samples, clip.sample_rate, RECOGNISER_RATE)
    pcm = (np.clip(wave, -1.0, 1.0) * np.iinfo(np.int16).max).astype(np.int16)
    decoder = _decoder()
    decoder.start_utt()
    decoder.process_raw(pcm.tobytes(), full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return str(hypothesis.hypstr) if hypothesis else ""


def recognise(clips: Sequence[Clip], workers: int | None = None, label: str = "recognise") -> list[str]:
    """The words of every clip, in order, by several processes; ``workers`` 1 stays in this one.

    Raises:
        MissingDependencyError: PocketSphinx is not installed.
    """
    require("pocketsphinx")
    count = min(workers or os.cpu_count() or 1, len(clips))
    if count <= 1:
        return [hear(clip) for clip in tqdm(clips, desc=label, unit="clip")]
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        return list(tqdm(pool.imap(hear, clips, chunksize=4), total=len(clips), desc=label, unit="clip"))
