"""Discriminators for the decoder's last stage of training, cheap enough for a CPU.

Each looks at the complex spectrogram of one resolution in frequency bands (after the multi-band discriminator of
Kumar et al., 2023), magnitudes compressed by a square root; a band is one group of 1-D convolutions over time.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

SCALES = ((512, 192), (1024, 320), (2048, 512))
Judgement = tuple[Tensor, list[Tensor]]


class BandDiscriminator(nn.Module):
    """Scores every band and frame of one STFT."""

    window: Tensor

    def __init__(self, fft_samples: int, hop_samples: int, bands: int = 12, width: int = 32) -> None:
        super().__init__()
        self.fft_samples, self.hop_samples, self.bands = fft_samples, hop_samples, bands
        self.register_buffer("window", torch.hann_window(fft_samples), persistent=False)
        self.bins = -(-(fft_samples // 2 + 1) // bands)
        shapes = [(2 * self.bins, width, 1), (width, width, 1), (width, width, 2), (width, width, 4)]
        self.layers = nn.ModuleList(
            nn.utils.parametrizations.weight_norm(
                nn.Conv1d(bands * i, bands * o, 3, padding=dilation, dilation=dilation, groups=bands)
            )
            for i, o, dilation in shapes
        )
        self.judge = nn.utils.parametrizations.weight_norm(nn.Conv1d(bands * width, bands, 3, padding=1, groups=bands))

    def _band_frames(self, wave: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch channel frame"]:
        spectrum = torch.stft(
            wave, self.fft_samples, self.hop_samples, window=self.window, return_complex=True, pad_mode="constant"
        )
        parts = torch.view_as_real(spectrum)
        compressed = parts * (parts.square().sum(-1, keepdim=True) + 1e-6).pow(-0.25)
        padded = functional.pad(compressed, (0, 0, 0, 0, 0, self.bands * self.bins - compressed.shape[1]))
        return padded.unflatten(1, (self.bands, self.bins)).permute(0, 1, 2, 4, 3).flatten(1, 3)

    def forward(self, wave: Float[Tensor, "batch sample"]) -> Judgement:
        """Scores [batch, band, frame] and the feature maps of every layer."""
        x, features = self._band_frames(wave), []
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.judge(x), features


class Discriminators(nn.Module):
    """All scales at once."""

    def __init__(self) -> None:
        super().__init__()
        self.scales = nn.ModuleList(BandDiscriminator(fft, hop) for fft, hop in SCALES)

    def forward(self, wave: Float[Tensor, "batch sample"]) -> list[Judgement]:
        """Scores and features per scale."""
        return [scale(wave) for scale in self.scales]


def discriminator_loss(real: list[Judgement], made: list[Judgement]) -> Float[Tensor, ""]:
    """Hinge loss, mean over scales."""
    losses = [
        functional.relu(1 - r.float()).mean() + functional.relu(1 + m.float()).mean()
        for (r, _), (m, _) in zip(real, made, strict=True)
    ]
    return torch.stack(losses).mean()


def generator_losses(real: list[Judgement], made: list[Judgement]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Adversarial and feature-matching losses, means over scales (and layers, relative to the real features' size)."""
    adversarial = torch.stack([functional.relu(1 - score.float()).mean() for score, _ in made]).mean()
    matching = [
        (m.float() - r.detach().float()).abs().mean() / r.detach().float().abs().mean().clamp_min(1e-4)
        for (_, rs), (_, ms) in zip(real, made, strict=True)
        for r, m in zip(rs, ms, strict=True)
    ]
    return adversarial, torch.stack(matching).mean()
