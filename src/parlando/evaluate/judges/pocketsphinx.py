"""PocketSphinx (Huggins-Daines et al., 2006) with the English model it brings, default settings and whole dictionary.

A weak recogniser that misses a quarter of clear speech: its rates mean something only next to a reference's.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

import numpy as np

from parlando.audio.clip import Clip
from parlando.core.errors import InputError
from parlando.evaluate.judges.base import Card, Word, at_judge_rate, version_of
from parlando.evaluate.optional import require

_FILLERS = "<[+"
"""What words begin with that are none: silence, breath, noise."""
_VARIANT = re.compile(r"\(\d+\)$")


class PocketSphinx:
    """A recogniser (`judges.base.Asr`) of English.

    By itself it carries the channel's mean from clip to clip; a ``steady`` one takes each clip's own, so that what it
    hears does not depend on what it heard before.
    """

    def __init__(self, steady: bool = False) -> None:
        """Name it.

        Raises:
            MissingDependencyError: PocketSphinx is not installed.
        """
        self._library = require("pocketsphinx")
        self._steady, self._cmn = steady, "batch" if steady else "live"
        settings = {"model": "en-us", **({"cmn": self._cmn} if steady else {})}
        self.card = Card("pocketsphinx", version_of("pocketsphinx"), settings)

    @cached_property
    def _decoder(self) -> Any:
        return self._library.Decoder(loglevel="FATAL", cmn=self._cmn)

    def hear(self, clip: Clip, language: str) -> str:
        """The words of a clip, lower-case; empty when it hears none.

        Raises:
            InputError: it is not English.
        """
        return self._heard(clip, language)

    def hear_words(self, clip: Clip, language: str) -> list[Word]:
        """The words of a clip with their times; errors as for `hear`."""
        if not self._heard(clip, language):
            return []
        frames = self._decoder.config["frate"]
        return [
            Word(_VARIANT.sub("", each.word), each.start_frame / frames, (each.end_frame + 1) / frames)
            for each in self._decoder.seg()
            if each.word[0] not in _FILLERS
        ]

    def _heard(self, clip: Clip, language: str) -> str:
        if language != "en":
            raise InputError(f"pocketsphinx hears English only, not '{language}'; use --asr whisper")
        pcm = (np.clip(at_judge_rate(clip), -1.0, 1.0) * np.iinfo(np.int16).max).astype(np.int16)
        if self._steady:
            self._decoder.reinit_feat()  # a mean is carried on by "batch", too
        self._decoder.start_utt()
        self._decoder.process_raw(pcm.tobytes(), full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return str(hypothesis.hypstr) if hypothesis else ""
