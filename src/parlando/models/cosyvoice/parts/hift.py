"""HiFT: mel frames to samples by a source-filter network with a spectrum head (HiFTNet: Li, Han and Mesgarani, 2023).

It is HiFi-GAN (Kong et al., 2020) excited by `HarmonicSource` and ended by an inverse STFT (iSTFTNet: Kaneko et al.,
2022). Pieces of mel give exactly the samples of the whole; a state of 1.7 MB goes from one to the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from parlando.core.config import AtLeastOne, Positive, Share, Size
from parlando.core.errors import ConfigError
from parlando.models.cosyvoice.parts.hift_source import (
    HarmonicSource,
    Noise,
    PitchPredictor,
    PulseSource,
    SeededNoise,
    SourceConfig,
)
from parlando.nn.snake import FlatSnake
from parlando.nn.stft import CenteredSTFT
from parlando.nn.streaming import (
    Carry,
    Kept,
    StreamedConv1d,
    StreamedConvTranspose1d,
    align,
    reflect_start,
)

_WIDE_KERNEL = 7
_LAST_SLOPE = 0.01
_LOUDEST = math.log(1e2)
_QUIET = -3.0


@dataclass(frozen=True)
class HiFTConfig:
    """Widths, strides and reaches; the defaults are the published size.

    ``channels`` halve at every upsampling. Every stage has one residual block per entry of ``kernels``, and one for
    the source with the stage's entry of ``source_kernels``.

    ``shapes_source`` replaces source and head, and no stage hears the source then: ``source_kernels`` is empty. The
    published head makes a spectrum, whose phases lie within a radian of zero, so that its window has to be a fraction
    of a pitch period long. A head that shapes the source filters pulses and noise instead, as a vocoder with a window
    of several periods has to; one upsampling then does, and it is learned in a fraction of the time.
    """

    mel_bins: Size = 80
    channels: Size = 512
    pitch_channels: Size = 512
    source: SourceConfig = field(default_factory=SourceConfig)
    upsample_rates: tuple[AtLeastOne, ...] = (8, 5, 3)
    upsample_kernels: tuple[AtLeastOne, ...] = (16, 11, 7)
    fft_samples: Size = 16
    hop_samples: Size = 4
    kernels: tuple[AtLeastOne, ...] = (3, 7, 11)
    dilations: tuple[tuple[AtLeastOne, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    source_kernels: tuple[AtLeastOne, ...] = (7, 7, 11)
    source_dilations: tuple[tuple[AtLeastOne, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    leaky_slope: Share = 0.1
    loudest_sample: Positive = 0.99
    shapes_source: bool = False

    def __post_init__(self) -> None:
        stages = len(self.upsample_rates)
        if not stages or not self.kernels or self.channels >> stages < 1:
            raise ConfigError(
                f"hift: {self.channels} channels, {stages} upsample_rates and {len(self.kernels)} kernels do not make "
                "a vocoder; every rate halves the channels, and there must be one of each"
            )
        if len(self.upsample_kernels) != stages:
            raise ConfigError(f"hift: {stages} upsample_rates need as many upsample_kernels")
        excited = 0 if self.shapes_source else stages
        if {len(self.source_kernels), len(self.source_dilations)} != {excited}:
            raise ConfigError(
                f"hift: source_kernels and source_dilations need {excited} entries each, "
                "one for every stage that hears the source"
            )
        if len(self.kernels) != len(self.dilations):
            raise ConfigError(f"hift: {len(self.kernels)} kernels need as many lists of dilations")
        pairs = list(zip(self.upsample_rates, self.upsample_kernels, strict=True))
        if any(kernel <= rate or (kernel - rate) % 2 for rate, kernel in pairs):
            raise ConfigError(f"hift: every upsample kernel must exceed its rate by an even number, got {pairs}")
        if self.fft_samples <= 2 * self.hop_samples:
            raise ConfigError(f"hift.fft_samples: must exceed two hops of {self.hop_samples}, got {self.fft_samples}")

    @property
    def num_signals(self) -> int:
        """Signals of the source: one, or pulses and noise."""
        return 2 if self.shapes_source else 1

    @property
    def samples_per_frame(self) -> int:
        """The product of the strides and the hop."""
        return math.prod(self.upsample_rates) * self.hop_samples

    def stage_channels(self, stage: int) -> int:
        """Channels after a stage's upsampling."""
        return self.channels >> (stage + 1)


@dataclass(frozen=True)
class HiFTState:
    """What a batch of streams keeps between pieces: 1.7 MB per row at the published size, however long it has run."""

    noise: Noise
    num_frames: int = 0
    kept: Kept = ()
    ended: bool = False


