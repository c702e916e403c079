"""What excites the vocoder: pitch from the mel, and harmonics of that pitch plus noise (NSF: Wang et al., 2019).

All of it goes on across pieces: one phase from the first sample to the last, and noise that depends on seed and
position only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from parlando.core.config import Count, NotNegative, Size
from parlando.nn.streaming import Carry, StreamedConv1d, align

_PITCH_LAYERS = 5
_PITCH_KERNEL = 3
_FRAME_WORD = 192
_NEAR_PULSE = 1e-5


@dataclass(frozen=True)
class SourceConfig:
    """The excitation's settings; ``num_harmonics`` are above the fundamental, amplitudes are before the mixing."""

    sample_rate: Size = 24_000
    num_harmonics: Count = 8
    sine_amplitude: NotNegative = 0.1
    voiced_noise: NotNegative = 0.003
    voiced_above_hertz: NotNegative = 10.0

    @property
    def num_waves(self) -> int:
        """The fundamental and its harmonics."""
        return 1 + self.num_harmonics


class Noise(Protocol):
    """Standard normal draws by position."""

    def __call__(self, first_frame: int, num_frames: int) -> Float[Tensor, "batch sample wave"]:
        """The draws of frames ``first_frame ..< first_frame + num_frames``, the same whenever they are asked for."""
        ...


@dataclass(frozen=True)
class SeededNoise:
    """Counter-based draws (Philox: Salmon et al., 2011), one seed per row; the same on every device."""

    seeds: tuple[int, ...]
    samples_per_frame: int
    num_waves: int

    def __call__(self, first_frame: int, num_frames: int) -> Float[Tensor, "batch sample wave"]:
        """Draws of whole frames, on the CPU."""
        frames = range(first_frame, first_frame + num_frames)
        rows = [self._row(seed, frames) for seed in self.seeds]
        return torch.from_numpy(np.stack(rows)) if rows else torch.zeros(0, 0, self.num_waves)

    def _row(self, seed: int, frames: Sequence[int]) -> np.ndarray:
        draws = np.empty((len(frames), self.samples_per_frame, self.num_waves), dtype=np.float32)
        for place, frame in zip(draws, frames, strict=True):
            counter = np.random.Philox(key=seed, counter=frame << _FRAME_WORD)
            np.random.Generator(counter).standard_normal(out=place, dtype=np.float32)
        return draws.reshape(-1, self.num_waves)


