"""Short-time Fourier transform and its inverse over a signal in pieces, frames centred on multiples of the hop."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

from parlando.nn.streaming import Carry, joined, overlap_add, reflect_start


@dataclass(frozen=True)
class CenteredSTFT:
    """A Hann window of ``fft_samples``; n hops of signal have n + 1 frames, the outer two mirrored over the ends.

    The window must be longer than two hops.
    """

    fft_samples: int
    hop_samples: int

    @property
    def num_bins(self) -> int:
        """Complex values per frame."""
        return self.fft_samples // 2 + 1

    def analyse(self, wave: Float[Tensor, "batch sample"], carry: Carry) -> Complex[Tensor, "batch bin frame"]:
        """The frames that became final, half a window behind the samples."""
        half = self.fft_samples // 2
        window = reflect_start(wave, half, carry)
        window = joined(carry.recall(wave[:, :0]), window)
        if carry.final:
            window = joined(window, window[:, -half - 1 : -1].flip(-1))
        frames = max(0, (window.shape[1] - self.fft_samples) // self.hop_samples + 1)
        carry.keep(window[:, frames * self.hop_samples :])
        if frames == 0:
            return torch.zeros(wave.shape[0], self.num_bins, 0, dtype=torch.complex64, device=wave.device)
        taps = window.unfold(1, self.fft_samples, self.hop_samples) * self._window(wave)
        return torch.fft.rfft(taps, dim=2).transpose(1, 2)

    def synthesise(self, spectrum: Complex[Tensor, "batch bin frame"], carry: Carry) -> Float[Tensor, "batch sample"]:
        """The samples that became final: least squares (Griffin and Lim, 1984), half a window behind the frames."""
        overlap, frames = self.fft_samples - self.hop_samples, spectrum.shape[2]
        laid = spectrum.real.new_zeros(spectrum.shape[0], 2, frames * self.hop_samples + overlap)
        if frames:
            window = self._window(laid)[:, None]
            taps = torch.fft.irfft(spectrum, n=self.fft_samples, dim=1) * window
            weights = window.square().expand_as(taps)
            laid = self._lay(torch.cat([taps, weights], dim=1), laid.shape[2])
        wave, weight = overlap_add(laid, overlap, self.fft_samples // 2, carry).unbind(1)
        return wave / weight

    def _lay(self, taps: Float[Tensor, "batch both_taps frame"], length: int) -> Float[Tensor, "batch 2 sample"]:
        """Frames of two signals summed where they overlap."""
        return functional.fold(taps, (1, length), (1, self.fft_samples), stride=(1, self.hop_samples))[:, :, 0]

    def _window(self, like: Tensor) -> Float[Tensor, " tap"]:
        """Rounded from double precision: rounding at every step would show in the output (1e-5)."""
        return torch.hann_window(self.fft_samples, dtype=torch.float64, device=like.device).to(like.dtype)
