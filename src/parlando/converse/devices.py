"""Ends of a conversation on this machine: the microphone, the loudspeaker, and a recording that stands for one."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import numpy as np

from parlando.core.errors import AudioError, MissingDependencyError
from parlando.core.install import with_extra

QUEUED_SECONDS = 0.5  # that may wait in a loudspeaker: what nobody has heard yet is dropped by an interruption
BLOCK_SECONDS = 0.02


class Recording:
    """A sink (`conversation.Sink`) that keeps everything."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._pieces: list[np.ndarray] = []

    @property
    def samples(self) -> np.ndarray:
        """Everything so far (float32 [n])."""
        return np.concatenate([np.zeros(0, np.float32), *self._pieces])

    def write(self, samples: np.ndarray, unless: Callable[[], bool]) -> None:
        """Keep samples."""
        if not unless():
            self._pieces.append(samples)

    def drop(self) -> None:
        """Nothing waits here."""


class PlaybackQueue:
    """Samples on their way to a loudspeaker, at most half a second ahead; `drop` empties it at once."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._waiting: deque[np.ndarray] = deque()
        self._samples = 0
        self._news = threading.Condition()

    def write(self, samples: np.ndarray, unless: Callable[[], bool]) -> None:
        """Queue samples, once those before have been played but for half a second; not if ``unless`` says so then."""
        most = round(QUEUED_SECONDS * self.sample_rate)
        with self._news:
            self._news.wait_for(lambda: self._samples < most or unless())
            if not unless():
                self._waiting.append(samples)
                self._samples += len(samples)

    def drop(self) -> None:
        """Forget what waits."""
        with self._news:
            self._waiting.clear()
            self._samples = 0
            self._news.notify_all()

    def drain(self) -> None:
        """Wait until everything was taken."""
        with self._news:
            self._news.wait_for(lambda: self._samples == 0)

    def take(self, count: int) -> np.ndarray:
        """The next samples (float32 [count]), silence where there are none."""
        taken = np.zeros(count, np.float32)
        filled = 0
        with self._news:
            while filled < count and self._waiting:
                first = self._waiting.popleft()
                part = first[: count - filled]
                taken[filled : filled + len(part)] = part
                filled += len(part)
                if len(part) < len(first):
                    self._waiting.appendleft(first[len(part) :])
            self._samples -= filled
            self._news.notify_all()
        return taken


class Loudspeaker(PlaybackQueue):
    """The machine's loudspeaker (`conversation.Sink`), open as long as the block lasts."""

    def __enter__(self) -> Loudspeaker:
        """Open it.

        Raises:
            MissingDependencyError: sounddevice is not installed.
            AudioError: there is no loudspeaker.
        """

        def play(out: np.ndarray, frames: int, *_: Any) -> None:
            out[:, 0] = self.take(frames)

        self._stream = _opened("OutputStream", self.sample_rate, play)
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


class Microphone:
    """The machine's microphone, open as long as the block lasts: iterate over it for pieces of sound."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._heard: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()

    def __enter__(self) -> Microphone:
        """Open it; errors as for `Loudspeaker`."""

        def hear(samples: np.ndarray, *_: Any) -> None:
            self._heard.put(samples[:, 0].copy())

        self._stream = _opened("InputStream", self.sample_rate, hear)
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        while True:
            yield self._heard.get()


def _opened(kind: str, sample_rate: int, callback: Callable[..., None]) -> Any:
    try:
        sounddevice: Any = import_module("sounddevice")
    except (ModuleNotFoundError, OSError) as error:  # the latter: without the system's PortAudio
        how = with_extra("chat") if isinstance(error, ModuleNotFoundError) else "apt install libportaudio2"
        raise MissingDependencyError("sounddevice (microphone and loudspeaker)", how) from error
    try:
        block = round(BLOCK_SECONDS * sample_rate)
        made = getattr(sounddevice, kind)(sample_rate, block, channels=1, dtype="float32", callback=callback)
        made.start()
    except sounddevice.PortAudioError as error:
        device = "microphone" if kind == "InputStream" else "loudspeaker"
        raise AudioError(
            f"no {device} can be opened ({error}); give a recording, and -o FILE for the answer"
        ) from error
    return made
