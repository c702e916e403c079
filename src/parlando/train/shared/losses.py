"""Losses: spectra at several resolutions (Parallel WaveGAN, 2020), and classes of which some are unknown."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.audio.mel import MelConfig, MelSpectrogram

Resolution = tuple[int, int, int]
RESOLUTIONS: tuple[Resolution, ...] = ((512, 128, 60), (1024, 240, 100), (2048, 480, 140))
"""FFT samples, hop samples and mel bands."""
FINE_RESOLUTIONS: tuple[Resolution, ...] = (
    *((32, 8, 5), (64, 16, 10), (128, 32, 20)),
    *((256, 64, 40), (512, 128, 80), (1024, 256, 160), (2048, 512, 320)),
)
"""Those of DAC (Kumar et al., 2023): clicks and beats, too, and not only voices."""


class SpectralLoss(nn.Module):
    """Mean absolute log-mel difference plus the relative magnitude error, averaged over resolutions."""

    def __init__(self, sample_rate: int, resolutions: Sequence[Resolution] = RESOLUTIONS) -> None:
        super().__init__()
        configs = [MelConfig(sample_rate, fft, hop, bands, floor=1e-4) for fft, hop, bands in resolutions]
        self.mels = nn.ModuleList(MelSpectrogram(config) for config in configs)

    def forward(self, made: Float[Tensor, "batch sample"], real: Float[Tensor, "batch sample"]) -> Float[Tensor, ""]:
        """A scalar; natural-log units."""
        total = torch.zeros((), device=made.device)
        for mel in self.mels:
            a, b = mel(made), mel(real)
            magnitude = (a.exp() - b.exp()).norm() / b.exp().norm().clamp_min(1e-4)
            total = total + (a - b).abs().mean() + 0.5 * magnitude
        return total / len(self.mels)


def known_cross_entropy(
    logits: Float[Tensor, "item label"], targets: Int[Tensor, " item"], unknown: int
) -> Float[Tensor, ""]:
    """Cross entropy where the target is known; nothing, where none is: a corpus without phone times trains the rest."""
    if not bool((targets != unknown).any()):
        return logits.sum() * 0.0
    return functional.cross_entropy(logits, targets, ignore_index=unknown)
