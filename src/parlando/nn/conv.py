"""Convolutions over time: constructors by what they do to the length, and the arithmetic of lengths and reach."""

from __future__ import annotations

import math
from collections.abc import Iterable

from torch import nn

Conv = nn.Conv1d | nn.ConvTranspose1d


def same_conv(inputs: int, outputs: int, kernel: int, dilation: int = 1, bias: bool = True) -> nn.Conv1d:
    """A convolution with an odd kernel whose output is as long as its input."""
    return nn.Conv1d(inputs, outputs, kernel, padding=(kernel - 1) // 2 * dilation, dilation=dilation, bias=bias)


def downsampling_conv(inputs: int, outputs: int, stride: int) -> nn.Conv1d:
    """A convolution over two strides that divides the length by ``stride``."""
    return nn.Conv1d(inputs, outputs, 2 * stride, stride=stride, padding=math.ceil(stride / 2))


def upsampling_conv(inputs: int, outputs: int, stride: int) -> nn.ConvTranspose1d:
    """A transposed convolution over two strides that multiplies the length by exactly ``stride``."""
    padding = math.ceil(stride / 2)
    return nn.ConvTranspose1d(inputs, outputs, 2 * stride, stride, padding, output_padding=stride % 2)


def output_length(layers: Iterable[nn.Conv1d], length: int) -> int:
    """How many values come out of a chain of convolutions for ``length`` values in; 0 when there are too few."""
    for layer in layers:
        reach = layer.dilation[0] * (layer.kernel_size[0] - 1) + 1
        length = (length + 2 * int(layer.padding[0]) - reach) // layer.stride[0] + 1
        if length < 1:
            return 0
    return length


def input_span(layer: Conv, first: int, last: int) -> tuple[int, int]:
    """The first and last input positions that the outputs ``first..last`` of a layer depend on, ends not clipped."""
    kernel, stride, padding = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
    reach = layer.dilation[0] * (kernel - 1)
    if isinstance(layer, nn.ConvTranspose1d):
        return -((reach - padding - first) // stride), (last + padding) // stride
    return first * stride - padding, last * stride - padding + reach


def receptive_field(layers: Iterable[Conv], outputs_per_input: int) -> tuple[int, int]:
    """How many inputs before and after its own each group of ``outputs_per_input`` outputs of a chain depends on."""
    first, last = 0, outputs_per_input - 1
    for layer in reversed(list(layers)):
        first, last = input_span(layer, first, last)
    return -first, last
