"""The semantic half of the audio tokenizer (X-Codec, Ye et al., 2024): convolutions over the teacher's features."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from parlando.core.config import Count, Size
from parlando.nn.conv import same_conv


@dataclass(frozen=True)
class SemanticConfig:
    """Kernels of the outer convolutions and of the residual units, the units' dilations, and the number of blocks."""

    kernel: Size = 3
    unit_kernel: Size = 3
    num_blocks: Count = 2
    dilations: tuple[Size, ...] = (1, 1)


class SemanticUnit(nn.Module):
    """ELU, dilated convolution, ELU, pointwise convolution, added to the input."""

    def __init__(self, dim: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = same_conv(dim, dim, kernel, dilation, bias=False)
        self.conv2 = same_conv(dim, dim, 1, bias=False)

    def forward(self, hidden: Float[Tensor, "batch dim frame"]) -> Float[Tensor, "batch dim frame"]:
        """Same shape in and out."""
        return hidden + self.conv2(functional.elu(self.conv1(functional.elu(hidden))))


class SemanticBlock(nn.Module):
    """Residual units and one convolution, which comes last in the encoder and first in the decoder."""

    def __init__(self, dim: int, config: SemanticConfig, conv_first: bool) -> None:
        super().__init__()
        self.conv_first = conv_first
        self.res_units = nn.ModuleList(SemanticUnit(dim, config.unit_kernel, d) for d in config.dilations)
        self.conv = same_conv(dim, dim, 3)

    def forward(self, hidden: Float[Tensor, "batch dim frame"]) -> Float[Tensor, "batch dim frame"]:
        """Same shape in and out."""
        if self.conv_first:
            hidden = self.conv(hidden)
        for unit in self.res_units:
            hidden = unit(hidden)
        return hidden if self.conv_first else self.conv(hidden)


class SemanticEncoder(nn.Module):
    """Teacher features to what is quantised beside the acoustic latents."""

    def __init__(self, dim: int, config: SemanticConfig) -> None:
        super().__init__()
        self.conv = same_conv(dim, dim, config.kernel, bias=False)
        self.conv_blocks = nn.ModuleList(SemanticBlock(dim, config, conv_first=False) for _ in range(config.num_blocks))

    def forward(self, features: Float[Tensor, "batch dim frame"]) -> Float[Tensor, "batch dim frame"]:
        """Same shape in and out."""
        hidden = self.conv(features)
        for block in self.conv_blocks:
            hidden = block(hidden)
        return hidden


class SemanticDecoder(nn.Module):
    """Quantised frames back to teacher features; only training uses it."""

    def __init__(self, dim: int, config: SemanticConfig) -> None:
        super().__init__()
        self.conv1 = same_conv(dim, dim, config.kernel, bias=False)
        self.conv_blocks = nn.ModuleList(SemanticBlock(dim, config, conv_first=True) for _ in range(config.num_blocks))
        self.conv2 = same_conv(dim, dim, config.kernel, bias=False)

    def forward(self, hidden: Float[Tensor, "batch dim frame"]) -> Float[Tensor, "batch dim frame"]:
        """Same shape in and out."""
        hidden = self.conv1(hidden)
        for block in self.conv_blocks:
            hidden = block(hidden)
        return self.conv2(hidden)