class PitchPredictor(nn.Module):
    """Mel frames to their fundamental frequency, from five frames on either side; computes in its weights' dtype.

    Pitch adds up to phase, so what it rounds differently for differently long pieces does too: see `HiFT.prepare`.
    """

    def __init__(self, mel_bins: int, channels: int) -> None:
        super().__init__()
        widths = [mel_bins, *[channels] * _PITCH_LAYERS]
        self.condnet = nn.ModuleDict(  # numbered as if the activations between them were layers
            {
                str(2 * n): weight_norm(StreamedConv1d(widths[n], channels, _PITCH_KERNEL, padding=_PITCH_KERNEL // 2))
                for n in range(_PITCH_LAYERS)
            }
        )
        self.classifier = nn.Linear(channels, 1)

    def forward(self, mel: Float[Tensor, "batch bin frame"], carry: Carry) -> Float[Tensor, "batch later"]:
        """Hertz, not negative, of the frames that became final."""
        hidden = mel.to(self.classifier.weight.dtype)
        for conv in self.condnet.values():
            hidden = functional.elu(conv(hidden, carry))
        return self.classifier(hidden.transpose(1, 2))[..., 0].abs()


class PitchedSource(nn.Module):
    """What both sources have in common: waves at multiples of the pitch whose phases go on, and noise beside them.

    A wave's phase at the middle of a frame is the sum of that and all earlier frames' advances; between two middles it
    goes straight, so it moves at the rate of the later frame. It stands still before the first and after the last,
    unless it ``moves_at_ends`` too.
    """

    moves_at_ends = False

    def __init__(self, config: SourceConfig, samples_per_frame: int) -> None:
        super().__init__()
        self.config, self.samples_per_frame = config, samples_per_frame

    def _track(self, pitch: Float[Tensor, "batch frame"], noise: Noise, carry: Carry) -> list[Tensor]:
        """Of the samples that became final: every wave's phase in turns, the frame's pitch, and draws of noise."""
        first_frame = carry.recall(0)
        carry.keep(first_frame + pitch.shape[1])
        draws = noise(first_frame, pitch.shape[1]).to(pitch.device).transpose(1, 2)
        hertz = pitch.repeat_interleave(self.samples_per_frame, dim=1)[:, None]
        return align(carry, self._turns(pitch, carry), hertz, draws)

    def _turns(self, pitch: Float[Tensor, "batch frame"], carry: Carry) -> Float[Tensor, "batch wave sample"]:
        """Phase in turns, up to the middle of the last frame; summed in double precision and wrapped at every frame."""
        length, half = self.samples_per_frame, self.samples_per_frame // 2
        multiples = torch.arange(1, self.config.num_waves + 1, device=pitch.device)[:, None]
        rates = (pitch.double()[:, None] * multiples / self.config.sample_rate) % 1
        nothing = rates.new_zeros(*rates.shape[:2], 1)
        last, last_rate, begun = carry.recall(nothing), carry.recall(nothing), carry.recall(0)
        middles = torch.cat([last, (last + (rates * length).cumsum(dim=2)) % 1], dim=2)
        last_rate = torch.cat([last_rate, rates], dim=2)[..., -1:]
        carry.keep(middles[..., -1:])
        carry.keep(last_rate)
        carry.keep(int(begun or pitch.shape[1] > 0))
        within = torch.arange(length, device=pitch.device) + 0.5
        turns = (middles[..., :-1, None] + rates[..., None] * within).flatten(2)
        if pitch.shape[1] and not begun:
            before = turns[..., half:length] if self.moves_at_ends else middles[..., 1:2].expand(-1, -1, half)
            turns = torch.cat([before, turns[..., length:]], dim=2)
        if carry.final:
            behind = middles[..., -1:] + last_rate * self.moves_at_ends * within[: length - half]
            turns = torch.cat([turns, behind], dim=2)
        return (turns % 1).float()


class HarmonicSource(PitchedSource):
    """Sines at multiples of the pitch where there is one, louder noise where there is none, mixed to one signal."""

    def __init__(self, config: SourceConfig, samples_per_frame: int) -> None:
        super().__init__(config, samples_per_frame)
        self.l_linear = nn.Linear(config.num_waves, 1)

    def forward(self, pitch: Float[Tensor, "batch frame"], noise: Noise, carry: Carry) -> Float[Tensor, "batch sample"]:
        """The samples (within ±1, float32) that became final, half a frame behind the pitch (hertz)."""
        turns, hertz, draws = self._track(pitch, noise, carry)
        voiced = hertz > self.config.voiced_above_hertz
        loudness = torch.where(voiced, self.config.voiced_noise, self.config.sine_amplitude / 3)
        waves = self.config.sine_amplitude * torch.sin(2 * math.pi * turns) * voiced + loudness * draws
        mixed = functional.linear(waves.transpose(1, 2), self.l_linear.weight.float(), self.l_linear.bias.float())
        return torch.tanh(mixed)[..., 0]


class PulseSource(PitchedSource):
    """Pulses at the pitch, and white noise apart from them, both of unit power; there is nothing to learn in it.

    A pulse has every harmonic below half the sample rate, equally strong and in phase. The last layer of a vocoder that
    shapes its source decides how much of which is heard where. A pulse must not stand still, hence ``moves_at_ends``.
    """

    moves_at_ends = True

    def forward(
        self, pitch: Float[Tensor, "batch frame"], noise: Noise, carry: Carry
    ) -> Float[Tensor, "batch 2 sample"]:
        """The samples (float32) that became final, half a frame behind the pitch (hertz)."""
        turns, hertz, draws = self._track(pitch, noise, carry)
        lowest_hertz = self.config.voiced_above_hertz
        harmonics = (self.config.sample_rate / 2 / hertz.clamp_min(lowest_hertz)).floor().float()
        pulses = _cosines(turns[:, :1], harmonics) * (2 / harmonics).sqrt()
        return torch.cat([pulses * (hertz > lowest_hertz), draws[:, :1].expand_as(pulses)], dim=1)


def _cosines(turns: Float[Tensor, "*shape"], count: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The sum of ``count`` cosines at the multiples of a phase (Dirichlet's kernel)."""
    half = torch.sin(math.pi * turns)
    near = half.abs() < _NEAR_PULSE
    ratio = torch.sin(math.pi * ((2 * count + 1) * turns)) / torch.where(near, 1.0, half)
    return torch.where(near, count, (ratio - 1) / 2)
