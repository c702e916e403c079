"""Inverse short-time Fourier transform whose n frames make exactly n hops, and a head that predicts its spectrum."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional


class InverseSTFT(nn.Module):
    """Overlap-add synthesis with a Hann window, trimmed by (fft - hop) / 2 on each side.

    Frame i then covers samples around (i + 1/2) hop, the alignment of `audio.mel.MelSpectrogram`.
    """

    window: Tensor

    def __init__(self, fft_samples: int, hop_samples: int) -> None:
        super().__init__()
        self.fft_samples, self.hop_samples = fft_samples, hop_samples
        self.register_buffer("window", torch.hann_window(fft_samples), persistent=False)

    @property
    def reach_frames(self) -> int:
        """How many frames before and after a frame's hop contribute to its samples."""
        return -(-(self.fft_samples - self.hop_samples) // (2 * self.hop_samples))

    def forward(self, spectrum: Complex[Tensor, "batch bin frame"]) -> Float[Tensor, "batch sample"]:
        """Samples [batch, frame * hop]."""
        frames = torch.fft.irfft(spectrum, n=self.fft_samples, dim=1) * self.window[:, None]
        envelope = self.window.square()[None, :, None].expand(1, -1, frames.shape[2])
        wave, weight = self._overlap_add(frames), self._overlap_add(envelope)
        return wave / weight.clamp_min(1e-8)

    def _overlap_add(self, frames: Float[Tensor, "batch tap frame"]) -> Float[Tensor, "batch sample"]:
        length = (frames.shape[2] - 1) * self.hop_samples + self.fft_samples
        summed = functional.fold(
            frames, output_size=(1, length), kernel_size=(1, self.fft_samples), stride=(1, self.hop_samples)
        )
        trim = (self.fft_samples - self.hop_samples) // 2
        return summed[:, 0, 0, trim : trim + frames.shape[2] * self.hop_samples]


class SpectrumHead(nn.Module):
    """Hidden frames to a waveform through predicted log-magnitude and phase (Vocos, Siuzdak, 2023)."""

    LOUDEST = 1e2

    def __init__(self, dim: int, fft_samples: int, hop_samples: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim, fft_samples + 2)
        self.istft = InverseSTFT(fft_samples, hop_samples)

    def forward(self, hidden: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch sample"]:
        """Samples [batch, frame * hop], computed in float32 whatever the input is."""
        logarithm, phase = self.project(hidden).float().transpose(1, 2).chunk(2, dim=1)
        magnitude = logarithm.exp().clamp_max(self.LOUDEST)
        return self.istft(torch.complex(magnitude * phase.cos(), magnitude * phase.sin()))
