"""PocketSphinx (Huggins-Daines et al., 2006) with the English model it brings, default settings and whole dictionary.

A weak recogniser that misses a quarter of clear speech: its rates mean something only next to a reference's.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from parlando.audio.clip import Clip
from parlando.core.errors import InputError
from parlando.evaluate.judges.base import Card, at_judge_rate, version_of
from parlando.evaluate.optional import require


class PocketSphinx:
    """A recogniser (`judges.base.Asr`) of English."""

    def __init__(self) -> None:
        """Name it.

        Raises:
            MissingDependencyError: PocketSphinx is not installed.
        """
        self._library = require("pocketsphinx")
        self.card = Card("pocketsphinx", version_of("pocketsphinx"), {"model": "en-us"})

    @cached_property
    def _decoder(self) -> Any:
        return self._library.Decoder(loglevel="FATAL")

    def hear(self, clip: Clip, language: str) -> str:
        """The words of a clip, lower-case; empty when it hears none.

        Raises:
            InputError: it is not English.
        """
        if language != "en":
            raise InputError(f"pocketsphinx hears English only, not '{language}'; use --asr whisper")
        pcm = (np.clip(at_judge_rate(clip), -1.0, 1.0) * np.iinfo(np.int16).max).astype(np.int16)
        self._decoder.start_utt()
        self._decoder.process_raw(pcm.tobytes(), full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return str(hypothesis.hypstr) if hypothesis else ""
