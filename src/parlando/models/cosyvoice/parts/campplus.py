"""CAM++ (Wang et al., 2023): a speaker's embedding by a densely connected TDNN with context-aware masking."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from parlando.audio.fbank import KaldiConfig, KaldiFbank
from parlando.core.config import AtLeastOne, Size
from parlando.core.errors import AudioError, ConfigError

FRAME_STRIDE, BAND_STRIDE = 2, 8


@dataclass(frozen=True)
class CampPlusConfig:
    """The published size by default; one entry of ``layers``, ``kernels`` and ``dilations`` for each dense block.

    Channels after the first time convolution are ``initial_channels``; each dense layer adds ``growth`` of them through
    a bottleneck of ``bottleneck * growth``. Masks look at the whole clip and at segments of ``segment_frames``.
    """

    fbank: KaldiConfig = field(default_factory=KaldiConfig)
    embedding_size: Size = 192
    growth: Size = 32
    bottleneck: Size = 4
    initial_channels: Size = 128
    head_channels: Size = 32
    layers: tuple[AtLeastOne, ...] = (12, 24, 16)
    kernels: tuple[AtLeastOne, ...] = (3, 3, 3)
    dilations: tuple[AtLeastOne, ...] = (1, 2, 2)
    segment_frames: Size = 100

    def __post_init__(self) -> None:
        if not len(self.layers) == len(self.kernels) == len(self.dilations):
            raise ConfigError("speaker encoder: layers, kernels and dilations must be equally many")
        if self.fbank.num_bands % BAND_STRIDE:
            raise ConfigError(f"speaker encoder: {self.fbank.num_bands} bands are not a multiple of {BAND_STRIDE}")


class ResidualBlock(nn.Module):
    """Two convolutions over bands and frames, added to the input; ``stride`` is over the bands."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, stride=(stride, 1), padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1:
            narrow = nn.Conv2d(channels, channels, 1, stride=(stride, 1), bias=False)
            self.shortcut = nn.Sequential(narrow, nn.BatchNorm2d(channels))

    def forward(self, x: Float[Tensor, "batch channel band frame"]) -> Float[Tensor, "batch channel narrowed frame"]:
        """The block's output; frames keep their number."""
        hidden = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(hidden)) + self.shortcut(x))


