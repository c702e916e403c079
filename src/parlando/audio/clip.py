"""A mono clip and the one place that turns arrays from outside into float32 samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from parlando.core.errors import AudioError

MAX_CHANNELS = 8

PCM_FULL_SCALE = 32767


@dataclass(frozen=True)
class Clip:
    """Mono audio: ``samples`` float32 [n], full scale 1.0, at ``sample_rate`` hertz."""

    samples: np.ndarray
    sample_rate: int

    @property
    def duration_seconds(self) -> float:
        """Length of the clip."""
        return len(self.samples) / self.sample_rate


def check_sample_rate(sample_rate: object, where: str = "audio") -> int:
    """The rate as an int.

    Raises:
        AudioError: it is not a whole number above zero.
    """
    whole = isinstance(sample_rate, int | np.integer) and not isinstance(sample_rate, bool)
    if not whole or int(sample_rate) <= 0:  # type: ignore[call-overload]
        raise AudioError(f"{where}: a sample rate is a whole number of hertz above zero, got {sample_rate!r}")
    return int(sample_rate)  # type: ignore[call-overload]


def as_mono(samples: object, where: str = "audio") -> np.ndarray:
    """Mono float32 [n] from [n] or [n, channel]; integers are scaled to full scale 1.0, channels are averaged.

    Raises:
        AudioError: not an array of numbers, more than two dimensions, no samples, or not finite.
    """
    array = np.asarray(samples)
    if array.dtype.kind not in "iuf" or array.ndim not in (1, 2):
        raise AudioError(f"{where}: expected samples [n] or [n, channel], got {array.dtype} {list(array.shape)}")
    if array.size == 0:
        raise AudioError(f"{where}: it holds no samples; give it some audio")
    if array.ndim == 2 and array.shape[1] > MAX_CHANNELS:
        raise AudioError(f"{where}: {array.shape[1]} channels; the shape is [n, channel], transpose it")
    with np.errstate(invalid="ignore", over="ignore"):
        mono = _to_float(array) if array.ndim == 1 else _to_float(array).mean(axis=1)
    if not np.isfinite(mono).all():
        bad = int(np.flatnonzero(~np.isfinite(mono))[0])
        raise AudioError(f"{where}: sample {bad} is not a number or infinite; export the audio again")
    return np.ascontiguousarray(mono, dtype=np.float32)


def within_full_scale(samples: np.ndarray) -> np.ndarray:
    """The same samples; those of a recording whose peaks lie above full scale 1.0, scaled down to it."""
    peak = float(np.abs(samples).max(initial=0.0))
    return samples if peak <= 1.0 else samples / np.float32(peak)


def _to_float(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "f":
        return array
    half = 2.0 ** (8 * array.dtype.itemsize - 1)
    return array / half - (1.0 if array.dtype.kind == "u" else 0.0)


def to_pcm(samples: np.ndarray) -> np.ndarray:
    """Full-scale float to 16-bit little-endian integers, clipped."""
    return np.rint(np.clip(samples, -1.0, 1.0) * PCM_FULL_SCALE).astype("<i2")
