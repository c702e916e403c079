"""Other rooms and microphones for clean recordings: a random equaliser, a narrower band, and some noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

CURVE_POINTS, NOISE_TILT_DB, CUT_DB = 7, 20.0, 50.0


@dataclass(frozen=True)
class AugmentConfig:
    """A ``share`` of the clips is filtered and gets noise; of these a ``narrow_share`` ends at ``lowest_cut_hz`` or up.

    ``curve_db`` is the equaliser's standard deviation; noise lies ``loudest_noise_db`` to ``softest_noise_db`` below
    the speech.
    """

    share: float = 0.5
    curve_db: float = 4.0
    narrow_share: float = 0.25
    lowest_cut_hz: float = 3400.0
    loudest_noise_db: float = 12.0
    softest_noise_db: float = 45.0


def augment(
    wave: Float[Tensor, "batch sample"], sample_rate: int, config: AugmentConfig
) -> Float[Tensor, "batch sample"]:
    """Change some clips of a batch, drawn from torch's generator; the level of each stays about what it was."""
    clips, samples = wave.shape
    bins = samples // 2 + 1
    gains_db = _curves(clips, bins, config.curve_db).to(wave)
    cut = config.lowest_cut_hz + torch.rand(clips, 1) * (sample_rate / 2 - config.lowest_cut_hz)
    narrow = (torch.rand(clips, 1) < config.narrow_share) & (torch.linspace(0, sample_rate / 2, bins) > cut)
    spectrum = torch.fft.rfft(wave) * _amplitude(gains_db - CUT_DB * narrow.to(wave))
    tilt = torch.rand(clips, 1) * torch.linspace(0, -NOISE_TILT_DB, bins)
    noise = torch.fft.rfft(torch.randn(clips, samples).to(wave)) * _amplitude(tilt.to(wave))
    depth = torch.empty(clips, 1).uniform_(config.loudest_noise_db, config.softest_noise_db)
    noise = noise * _amplitude(-depth).to(wave) * _size(spectrum) / _size(noise)
    rough = torch.fft.irfft(spectrum + noise, n=samples)
    rough = rough * (wave.square().mean(1, keepdim=True) / rough.square().mean(1, keepdim=True).clamp_min(1e-12)).sqrt()
    return torch.where((torch.rand(clips, 1) < config.share).to(wave.device), rough, wave)


def _curves(clips: int, bins: int, spread_db: float) -> Float[Tensor, "batch bin"]:
    """Smooth random curves, finer at low frequencies, as the ear is."""
    points = functional.interpolate(torch.randn(clips, 1, CURVE_POINTS) * spread_db, bins, mode="linear")[:, 0]
    warped = (torch.linspace(0, 1, bins).sqrt() * (bins - 1)).long()
    return points[:, warped]


def _amplitude(decibels: Tensor) -> Tensor:
    return 10 ** (decibels / 20)


def _size(spectrum: Tensor) -> Tensor:
    return spectrum.abs().square().mean(1, keepdim=True).sqrt().clamp_min(1e-12)
