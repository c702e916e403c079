"""Whisper's log-mel features (Radford et al., 2022) of recordings of unequal length."""

from __future__ import annotations

from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.audio.mel import MelConfig, mel_filterbank
from parlando.models.understanding.config import EarConfig

FLOOR: Final = 1e-10
RANGE: Final = 8.0
"""Powers of ten below a recording's loudest band that are still told apart."""
SILENT_FRAMES: Final = 4
"""Behind the longest recording, so that its end sounds as that of all others does."""


class Ear(nn.Module):
    """Samples to features: log10 of mel powers, cut off below the loudest, about -1 to 1."""

    window: Tensor
    filters: Tensor

    def __init__(self, config: EarConfig) -> None:
        super().__init__()
        self.config = config
        mel = MelConfig(config.sample_rate, config.fft_samples, config.hop_samples, config.num_bands)
        self.register_buffer("window", torch.hann_window(config.fft_samples), persistent=False)
        self.register_buffer("filters", mel_filterbank(mel), persistent=False)

    def frames(self, samples: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """How many frames so many samples are."""
        return samples // self.config.hop_samples

    def forward(
        self, wave: Float[Tensor, "batch sample"], samples: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch band frame"]:
        """Features of whole frames and of some silence behind them."""
        half, hop = self.config.fft_samples // 2, self.config.hop_samples
        padded = functional.pad(wave[:, None], (half, 0), mode="reflect")[:, 0]
        padded = functional.pad(padded, (0, half + SILENT_FRAMES * hop))
        spectrum = torch.stft(
            padded,
            self.config.fft_samples,
            hop,
            window=self.window,
            center=False,
            return_complex=True,
        )
        power = self.filters @ spectrum[..., : wave.shape[1] // hop + SILENT_FRAMES].abs().square()
        levels = power.clamp_min(FLOOR).log10()
        heard = torch.arange(levels.shape[2], device=wave.device) < self.frames(samples)[:, None]
        levels = levels.masked_fill(~heard[:, None], -torch.inf)
        loudest = levels.amax((1, 2), keepdim=True)
        return (levels.maximum(loudest - RANGE) + 4.0) / 4.0
