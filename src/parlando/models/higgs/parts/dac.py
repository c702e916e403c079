"""The acoustic half of the audio tokenizer: the convolutional encoder and decoder of DAC (Kumar et al., 2023).

It differs from the published DAC in three ways: no final tanh, transposed convolutions that multiply the length
exactly, and a decoder whose strides come in the same order as the encoder's. Weight norm is folded into the weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from parlando.core.config import Size
from parlando.core.errors import ConfigError
from parlando.nn.conv import Conv, downsampling_conv, output_length, receptive_field, same_conv, upsampling_conv
from parlando.nn.snake import Snake

_UNIT_DILATIONS = (1, 3, 9)
_WIDE_KERNEL = 7
_LATENT_KERNEL = 3


@dataclass(frozen=True)
class DacConfig:
    """Widths and strides; ``encoder_channels`` doubles and ``decoder_channels`` halves at every stride."""

    encoder_channels: Size = 64
    decoder_channels: Size = 1024
    latent_size: Size = 256
    ratios: tuple[Size, ...] = (8, 5, 4, 2, 3)

    def __post_init__(self) -> None:
        if min(self.ratios, default=0) < 2:
            raise ConfigError(f"codec.acoustic.ratios: every stride must be at least 2, got {list(self.ratios)}")

    @property
    def samples_per_frame(self) -> int:
        """The product of the strides."""
        return math.prod(self.ratios)


class ResidualUnit(nn.Module):
    """Snake, dilated convolution, snake, pointwise convolution, added to the input."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.snake1 = Snake(channels)
        self.conv1 = same_conv(channels, channels, _WIDE_KERNEL, dilation)
        self.snake2 = Snake(channels)
        self.conv2 = same_conv(channels, channels, 1)

    def forward(self, hidden: Float[Tensor, "batch channel time"]) -> Float[Tensor, "batch channel time"]:
        """Same shape in and out."""
        return hidden + self.conv2(self.snake2(self.conv1(self.snake1(hidden))))

    def convs(self) -> Iterator[Conv]:
        """The unit's convolutions in order."""
        yield self.conv1
        yield self.conv2


class EncoderBlock(nn.Module):
    """Three residual units, then a strided convolution that doubles the channels."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.res_unit1, self.res_unit2, self.res_unit3 = (ResidualUnit(channels, d) for d in _UNIT_DILATIONS)
        self.snake1 = Snake(channels)
        self.conv1 = downsampling_conv(channels, 2 * channels, stride)

    def forward(self, hidden: Float[Tensor, "batch channel time"]) -> Float[Tensor, "batch wider shorter"]:
        """Divide the length by the stride."""
        hidden = self.res_unit3(self.res_unit2(self.res_unit1(hidden)))
        return self.conv1(self.snake1(hidden))


class DecoderBlock(nn.Module):
    """A transposed convolution that halves the channels, then three residual units."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.snake1 = Snake(channels)
        self.conv_t1 = upsampling_conv(channels, channels // 2, stride)
        self.res_unit1, self.res_unit2, self.res_unit3 = (ResidualUnit(channels // 2, d) for d in _UNIT_DILATIONS)

    def forward(self, hidden: Float[Tensor, "batch channel time"]) -> Float[Tensor, "batch narrower longer"]:
        """Multiply the length by the stride."""
        hidden = self.conv_t1(self.snake1(hidden))
        return self.res_unit3(self.res_unit2(self.res_unit1(hidden)))

    def convs(self) -> Iterator[Conv]:
        """The block's convolutions in order."""
        yield self.conv_t1
        for unit in (self.res_unit1, self.res_unit2, self.res_unit3):
            yield from unit.convs()


class DacEncoder(nn.Module):
    """Waveform to latents, one per `DacConfig.samples_per_frame` samples."""

    def __init__(self, config: DacConfig) -> None:
        super().__init__()
        channels = config.encoder_channels
        self.conv1 = same_conv(1, channels, _WIDE_KERNEL)
        self.block = nn.ModuleList(EncoderBlock(channels << n, stride) for n, stride in enumerate(config.ratios))
        channels <<= len(config.ratios)
        self.snake1 = Snake(channels)
        self.conv2 = same_conv(channels, config.latent_size, _LATENT_KERNEL)

    def forward(self, wave: Float[Tensor, "batch 1 sample"]) -> Float[Tensor, "batch latent frame"]:
        """Encode; `num_frames` says how many frames come out."""
        hidden = self.conv1(wave)
        for block in self.block:
            hidden = block(hidden)
        return self.conv2(self.snake1(hidden))

    def num_frames(self, num_samples: int) -> int:
        """How many latents ``num_samples`` samples give."""
        return output_length((block.conv1 for block in self.block if isinstance(block, EncoderBlock)), num_samples)


class DacDecoder(nn.Module):
    """Latents to waveform, exactly `DacConfig.samples_per_frame` samples each."""

    def __init__(self, config: DacConfig) -> None:
        super().__init__()
        channels = config.decoder_channels
        self.samples_per_frame = config.samples_per_frame
        self.conv1 = same_conv(config.latent_size, channels, _WIDE_KERNEL)
        self.block = nn.ModuleList(DecoderBlock(channels >> n, stride) for n, stride in enumerate(config.ratios))
        channels >>= len(config.ratios)
        self.snake1 = Snake(channels)
        self.conv2 = same_conv(channels, 1, _WIDE_KERNEL)

    def forward(self, latents: Float[Tensor, "batch latent frame"]) -> Float[Tensor, "batch 1 sample"]:
        """Decode; not bounded to ±1."""
        hidden = self.conv1(latents)
        for block in self.block:
            hidden = block(hidden)
        return self.conv2(self.snake1(hidden))

    def context(self) -> tuple[int, int]:
        """Frames before and after its own that a frame's samples depend on: exact, from kernels and strides."""
        return receptive_field(self._convs(), self.samples_per_frame)

    def _convs(self) -> Iterator[Conv]:
        yield self.conv1
        for block in self.block:
            assert isinstance(block, DecoderBlock)
            yield from block.convs()
        yield self.conv2
