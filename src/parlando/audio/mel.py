"""Log-mel spectrograms in plain torch; one implementation, its constants in a config."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from parlando.core.config import NotNegative, Positive, Size


@dataclass(frozen=True)
class MelConfig:
    """Analysis of a mel spectrogram; lengths in samples, frequencies in hertz."""

    sample_rate: Size
    fft_samples: Size
    hop_samples: Size
    num_bands: Size
    lowest_hz: NotNegative = 0.0
    highest_hz: Positive | None = None
    floor: Positive = 1e-5


def hz_to_mel(hz: float) -> float:
    """Slaney's mel scale (Auditory Toolbox, 1998): linear below 1 kHz, logarithmic above."""
    linear = hz / (200.0 / 3)
    return linear if hz < 1000.0 else 15.0 + math.log(hz / 1000.0) / (math.log(6.4) / 27.0)


def mel_to_hz(mel: Float[Tensor, " point"]) -> Float[Tensor, " point"]:
    """Inverse of `hz_to_mel`, elementwise."""
    return torch.where(mel < 15.0, mel * (200.0 / 3), 1000.0 * torch.exp((mel - 15.0) * (math.log(6.4) / 27.0)))


def mel_filterbank(config: MelConfig) -> Float[Tensor, "band bin"]:
    """Triangular filters of unit area (Slaney normalisation)."""
    highest = config.highest_hz or config.sample_rate / 2
    points = torch.linspace(hz_to_mel(config.lowest_hz), hz_to_mel(highest), config.num_bands + 2, dtype=torch.float64)
    edges = mel_to_hz(points)
    bins = torch.linspace(0, config.sample_rate / 2, config.fft_samples // 2 + 1, dtype=torch.float64)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    filters = torch.minimum(rising, falling).clamp_min(0)
    return (filters * (2.0 / (edges[2:] - edges[:-2]))[:, None]).float()


class MelSpectrogram(nn.Module):
    """Waveform to natural-log mel magnitudes, one frame per hop; frame i is centred on sample (i + 1/2) hop."""

    window: Tensor
    filters: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("window", torch.hann_window(config.fft_samples), persistent=False)
        self.register_buffer("filters", mel_filterbank(config), persistent=False)

    def forward(self, wave: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame band"]:
        """Log-mel frames; samples past the last whole hop are dropped, both ends are padded with zeros."""
        config = self.config
        total = (config.fft_samples - config.hop_samples) // 2
        padded = nn.functional.pad(wave, (total, config.fft_samples - config.hop_samples - total))
        spectrum = torch.stft(
            padded, config.fft_samples, config.hop_samples, window=self.window, center=False, return_complex=True
        )
        return (self.filters @ spectrum.abs()).clamp_min(config.floor).log().transpose(1, 2)
