"""Decoding: any recording, however long, as mono audio at one rate in the workspace; what cannot be is told why."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from parlando.annotate.rows import Row, digest
from parlando.annotate.step import Rejected, Step
from parlando.annotate.steps.sealed import sealed_by
from parlando.annotate.workspace import Workspace, whole_file
from parlando.audio.clip import as_mono
from parlando.audio.decode import Bounds, decode_blocks
from parlando.audio.resample import StreamResampler
from parlando.audio.sniff import sniff
from parlando.core.errors import AudioError

LOST_BY_MIXING = 10.0
"""Decibels: channels of opposite phase cancel each other, and then the loudest one is taken alone."""
SILENT = -60.0
"""Decibels of full scale that the loudest tenth of a second stays below."""
TINY = 1e-12
LEVEL_SECONDS = 0.1
SUBTYPE = "PCM_24"
TOO_LONG = ("s long, more than", "audio need;", "too many samples")
"""What `Bounds` says of recordings out of bounds."""


@dataclass
class _Levels:
    """Mean squares of what went by: of each channel, of the mix, and of the mix's loudest stretch."""

    frames: int = 0
    channels: np.ndarray = field(default_factory=lambda: np.zeros(1))
    mix: float = 0.0
    loudest: float = 0.0

    def add(self, block: np.ndarray, mono: np.ndarray, rate: int) -> None:
        self.frames += len(mono)
        self.channels = self.channels + np.square(block, dtype=np.float64).sum(axis=0)
        squares = np.square(mono, dtype=np.float64)
        self.mix += float(squares.sum())
        starts = np.arange(0, len(squares), max(1, round(LEVEL_SECONDS * rate)))
        counts = np.diff(np.append(starts, len(squares)))
        self.loudest = max(self.loudest, float((np.add.reduceat(squares, starts) / counts).max()))

    def cancelled(self) -> int | None:
        """The loudest channel, where mixing lost it."""
        best = int(self.channels.argmax())
        return best if _decibels(self.mix) < _decibels(float(self.channels[best])) - LOST_BY_MIXING else None


@dataclass(frozen=True)
class Decode(Step):
    """Recordings up to ``longest_hours``, those that only FFmpeg reads (M4A, WebM …) up to ``at_once_hours``."""

    sample_rate: int = 24_000
    longest_hours: float = 24.0
    at_once_hours: float = 2.0

    name = "decode"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Rate and bounds."""
        return {
            "sample_rate": self.sample_rate,
            "longest_hours": self.longest_hours,
            "at_once_hours": self.at_once_hours,
        }

    def run(self, row: Row, work: Workspace) -> Iterable[Row]:
        """One row with the audio's name, or a reason."""
        path = work.raw / row.source
        _check_kind(path)
        name = digest(str(row.facts["content"]), self.signature)
        try:
            levels, rate, seconds = self._decoded(path, work.audio(name))
        except AudioError as error:
            reason = "too long" if any(each in str(error) for each in TOO_LONG) else "damaged"
            raise Rejected(reason, str(error).replace(str(path), row.source)) from error
        facts = {
            "audio": name,
            "recorded_rate": rate,
            "channels": len(levels.channels),
            "level_dbfs": round(_decibels(levels.mix / levels.frames), 2),
        }
        yield self.tell(Row(row.id, row.source, round(seconds, 3), row.facts, row.provenance), facts)

    def _decoded(self, path: Path, target: Path) -> tuple[_Levels, int, float]:
        levels, rate, seconds = self._written(path, target, None)
        if (channel := levels.cancelled()) is not None:
            levels, rate, seconds = self._written(path, target, channel)
        if _decibels(levels.loudest) < SILENT:
            target.unlink()
            raise Rejected("silent", f"nothing in it is louder than {SILENT:g} dB of full scale", round(seconds, 3))
        return levels, rate, seconds

    def _written(self, path: Path, target: Path, channel: int | None) -> tuple[_Levels, int, float]:
        levels, written, rate = _Levels(), 0, self.sample_rate
        with whole_file(target) as partial, soundfile.SoundFile(partial, "w", self.sample_rate, 1, SUBTYPE) as file:
            resampler: StreamResampler | None = None
            for block, rate in self._blocks(path):
                mono = as_mono(block if channel is None else block[:, channel], str(path))
                levels.add(block, mono, rate)
                resampler = resampler or StreamResampler(rate, self.sample_rate)
                written += _write(file, resampler.feed(mono))
            if resampler is None:
                raise Rejected("empty", "it holds no samples")
            written += _write(file, resampler.close())
        return levels, rate, written / self.sample_rate

    def _blocks(self, path: Path) -> Iterator[tuple[np.ndarray, int]]:
        bounds = (Bounds(f"'{path}'", hours * 3600) for hours in (self.longest_hours, self.at_once_hours))
        with path.open("rb") as stream:
            yield from ((block, rate) for block, rate in decode_blocks(stream, *bounds) if len(block))


def _check_kind(path: Path) -> None:
    if not path.is_file():
        raise Rejected("missing", "it was there when the folder was listed, and is gone")
    if not path.stat().st_size:
        raise Rejected("empty", "a file of 0 bytes")
    with path.open("rb") as stream:
        if lock := sealed_by(stream):
            raise Rejected("encrypted", lock)
        stream.seek(0, io.SEEK_SET)
        if sniff(stream) is None:
            raise Rejected("not audio", "its first bytes are of no audio file that is read")


def _write(file: soundfile.SoundFile, wave: np.ndarray) -> int:
    """Samples beyond full scale, as floats can be, are clipped."""
    file.write(wave.clip(-1.0, 1.0))
    return len(wave)


def _decibels(power: float) -> float:
    return 10 * math.log10(power + TINY)