class ResidualBlock(nn.Module):
    """Per dilation: snake, dilated convolution, snake, convolution, added to the input (HiFi-GAN)."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(_same_conv(channels, channels, kernel, dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(_same_conv(channels, channels, kernel) for _ in dilations)
        self.activations1 = nn.ModuleList(FlatSnake(channels) for _ in dilations)
        self.activations2 = nn.ModuleList(FlatSnake(channels) for _ in dilations)

    def forward(
        self, hidden: Float[Tensor, "batch channel time"], carry: Carry
    ) -> Float[Tensor, "batch channel later"]:
        """The outputs that became final."""
        layers = zip(self.activations1, self.convs1, self.activations2, self.convs2, strict=True)
        for snake1, conv1, snake2, conv2 in layers:
            branch = conv2(snake2(conv1(snake1(hidden), carry)), carry)
            hidden, branch = align(carry, hidden, branch)
            hidden = hidden + branch
        return hidden


class HiFT(nn.Module):
    """The vocoder. A fresh one has weight norm, as in training; `prepare` makes it one for inference.

    A sample of the published size depends on 20 frames to come: n frames make 480 n - 9480 samples (0.395 s behind)
    until the last piece brings the rest.
    """

    def __init__(self, config: HiFTConfig) -> None:
        super().__init__()
        self.config = config
        self.stft = CenteredSTFT(config.fft_samples, config.hop_samples)
        self.f0_predictor = PitchPredictor(config.mel_bins, config.pitch_channels)
        source = PulseSource if config.shapes_source else HarmonicSource
        self.m_source = source(config.source, config.samples_per_frame)
        self.conv_pre = _same_conv(config.mel_bins, config.channels, _WIDE_KERNEL)
        stages = range(len(config.upsample_rates))
        self.ups = nn.ModuleList(_upsampling_conv(config, stage) for stage in stages)
        blocks = list(enumerate(zip(config.source_kernels, config.source_dilations, strict=True)))
        self.source_downs = nn.ModuleList(_source_conv(config, stage) for stage, _ in blocks)
        self.source_resblocks = nn.ModuleList(
            ResidualBlock(config.stage_channels(stage), *reach) for stage, reach in blocks
        )
        self.resblocks = nn.ModuleList(
            ResidualBlock(config.stage_channels(stage), kernel, dilations)
            for stage in stages
            for kernel, dilations in zip(config.kernels, config.dilations, strict=True)
        )
        parts = (1 + config.num_signals) * self.stft.num_bins
        self.conv_post = _same_conv(config.stage_channels(stages[-1]), parts, _WIDE_KERNEL)
        if config.shapes_source:
            nn.init.constant_(self.conv_post.get_parameter("bias"), _QUIET)

    def prepare(self) -> HiFT:
        """Make it ready for inference, in place: weight norm folded into the weights, pitch in double precision.

        In single precision, rounding that depends on the length of a piece would add up in the phase: over a minute
        to 2e-4 of full scale, with this to 1e-6.
        """
        for module in self.modules():
            if parametrize.is_parametrized(module, "weight"):
                parametrize.remove_parametrizations(module, "weight")
        self.f0_predictor.double()
        return self.eval()

    @property
    def late_samples(self) -> int:
        """How many samples it runs behind, before the last piece."""
        return _late_samples(self.config)

    def open(self, seeds: Sequence[int]) -> HiFTState:
        """The state before the first piece of a batch of streams, whose noise is drawn from these seeds."""
        config = self.config
        return HiFTState(SeededNoise(tuple(seeds), config.samples_per_frame, config.source.num_waves))

    def forward(self, mel: Float[Tensor, "batch bin frame"], noise: Noise) -> Float[Tensor, "batch sample"]:
        """Samples [batch, frame * samples_per_frame] of whole utterances of equal length."""
        return self.push(mel, HiFTState(noise), final=True)[0]

    def push(
        self, mel: Float[Tensor, "batch bin frame"], state: HiFTState, final: bool
    ) -> tuple[Float[Tensor, "batch sample"], HiFTState]:
        """Samples that the next frames (any number) make final, and the state to go on with; the last piece ends it.

        Raises:
            ValueError: the stream has ended.
        """
        if state.ended:
            raise ValueError("frames after the last piece of a vocoder stream; open another")
        num_frames = state.num_frames + mel.shape[2]
        carry = Carry(state.kept, final)
        if num_frames == 0:
            samples = mel.new_zeros(mel.shape[0], 0, dtype=torch.float32)
        else:
            pitch = self.f0_predictor(mel, carry)
            samples = self.filter(mel, self.m_source(pitch, state.noise, carry), carry)
        return samples, HiFTState(state.noise, num_frames, carry.kept, ended=final)

    def filter(
        self, mel: Float[Tensor, "batch bin frame"], source: Float[Tensor, "batch *signal sample"], carry: Carry
    ) -> Float[Tensor, "batch later"]:
        """Filter the source by the mel."""
        spectra = self.stft.analyse(source.flatten(0, -2), carry).unflatten(0, (len(source), -1)).flatten(1, 2)
        hidden = self.conv_pre(mel.to(self.conv_post.weight.dtype), carry)
        for stage in range(len(self.ups)):
            hidden = self._stage(stage, hidden, spectra, carry)
        hidden = self.conv_post(functional.leaky_relu(hidden, _LAST_SLOPE), carry)
        if self.config.shapes_source:
            spectra, hidden = align(carry, spectra, hidden)
            spectrum = _shaped(spectra, hidden.float())
        else:
            logarithm, angle = hidden.float().chunk(2, dim=1)
            spectrum = torch.polar(_magnitude(logarithm), torch.sin(angle))
        limit = self.config.loudest_sample
        return self.stft.synthesise(spectrum, carry).clamp(-limit, limit)

    def _stage(
        self,
        stage: int,
        hidden: Float[Tensor, "batch wide slow"],
        spectra: Complex[Tensor, "batch bin later"],
        carry: Carry,
    ) -> Float[Tensor, "batch narrow fast"]:
        """Upsample, add the source, and take the mean of the residual blocks."""
        hidden = self.ups[stage](functional.leaky_relu(hidden, self.config.leaky_slope), carry)
        if stage == len(self.ups) - 1:
            hidden = reflect_start(hidden, 1, carry)
        if not self.config.shapes_source:
            excitation = torch.cat([spectra.real, spectra.imag], dim=1).to(self.conv_post.weight.dtype)
            excited = self.source_resblocks[stage](self.source_downs[stage](excitation, carry), carry)
            hidden, excited = align(carry, hidden, excited)
            hidden = hidden + excited
        width = len(self.config.kernels)
        blocks = self.resblocks[stage * width : (stage + 1) * width]
        return torch.stack(align(carry, *[block(hidden, carry) for block in blocks])).mean(dim=0)


def _shaped(
    spectra: Complex[Tensor, "batch signal_bin frame"], head: Float[Tensor, "batch part_bin frame"]
) -> Complex[Tensor, "batch bin frame"]:
    """Pulses times a complex gain, plus noise times a real one; the gains' magnitudes are logarithms."""
    pulses, noise = spectra.chunk(2, dim=1)
    loudness, angle, hiss = head.chunk(3, dim=1)
    return torch.polar(_magnitude(loudness), angle) * pulses + _magnitude(hiss) * noise


