"""Discriminators for what makes waves; those by default are small enough for a CPU.

Some see the wave folded by a period (HiFi-GAN, Kong et al., 2020), some its complex spectrogram at one resolution
(after UnivNet, Jang et al., 2021). Eight that are tiny together teach more than few large ones in the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from parlando.core.config import Size
from parlando.core.errors import ConfigError

LEAK, HOPS_PER_WINDOW = 0.1, 4
Scores = tuple[Tensor, list[Tensor]]


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Periods in samples, and windows of spectra, each a discriminator; and the widths of their layers."""

    periods: tuple[Size, ...] = (2, 3, 5, 7, 11)
    period_widths: tuple[Size, ...] = (8, 16, 32, 32)
    fft_samples: tuple[Size, ...] = (512, 1024, 2048)
    spectrum_width: Size = 16

    def __post_init__(self) -> None:
        if not self.period_widths or not (*self.periods, *self.fft_samples):
            raise ConfigError("discriminators: give a period or a window at least, and a width of a layer")


class _Stack(nn.Module):
    """2-D convolutions that keep what every layer found, and a score per place at the end."""

    def __init__(self, layers: Sequence[nn.Conv2d], score: nn.Conv2d) -> None:
        super().__init__()
        self.layers = nn.ModuleList(weight_norm(layer) for layer in layers)
        self.score = weight_norm(score)

    def forward(self, x: Float[Tensor, "batch channel row column"]) -> Scores:
        features = []
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), LEAK)
            features.append(x)
        return self.score(x), features


class PeriodDiscriminator(nn.Module):
    """Scores a wave by samples that lie ``period`` apart."""

    def __init__(self, period: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.period = period
        layers = [nn.Conv2d(i, o, (5, 1), (3, 1), (2, 0)) for i, o in zip((1, *widths[:-1]), widths, strict=True)]
        self.stack = _Stack(layers, nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, wave: Float[Tensor, "batch sample"]) -> Scores:
        """Scores and the feature maps of every layer."""
        padded = functional.pad(wave[:, None], (0, -wave.shape[1] % self.period), mode="reflect")
        return self.stack(padded.unflatten(2, (-1, self.period)))


class SpectrumDiscriminator(nn.Module):
    """Scores every place of one STFT, whose magnitudes are compressed by a square root."""

    window: Tensor

    def __init__(self, fft_samples: int, width: int) -> None:
        super().__init__()
        self.fft_samples, self.hop_samples = fft_samples, fft_samples // HOPS_PER_WINDOW
        self.register_buffer("window", torch.hann_window(fft_samples), persistent=False)
        layers = [nn.Conv2d(2, width, (7, 3), (4, 1), (3, 1))]
        layers += [nn.Conv2d(width, width, (5, 3), (2, 1), (2, dilation), (1, dilation)) for dilation in (1, 2, 4)]
        self.stack = _Stack(layers, nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, wave: Float[Tensor, "batch sample"]) -> Scores:
        """Scores and the feature maps of every layer."""
        spectrum = torch.stft(
            wave, self.fft_samples, self.hop_samples, window=self.window, return_complex=True, pad_mode="constant"
        )
        parts = torch.view_as_real(spectrum).permute(0, 3, 1, 2)
        return self.stack(parts * (parts.square().sum(1, keepdim=True) + 1e-6).pow(-0.25))


class Discriminators(nn.Module):
    """All periods and resolutions at once."""

    def __init__(self, config: DiscriminatorConfig = DiscriminatorConfig()) -> None:
        super().__init__()
        spectra = [SpectrumDiscriminator(fft, config.spectrum_width) for fft in config.fft_samples]
        periods = [PeriodDiscriminator(period, config.period_widths) for period in config.periods]
        self.parts = nn.ModuleList([*spectra, *periods])

    def forward(self, wave: Float[Tensor, "batch sample"]) -> list[Scores]:
        """Scores and features per discriminator."""
        return [part(wave) for part in self.parts]


def discriminator_loss(real: list[Scores], made: list[Scores]) -> Float[Tensor, ""]:
    """Hinge loss, mean over discriminators."""
    losses = [
        functional.relu(1 - r.float()).mean() + functional.relu(1 + m.float()).mean()
        for (r, _), (m, _) in zip(real, made, strict=True)
    ]
    return torch.stack(losses).mean()


def generator_losses(real: list[Scores], made: list[Scores]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Adversarial and feature-matching losses, means over all parts (and layers, relative to the real features)."""
    adversarial = torch.stack([functional.relu(1 - score.float()).mean() for score, _ in made]).mean()
    matching = [
        (m.float() - r.detach().float()).abs().mean() / r.detach().float().abs().mean().clamp_min(1e-4)
        for (_, rs), (_, ms) in zip(real, made, strict=True)
        for r, m in zip(rs, ms, strict=True)
    ]
    return adversarial, torch.stack(matching).mean()
