"""Changing the sample rate: soxr for files and streams, a windowed sinc in torch for use inside models."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import soxr
import torch
from jaxtyping import Float
from torch import Tensor

from parlando.audio.clip import check_sample_rate

ZERO_CROSSINGS = 6
ROLLOFF = 0.99


def resample(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Float32 [n] from one rate (hertz) to another, by soxr's high quality setting.

    Raises:
        AudioError: a rate is not a whole number above zero.
    """
    _check_rates(from_rate, to_rate)
    wave = np.asarray(samples, dtype=np.float32)
    if from_rate == to_rate or not len(wave):
        return wave
    return soxr.resample(wave, from_rate, to_rate)


class StreamResampler:
    """Resamples one stream piece by piece; the pieces joined equal `resample` of the whole."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        _check_rates(from_rate, to_rate)
        self._stream = None if from_rate == to_rate else soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32")

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """Samples (float32 [m], m may be 0) that are final after these."""
        return self._push(samples, final=False)

    def close(self) -> np.ndarray:
        """The samples that were still held back; nothing may be fed afterwards."""
        return self._push(np.zeros(0, dtype=np.float32), final=True)

    def _push(self, samples: np.ndarray, final: bool) -> np.ndarray:
        wave = np.asarray(samples, dtype=np.float32)
        return wave if self._stream is None else self._stream.resample_chunk(wave, last=final)


def sinc_resample(
    wave: Float[Tensor, "batch sample"], from_rate: int, to_rate: int
) -> Float[Tensor, "batch resampled"]:
    """Band-limited interpolation with a Hann-windowed sinc (Smith and Gossett, 1984), as a strided convolution.

    Six zero crossings a side, cut off at 0.99 of the lower Nyquist frequency: the filter and the lengths,
    ``ceil(n * to_rate / from_rate)`` samples, that published audio tokenizers were trained with.

    Raises:
        AudioError: a rate is not a whole number above zero.
    """
    _check_rates(from_rate, to_rate)
    if from_rate == to_rate:
        return wave
    divisor = math.gcd(from_rate, to_rate)
    step, phases = from_rate // divisor, to_rate // divisor
    reach = _reach(step, phases)
    padded = torch.nn.functional.pad(wave, (reach, reach + step))
    filters = _phase_filters(step, phases).to(wave)
    columns = torch.nn.functional.conv1d(padded[:, None], filters[:, None], stride=step)
    length = -(-wave.shape[1] * phases // step)
    return columns.transpose(1, 2).flatten(1)[:, :length]


def _check_rates(*sample_rates: int) -> None:
    for sample_rate in sample_rates:
        check_sample_rate(sample_rate)


def _reach(step: int, phases: int) -> int:
    """Input samples on each side that the filter touches."""
    return math.ceil(ZERO_CROSSINGS * step / (min(step, phases) * ROLLOFF))


@cache
def _phase_filters(step: int, phases: int) -> Float[Tensor, "phase tap"]:
    """One filter per output position in a group: ``step`` samples in, ``phases`` samples out."""
    bandwidth = min(step, phases) * ROLLOFF
    reach = _reach(step, phases)
    inputs = torch.arange(-reach, reach + step, dtype=torch.float64) / step
    outputs = torch.arange(phases, dtype=torch.float64) / phases
    distance = ((inputs - outputs[:, None]) * bandwidth).clamp(-ZERO_CROSSINGS, ZERO_CROSSINGS)
    window = torch.cos(distance * math.pi / (2 * ZERO_CROSSINGS)).square()
    return torch.sinc(distance) * window * (bandwidth / step)