def _magnitude(logarithm: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Limited before it is raised: infinity has no gradient."""
    return logarithm.clamp_max(_LOUDEST).exp()


def _same_conv(inputs: int, outputs: int, kernel: int, dilation: int = 1) -> StreamedConv1d:
    padding = (kernel - 1) // 2 * dilation
    conv = StreamedConv1d(inputs, outputs, kernel, padding=padding, dilation=dilation)
    return weight_norm(conv)


def _upsampling_conv(config: HiFTConfig, stage: int) -> nn.Module:
    rate, kernel = config.upsample_rates[stage], config.upsample_kernels[stage]
    inputs, outputs = config.channels >> stage, config.stage_channels(stage)
    return weight_norm(StreamedConvTranspose1d(inputs, outputs, kernel, rate, padding=(kernel - rate) // 2))


def _source_conv(config: HiFTConfig, stage: int) -> nn.Module:
    """From the rate of the source's spectrum down to a stage's."""
    stride = math.prod(config.upsample_rates[stage + 1 :])
    kernel, bins = (2 * stride if stride > 1 else 1), 2 * (config.fft_samples // 2 + 1)
    return StreamedConv1d(bins, config.stage_channels(stage), kernel, stride, padding=stride // 2)


@cache
def _late_samples(config: HiFTConfig) -> int:
    """Found by trying: one channel wide, a vocoder runs as far behind and costs nothing."""
    narrow = replace(config, mel_bins=1, channels=2 ** len(config.upsample_rates), pitch_channels=1)
    hift, num_frames, made = HiFT(narrow).prepare(), 32, 0
    while not made:
        num_frames *= 2
        with torch.inference_mode():
            made = hift.push(torch.zeros(1, 1, num_frames), hift.open([0]), final=False)[0].shape[1]
    return num_frames * config.samples_per_frame - made
