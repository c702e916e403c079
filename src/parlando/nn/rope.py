"""Rotary position embedding (RoFormer, Su et al., 2021) with the Llama 3 frequency scaling.

Half-rotation convention: component i of a head turns together with component i + head_dim / 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from parlando.core.config import Positive, Size
from parlando.core.errors import ConfigError


@dataclass(frozen=True)
class RopeConfig:
    """Base ``theta``; ``factor`` stretches wavelengths longer than ``original_context / low_freq_factor`` positions.

    Wavelengths below ``original_context / high_freq_factor`` stay, those between are blended (Llama 3, Dubey et al.,
    2024). ``factor`` None switches the scaling off. Multiplying ``original_context`` and both frequency factors by the
    same number changes nothing.
    """

    theta: Positive = 10000.0
    factor: Positive | None = None
    low_freq_factor: Positive = 1.0
    high_freq_factor: Positive = 4.0
    original_context: Size = 8192

    def __post_init__(self) -> None:
        if self.low_freq_factor >= self.high_freq_factor:
            raise ConfigError(
                f"rope: low_freq_factor {self.low_freq_factor:g} must be below high_freq_factor "
                f"{self.high_freq_factor:g}"
            )


def rope_frequencies(config: RopeConfig, head_dim: int) -> Float[Tensor, " half"]:
    """Angle per position of each rotated pair, in radians, float32 on the CPU."""
    exponents = torch.arange(0, head_dim, 2, dtype=torch.int64, device="cpu").float() / head_dim
    frequencies = 1.0 / (config.theta**exponents)
    if config.factor is None:
        return frequencies
    wavelengths = 2 * math.pi / frequencies
    turns = config.original_context / wavelengths
    span = config.high_freq_factor - config.low_freq_factor
    keep = ((turns - config.low_freq_factor) / span).clamp(0.0, 1.0)
    return (1 - keep) * frequencies / config.factor + keep * frequencies


@dataclass(frozen=True)
class RopeTable:
    """Cosines and sines by position; the first half of ``sin`` is negated, as `rotate` wants it."""

    cos: Float[Tensor, "*position dim"]
    sin: Float[Tensor, "*position dim"]

    @classmethod
    def build(cls, config: RopeConfig, head_dim: int, length: int, like: Tensor) -> RopeTable:
        """Table for positions ``0..length-1`` on the device and in the dtype of ``like``; angles are float32."""
        positions = torch.arange(length, dtype=torch.float32)
        angles = torch.outer(positions, rope_frequencies(config, head_dim))
        cos, sin = angles.cos(), angles.sin()
        return cls(
            torch.cat((cos, cos), dim=-1).to(like.device, like.dtype),
            torch.cat((-sin, sin), dim=-1).to(like.device, like.dtype),
        )

    def at(self, positions: slice | Int[Tensor, " position"]) -> RopeTable:
        """The rows of some positions, shaped to broadcast over heads: [position, 1, dim]."""
        return RopeTable(self.cos[positions, None], self.sin[positions, None])

    def to(self, dtype: torch.dtype) -> RopeTable:
        """The same table in another dtype."""
        return RopeTable(self.cos.to(dtype), self.sin.to(dtype))


def rotate(x: Float[Tensor, "*rest head dim"], table: RopeTable) -> Float[Tensor, "*rest head dim"]:
    """Turn each pair of components by its angle; ``table`` must broadcast against ``x`` (`RopeTable.at`)."""
    swapped = x.unflatten(-1, (2, -1)).flip(-2).flatten(-2)
    return torch.addcmul(x * table.cos, swapped, table.sin)


def rotate_(x: Float[Tensor, "*rest head dim"], table: RopeTable) -> None:
    """`rotate` in place, in fewer operations, for decoding."""
    swapped = x.roll(x.shape[-1] // 2, -1)
    x.mul_(table.cos).addcmul_(swapped, table.sin)
