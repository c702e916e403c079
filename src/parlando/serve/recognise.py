"""What is said in a recording that came without its words, by a recogniser that the server's operator chose."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from parlando.audio.clip import Clip
from parlando.audio.resample import resample
from parlando.converse.stages import Recogniser
from parlando.converse.whisper import QuickWhisper
from parlando.core.errors import ConfigError, MissingDependencyError, nearest

RECOGNISER_RATE = 16_000
PCM_FULL_SCALE = 32767
SIZE = "small"  # of Whisper, unless one is named
NOISE = re.compile(r"<[^>]*>|\+\+\w+\+\+|\[[^\]]*\]|\(\d+\)")


class PocketSphinx:
    """A small recogniser of American English that brings its model along."""

    def __init__(self, model: str) -> None:
        if model:
            raise ConfigError(f"serve.recogniser: pocketsphinx has one model; leave out ':{model}'")
        self._lock = threading.Lock()
        self._decoder: Any = None

    def hear(self, clip: Clip, language: str) -> str:
        """The words, English whatever the language."""
        from pocketsphinx import Decoder

        samples = np.clip(_at_its_rate(clip), -1.0, 1.0) * PCM_FULL_SCALE
        with self._lock:
            self._decoder = self._decoder or Decoder(loglevel="FATAL", samprate=RECOGNISER_RATE)
            self._decoder.start_utt()
            self._decoder.process_raw(samples.astype("<i2").tobytes(), full_utt=True)
            self._decoder.end_utt()
            heard = self._decoder.hyp()
        return _tidy(heard.hypstr if heard is not None else "")


class FasterWhisper:
    """Whisper by CTranslate2; its model is a size that is fetched, or a folder."""

    def __init__(self, model: str) -> None:
        self._whisper = QuickWhisper(model or SIZE)

    def hear(self, clip: Clip, language: str) -> str:
        """The words."""
        return _tidy(self._whisper.hear(clip, language))


_KINDS: dict[str, tuple[str, Callable[[str], Recogniser]]] = {
    "pocketsphinx": ("pocketsphinx", PocketSphinx),
    "faster-whisper": ("faster_whisper", FasterWhisper),
}


def open_recogniser(name: str) -> Recogniser:
    """A recogniser by name, which loads its model when it is first needed; ``name:model`` chooses one.

    Raises:
        ConfigError: there is no such recogniser.
        MissingDependencyError: its package is not installed.
    """
    kind, _, model = name.partition(":")
    if kind not in _KINDS:
        known = ", ".join(_KINDS)
        raise ConfigError(
            f"serve.recogniser: '{kind}' is not a recogniser; use one of: {known}.{nearest(kind, _KINDS)}"
        )
    package, make = _KINDS[kind]
    if find_spec(package) is None:
        raise MissingDependencyError(package, f"pip install {kind}")
    return make(model)


def _at_its_rate(clip: Clip) -> np.ndarray:
    return resample(clip.samples, clip.sample_rate, RECOGNISER_RATE)


def _tidy(heard: str) -> str:
    return " ".join(NOISE.sub(" ", heard).split())
