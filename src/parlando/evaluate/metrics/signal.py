"""How far a copy is from its recording: spectra, PESQ and STOI; both at one rate and over the length that both have."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from parlando.audio.clip import Clip
from parlando.audio.mel import MelConfig, MelSpectrogram
from parlando.audio.resample import resample
from parlando.evaluate.judges.base import JUDGE_RATE
from parlando.evaluate.optional import require

WINDOW_SECONDS, HOPS_PER_WINDOW, NUM_BANDS = 0.04, 4, 80
STFT_WINDOWS = (2048, 512)
FLOOR = 1e-5


def pair(original: Clip, copy: Clip, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Both at a rate, cut to the length that both have."""
    waves = [resample(clip.samples, clip.sample_rate, sample_rate) for clip in (original, copy)]
    length = min(map(len, waves))
    return waves[0][:length], waves[1][:length]


def mel_distance(original: Clip, copy: Clip) -> float:
    """Mean absolute difference of log-mel magnitudes (natural logarithm, 80 bands), at the copy's rate."""
    rate = copy.sample_rate
    window = round(WINDOW_SECONDS * rate)
    mel = MelSpectrogram(MelConfig(rate, window, window // HOPS_PER_WINDOW, NUM_BANDS))
    first, second = (mel(_batch(wave)) for wave in pair(original, copy, rate))
    return float((first - second).abs().mean())


def stft_distance(original: Clip, copy: Clip) -> float:
    """As in DAC's training (Kumar et al., 2023): L1 of magnitudes and of their log10, over windows of 2048 and 512."""
    waves = [_batch(wave) for wave in pair(original, copy, copy.sample_rate)]
    total = 0.0
    for window in STFT_WINDOWS:
        first, second = (_magnitudes(wave, window) for wave in waves)
        total += float((first - second).abs().mean() + (_log(first) - _log(second)).abs().mean())
    return total


def stoi(original: Clip, copy: Clip) -> float:
    """Short-time objective intelligibility (Taal et al., 2011), 0 to 1.

    Raises:
        MissingDependencyError: pystoi is not installed.
    """
    first, second = pair(original, copy, JUDGE_RATE)
    return float(require("pystoi", "pip install pystoi").stoi(first, second, JUDGE_RATE))


def pesq(original: Clip, copy: Clip) -> float:
    """Wideband PESQ (ITU-T P.862.2), 1.04 to 4.64.

    Raises:
        MissingDependencyError: pesq is not installed.
    """
    first, second = pair(original, copy, JUDGE_RATE)
    return float(require("pesq", "pip install pesq").pesq(JUDGE_RATE, first, second, "wb"))


def _batch(wave: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(wave))[None]


def _magnitudes(wave: Tensor, window: int) -> Tensor:
    taper = torch.hann_window(window)
    return torch.stft(wave, window, window // HOPS_PER_WINDOW, window=taper, return_complex=True).abs()


def _log(magnitudes: Tensor) -> Tensor:
    return magnitudes.clamp_min(FLOOR).log10()
