"""The spectral features that published speech models were trained on, in plain torch, one class for each recipe."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from parlando.audio.mel import MelConfig, mel_filterbank
from parlando.core.config import NotNegative, Positive, Share, Size
from parlando.core.errors import AudioError

RANGE_BELS, SHIFT_BELS, SCALE_BELS = 8.0, 4.0, 4.0


@dataclass(frozen=True)
class KaldiConfig:
    """A filterbank as Kaldi computes it; lengths in samples, frequencies in hertz."""

    sample_rate: Size = 16_000
    window_samples: Size = 400
    hop_samples: Size = 160
    num_bands: Size = 80
    lowest_hz: NotNegative = 20.0
    pre_emphasis: Share = 0.97
    window_power: Positive = 0.85

    @property
    def fft_samples(self) -> int:
        """The power of two that a window is padded to."""
        return 1 << (self.window_samples - 1).bit_length()


def kaldi_filterbank(config: KaldiConfig) -> Float[Tensor, "band bin"]:
    """Triangles on the mel scale 1127 ln(1 + f / 700), of height 1, each straight in mel and not in hertz.

    In float32 throughout, as published models met them: a quiet band may hang on the rounding of one small weight.
    """
    lowest, highest = (1127.0 * math.log1p(hz / 700.0) for hz in (config.lowest_hz, config.sample_rate / 2))
    edges = lowest + torch.arange(config.num_bands + 2) * ((highest - lowest) / (config.num_bands + 1))
    hertz = torch.arange(config.fft_samples // 2 + 1) * (config.sample_rate / config.fft_samples)
    mels = 1127.0 * (1.0 + hertz / 700.0).log()
    rising = (mels - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - mels) / (edges[2:] - edges[1:-1])[:, None]
    return torch.minimum(rising, falling).clamp_min(0)


class KaldiFbank(nn.Module):
    """Waveform to natural-log filterbank energies, one frame per hop, as Kaldi does without dither.

    Each window (only those that lie wholly in the clip) loses its mean, is pre-emphasised with its first sample
    repeated, and multiplied by Povey's window, a Hann window to the power 0.85.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, config: KaldiConfig) -> None:
        super().__init__()
        self.config = config
        hann = torch.hann_window(config.window_samples, periodic=False)
        self.register_buffer("window", hann.pow(config.window_power), persistent=False)
        self.register_buffer("filters", kaldi_filterbank(config), persistent=False)

    def forward(self, wave: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame band"]:
        """Log energies, floored at float32's epsilon.

        Raises:
            AudioError: the clip is shorter than one window.
        """
        config = self.config
        _check_length(wave, config.window_samples, config.sample_rate)
        frames = wave.unfold(1, config.window_samples, config.hop_samples)
        frames = frames - frames.mean(-1, keepdim=True)
        before = torch.cat((frames[..., :1], frames[..., :-1]), dim=-1)
        shaped = (frames - config.pre_emphasis * before) * self.window
        power = torch.fft.rfft(shaped, n=config.fft_samples).abs().square()
        return (power @ self.filters.t()).clamp_min(torch.finfo(torch.float32).eps).log()


class WhisperMel(nn.Module):
    """Waveform to the log mel of Whisper (Radford et al., 2022): base 10, at most 80 dB under the clip's loudest band.

    ``config.floor`` is a power. Frame i is centred on sample i hop; the ends are mirrored.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("window", torch.hann_window(config.fft_samples), persistent=False)
        self.register_buffer("filters", mel_filterbank(config), persistent=False)

    def num_frames(self, num_samples: int) -> int:
        """How many frames a clip has: its whole hops."""
        return num_samples // self.config.hop_samples

    def forward(self, wave: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch band frame"]:
        """Log mel, shifted and scaled to about -1..1; every clip of the batch has its own loudest band.

        Raises:
            AudioError: the clip is too short to be mirrored.
        """
        config = self.config
        _check_length(wave, config.fft_samples // 2 + 1, config.sample_rate)
        padded = _mirrored(wave, config.fft_samples // 2)
        power = _spectrum(padded, config, self.window)[..., : self.num_frames(wave.shape[1])].abs().square()
        levels = (self.filters @ power).clamp_min(config.floor).log10()
        loudest = levels.amax(dim=(1, 2), keepdim=True)
        return (torch.maximum(levels, loudest - RANGE_BELS) + SHIFT_BELS) / SCALE_BELS


class MirroredMel(nn.Module):
    """Waveform to natural-log mel magnitudes as HiFi-GAN (Kong et al., 2020) computes them.

    As `audio.mel.MelSpectrogram`, but both ends are mirrored and ``magnitude_floor`` is added to every bin's power.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, config: MelConfig, magnitude_floor: float = 1e-9) -> None:
        super().__init__()
        self.config, self.magnitude_floor = config, magnitude_floor
        self.register_buffer("window", torch.hann_window(config.fft_samples), persistent=False)
        self.register_buffer("filters", mel_filterbank(config), persistent=False)

    def forward(self, wave: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch band frame"]:
        """Log mel, one frame per whole hop.

        Raises:
            AudioError: the clip is too short to be mirrored.
        """
        config = self.config
        reach = (config.fft_samples - config.hop_samples) // 2
        _check_length(wave, reach + 1, config.sample_rate)
        spectrum = _spectrum(_mirrored(wave, reach), config, self.window)
        magnitude = (spectrum.real.square() + spectrum.imag.square() + self.magnitude_floor).sqrt()
        return (self.filters @ magnitude).clamp_min(config.floor).log()


def _check_length(wave: Tensor, least_samples: int, sample_rate: int) -> None:
    if wave.shape[-1] < least_samples:
        raise AudioError(
            f"{wave.shape[-1] / sample_rate:.3f} s of audio are too short; give at least "
            f"{least_samples / sample_rate:.3f} s"
        )


def _mirrored(wave: Float[Tensor, "batch sample"], reach: int) -> Float[Tensor, "batch padded"]:
    return functional.pad(wave[:, None], (reach, reach), mode="reflect")[:, 0]


def _spectrum(wave: Float[Tensor, "batch sample"], config: MelConfig, window: Tensor) -> Tensor:
    return torch.stft(wave, config.fft_samples, config.hop_samples, window=window, center=False, return_complex=True)
