"""Whisper for somebody who waits: it listens as long as the clip is, not for half a minute."""

from __future__ import annotations

import threading
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np

from parlando.audio.clip import Clip
from parlando.audio.resample import resample
from parlando.audio.whisper_window import doubtful, hearing_clips

RATE, WINDOW_SECONDS = 16_000, 30.0


class QuickWhisper:
    """A `stages.Recogniser`: Whisper (Radford et al., 2022) by faster-whisper, greedy, in a window as long as the clip.

    Whisper was trained on windows of 30 s, and most of what it computes for a short clip is for the silence behind it:
    its encoder attends from each frame to each. A window of 10 s costs a sixth. It goes wrong more easily in it: what
    looks like that is heard again in a whole window.
    ``model`` is a size that is fetched or a folder in CTranslate2's layout; it is loaded with the first clip.
    """

    def __init__(self, model: str) -> None:
        self.model, self._lock = model, threading.Lock()

    @cached_property
    def _whisper(self) -> Any:
        # In whatever type is fastest here.
        return hearing_clips(import_module("faster_whisper").WhisperModel)(self.model, compute_type="auto")

    def hear(self, clip: Clip, language: str) -> str:
        """The words of a clip of any length; in a language of Whisper's own choice with ``auto``."""
        samples = resample(clip.samples, clip.sample_rate, RATE).astype(np.float32)
        with self._lock:
            segments = self._segments(samples, language, whole=False)
            if any(map(doubtful, segments)):
                segments = self._segments(samples, language, whole=True)
        return " ".join(segment.text.strip() for segment in segments).strip()

    def _segments(self, samples: np.ndarray, language: str, whole: bool) -> list[Any]:
        self._whisper.whole_window = whole
        segments, _ = self._whisper.transcribe(
            samples,
            language=None if language == "auto" else language,
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=len(samples) <= WINDOW_SECONDS * RATE,
        )
        return list(segments)
