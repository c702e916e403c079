"""The folders of an annotation: raw recordings, and decoded audio by names that say what it was made of."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import soundfile

from parlando.audio.clip import Clip

WORK, AUDIO, JOURNAL = ".work", "audio", "journal"
CLIPS = "clips"


@dataclass(frozen=True)
class Workspace:
    """Where recordings come from (``raw``) and where the corpus is made (``out``); on many machines, shared folders."""

    raw: Path
    out: Path

    @property
    def journal(self) -> Path:
        """Where finished work is noted."""
        return self.out / WORK / JOURNAL

    def audio(self, name: str) -> Path:
        """The decoded audio of a name."""
        return self.out / WORK / AUDIO / name[:2] / f"{name}.flac"

    def clip(self, name: str) -> Path:
        """The clip of a name in the corpus."""
        return self.out / CLIPS / name

    def read(self, name: str, start_seconds: float = 0.0, end_seconds: float | None = None) -> Clip:
        """A part of decoded audio; times beyond its ends are those of its ends."""
        with soundfile.SoundFile(self.audio(name)) as file:
            rate = file.samplerate
            start = min(max(0, round(start_seconds * rate)), file.frames)
            stop = file.frames if end_seconds is None else min(max(start, round(end_seconds * rate)), file.frames)
            file.seek(start)
            return Clip(file.read(stop - start, dtype="float32"), rate)

    def windows(self, name: str, seconds: float) -> Iterator[tuple[float, Clip]]:
        """All of decoded audio, so many seconds at once, with the time at which each window starts."""
        with soundfile.SoundFile(self.audio(name)) as file:
            size = round(seconds * file.samplerate)
            for start in range(0, file.frames, size):
                yield start / file.samplerate, Clip(file.read(size, dtype="float32"), file.samplerate)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write, which appears at ``path`` whole, once the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".parlando-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(name, 0o644)  # mkstemp makes files that only their owner can read
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