class Head(nn.Module):
    """The front end over bands and frames; it leaves an eighth of the bands, stacked as channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.layer1 = nn.Sequential(ResidualBlock(channels, 2), ResidualBlock(channels, 1))
        self.layer2 = nn.Sequential(ResidualBlock(channels, 2), ResidualBlock(channels, 1))
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=(2, 1), padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, bands: Float[Tensor, "batch band frame"]) -> Float[Tensor, "batch stacked frame"]:
        """Channels times narrowed bands, frame by frame."""
        hidden = torch.relu(self.bn1(self.conv1(bands[:, None])))
        hidden = self.layer2(self.layer1(hidden))
        return torch.relu(self.bn2(self.conv2(hidden))).flatten(1, 2)


def _activation(channels: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(batchnorm=nn.BatchNorm1d(channels), relu=nn.ReLU()))


class ContextMask(nn.Module):
    """A convolution whose output is masked by what the clip and the surrounding segment are like on average."""

    def __init__(self, inputs: int, config: CampPlusConfig, block: int) -> None:
        super().__init__()
        kernel, dilation = config.kernels[block], config.dilations[block]
        self.segment_frames = config.segment_frames
        padding = (kernel - 1) // 2 * dilation
        self.linear_local = nn.Conv1d(inputs, config.growth, kernel, padding=padding, dilation=dilation, bias=False)
        self.linear1 = nn.Conv1d(inputs, inputs // 2, 1)
        self.linear2 = nn.Conv1d(inputs // 2, config.growth, 1)

    def forward(self, x: Float[Tensor, "batch dim frame"]) -> Float[Tensor, "batch growth frame"]:
        """The convolution of each frame times its mask; a shorter last segment counts as one."""
        size = self.segment_frames
        segments = functional.avg_pool1d(x, size, stride=size, ceil_mode=True)
        context = x.mean(-1, keepdim=True) + segments
        mask = torch.sigmoid(self.linear2(torch.relu(self.linear1(context))))
        return self.linear_local(x) * mask.repeat_interleave(size, dim=-1)[..., : x.shape[-1]]


class DenseLayer(nn.Module):
    """Bottleneck and masked convolution, each behind a norm and ReLU."""

    def __init__(self, inputs: int, config: CampPlusConfig, block: int) -> None:
        super().__init__()
        inside = config.bottleneck * config.growth
        self.nonlinear1 = _activation(inputs)
        self.linear1 = nn.Conv1d(inputs, inside, 1, bias=False)
        self.nonlinear2 = _activation(inside)
        self.cam_layer = ContextMask(inside, config, block)

    def forward(self, x: Float[Tensor, "batch dim frame"]) -> Float[Tensor, "batch grown frame"]:
        """The input with the new channels behind its own."""
        return torch.cat((x, self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(x))))), dim=1)


class StatisticsPool(nn.Module):
    """Mean and standard deviation over the frames (x-vectors, Snyder et al., 2018)."""

    def forward(self, x: Float[Tensor, "batch dim frame"]) -> Float[Tensor, "batch doubled 1"]:
        """All means, then all deviations."""
        deviation, mean = torch.std_mean(x, dim=-1, keepdim=True)
        return torch.cat((mean, deviation), dim=1)


def _dense_blocks(config: CampPlusConfig) -> nn.Sequential:
    """The time-delay network, its parts named as published."""
    stacked = config.head_channels * config.fbank.num_bands // BAND_STRIDE
    channels = config.initial_channels
    first = nn.Conv1d(stacked, channels, 5, stride=FRAME_STRIDE, padding=2, bias=False)
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        tdnn=nn.Sequential(OrderedDict(linear=first, nonlinear=_activation(channels)))
    )
    for block, count in enumerate(config.layers):
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            (f"tdnnd{i + 1}", DenseLayer(channels + i * config.growth, config, block)) for i in range(count)
        )
        channels += count * config.growth
        halve = nn.Conv1d(channels, channels // 2, 1, bias=False)
        parts[f"block{block + 1}"] = nn.Sequential(layers)
        parts[f"transit{block + 1}"] = nn.Sequential(OrderedDict(nonlinear=_activation(channels), linear=halve))
        channels //= 2
    last = nn.Conv1d(2 * channels, config.embedding_size, 1, bias=False)
    norm: OrderedDict[str, nn.Module] = OrderedDict(batchnorm=nn.BatchNorm1d(config.embedding_size, affine=False))
    parts["out_nonlinear"] = _activation(channels)
    parts["stats"] = StatisticsPool()
    parts["dense"] = nn.Sequential(OrderedDict(linear=last, nonlinear=nn.Sequential(norm)))
    return nn.Sequential(parts)


class CampPlus(nn.Module):
    """Filterbank or waveform to a speaker embedding, not normalised to a length."""

    def __init__(self, config: CampPlusConfig) -> None:
        super().__init__()
        self.config = config
        self.fbank = KaldiFbank(config.fbank)
        self.head = Head(config.head_channels)
        self.xvector = _dense_blocks(config)

    def forward(self, fbank: Float[Tensor, "batch frame band"]) -> Float[Tensor, "batch dim"]:
        """Embeddings of filterbanks whose mean over time was removed; at least ``FRAME_STRIDE + 1`` frames."""
        return self.xvector(self.head(fbank.transpose(1, 2)))[..., 0]

    @torch.no_grad()
    def embed(self, wave: Float[Tensor, " sample"]) -> Float[Tensor, " dim"]:
        """The embedding of a mono clip at ``config.fbank.sample_rate``.

        Raises:
            AudioError: the clip is not finite, silent, or too short for a deviation over frames.
        """
        if not wave.isfinite().all():
            raise AudioError("speaker reference: a sample is not a number or infinite; export the audio again")
        bands = self.fbank(wave[None].to(self.fbank.window))
        if bands.shape[1] <= FRAME_STRIDE:
            raise AudioError(f"speaker reference: only {len(wave)} samples; a voice needs at least a second of speech")
        if bands.amax() <= bands.amin():
            raise AudioError("speaker reference: it is silent; record it again, closer or louder")
        return self(bands - bands.mean(1, keepdim=True))[0]
