"""The flow's encoder: speech tokens to twice as many frames by conformer layers, looking a few tokens ahead.

Attention is chunk-causal; the only look ahead is one convolution at the entrance, which takes the next tokens as input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from parlando.core.config import AtLeastOne, Count, Share, Size, Whole
from parlando.nn.chunked import CausalConv1d, ConvHistory, Span
from parlando.nn.conformer import ConformerConfig, ConformerLayer, ConformerMemory

_SMOOTHING_KERNEL = 3
_UPSAMPLING_REACH = 2


@dataclass(frozen=True)
class FlowEncoderConfig:
    """Sizes of the encoder; the defaults are the published ones.

    ``chunk_tokens`` is the grid of its attention; ``left_chunks`` bounds how far back a chunk sees (None: no bound).
    """

    input_dim: Size = 512
    dim: Size = 512
    num_heads: AtLeastOne = 8
    inner_dim: Size = 2048
    num_layers: Count = 6
    num_up_layers: Count = 4
    lookahead_tokens: Size = 3
    frames_per_token: AtLeastOne = 2
    chunk_tokens: Size = 25
    left_chunks: Whole | None = None
    dropout: Share = 0.1

    @property
    def layer(self) -> ConformerConfig:
        """What one layer needs to know."""
        return ConformerConfig(self.dim, self.num_heads, self.inner_dim, self.dropout)


@dataclass
class FlowEncoderState:
    """What the encoder remembers of a stream: the histories of two convolutions and the memories of all layers."""

    smoothing: ConvHistory
    upsampling: ConvHistory
    layers: list[ConformerMemory]
    up_layers: list[ConformerMemory]


class InputLayer(nn.Module):
    """Linear layer and norm, scaled by the root of the width."""

    def __init__(self, inputs: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.out = nn.Sequential(nn.Linear(inputs, dim), nn.LayerNorm(dim))
        self.dropout = nn.Dropout(dropout)
        self.scale = math.sqrt(dim)

    def forward(self, x: Float[Tensor, "batch position inputs"]) -> Float[Tensor, "batch position dim"]:
        """Per position."""
        return self.dropout(self.out(x) * self.scale)


class LookaheadConv(nn.Module):
    """A convolution over each token and the next ones, and a causal one over the result, added to the input."""

    def __init__(self, dim: int, lookahead_tokens: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(dim, dim, lookahead_tokens + 1)
        self.conv2 = CausalConv1d(dim, dim, _SMOOTHING_KERNEL)

    def forward(
        self,
        x: Float[Tensor, "batch token dim"],
        future: Float[Tensor, "batch lookahead dim"],
        history: ConvHistory,
    ) -> Float[Tensor, "batch token dim"]:
        """Same shape in and out; a ``future`` that is shorter than the look-ahead is followed by zeros."""
        missing = self.conv1.kernel_size[0] - 1 - future.shape[1]
        ahead = functional.pad(torch.cat([x, future], dim=1), (0, 0, 0, missing))
        hidden = functional.leaky_relu(self.conv1(ahead.transpose(1, 2)))
        return x + self.conv2(hidden.transpose(1, 2), history)


class UpsamplingConv(nn.Module):
    """Each token repeated, then a causal convolution over two tokens of the past."""

    def __init__(self, dim: int, frames_per_token: int) -> None:
        super().__init__()
        self.frames_per_token = frames_per_token
        self.conv = CausalConv1d(dim, dim, _UPSAMPLING_REACH * frames_per_token + 1)

    def forward(self, x: Float[Tensor, "batch token dim"], history: ConvHistory) -> Float[Tensor, "batch frame dim"]:
        """``frames_per_token`` frames for each token."""
        return self.conv(x.repeat_interleave(self.frames_per_token, dim=1), history)


class FlowEncoder(nn.Module):
    """Token embeddings to frames; weights only, all state is passed in."""

    def __init__(self, config: FlowEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = InputLayer(config.input_dim, config.dim, config.dropout)
        self.pre_lookahead_layer = LookaheadConv(config.dim, config.lookahead_tokens)
        self.encoders = nn.ModuleList(ConformerLayer(config.layer) for _ in range(config.num_layers))
        self.up_layer = UpsamplingConv(config.dim, config.frames_per_token)
        self.up_embed = InputLayer(config.dim, config.dim, config.dropout)
        self.up_encoders = nn.ModuleList(ConformerLayer(config.layer) for _ in range(config.num_up_layers))
        self.after_norm = nn.LayerNorm(config.dim)

    def new_state(self, lasting: bool) -> FlowEncoderState:
        """Nothing heard yet; a state that does not last serves any number of passes over whole sequences."""
        reach = None if self.config.left_chunks is None else self.config.left_chunks * self.config.chunk_tokens
        up_reach = None if reach is None else reach * self.config.frames_per_token
        return FlowEncoderState(
            ConvHistory(lasting),
            ConvHistory(lasting),
            [ConformerMemory(lasting, reach) for _ in self.encoders],
            [ConformerMemory(lasting, up_reach) for _ in self.up_encoders],
        )

    def forward(
        self,
        tokens: Float[Tensor, "batch token inputs"],
        future: Float[Tensor, "batch lookahead inputs"],
        span: Span,
        state: FlowEncoderState,
    ) -> Float[Tensor, "batch frame dim"]:
        """Encode the tokens of ``span``, whose successors are ``future``: all of the look-ahead, or none at the end."""
        x, valid = self.embed(tokens), span.valid()
        if valid is not None:
            x = x * valid[:, :, None]
        x = self.pre_lookahead_layer(x, self.embed(future), state.smoothing)
        seen = span.visibility(x.device)
        for layer, memory in zip(self.encoders, state.layers, strict=True):
            x = layer(x, seen, memory)
        x = self.up_embed(self.up_layer(x, state.upsampling))
        seen = span.scaled(self.config.frames_per_token).visibility(x.device)
        for layer, memory in zip(self.up_encoders, state.up_layers, strict=True):
            x = layer(x, seen, memory)
        return self.after_norm(x)
