"""What tests of commands share: a standard output of bytes, and a recording."""

from __future__ import annotations

import io

import numpy as np

from parlando.audio.files import write_audio


class BytesOut(io.StringIO):
    def __init__(self, buffer):
        super().__init__()
        self._bytes = buffer

    @property
    def buffer(self):
        return self._bytes


def recording(path, seconds=4.0):
    time = np.arange(round(seconds * 24_000)) / 24_000
    wave = 0.3 * np.sin(2 * np.pi * 200 * time) * (1 + np.sin(2 * np.pi * 3 * time)) / 2
    write_audio(path, wave.astype(np.float32), 24_000)
    return path
