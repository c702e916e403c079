"""The semantic teacher of the audio tokenizer: HuBERT (Hsu et al., 2021) of any size, features only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from parlando.core.config import AtLeastOne, Positive, Size
from parlando.core.errors import ConfigError
from parlando.nn.conv import output_length


@dataclass(frozen=True)
class HubertConfig:
    """Sizes of the convolutional front end and of the transformer; the defaults are HuBERT base.

    The large ones normalise after every convolution (``conv_norm`` "layer") and before each residual (``norm_first``).
    """

    hidden_size: Size = 768
    num_layers: AtLeastOne = 12
    num_heads: AtLeastOne = 12
    intermediate_size: Size = 3072
    conv_channels: tuple[Size, ...] = (512,) * 7
    conv_kernels: tuple[Size, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_strides: tuple[Size, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = False
    position_kernel: Size = 128
    position_groups: Size = 16
    norm_eps: Positive = 1e-5
    conv_norm: Literal["group", "layer"] = "group"
    norm_first: bool = False

    def __post_init__(self) -> None:
        if not len(self.conv_channels) == len(self.conv_kernels) == len(self.conv_strides) > 0:
            raise ConfigError("codec.teacher: conv_channels, conv_kernels and conv_strides must be equally many")
        if self.hidden_size % self.num_heads:
            raise ConfigError(f"codec.teacher.hidden_size: {self.hidden_size} is not {self.num_heads} heads of a size")

    @property
    def samples_per_frame(self) -> int:
        """Samples (at the teacher's rate) between two feature vectors."""
        return math.prod(self.conv_strides)


class ChannelNorm(nn.LayerNorm):
    """Normalises over the channels of each frame."""

    def forward(self, hidden: Float[Tensor, "batch channel time"]) -> Float[Tensor, "batch channel time"]:
        """Same shape in and out."""
        return super().forward(hidden.transpose(1, 2)).transpose(1, 2)


class FeatureConv(nn.Module):
    """One strided convolution with GELU; a norm over time stands in the first, or one over channels in all."""

    def __init__(self, config: HubertConfig, index: int) -> None:
        super().__init__()
        inputs = config.conv_channels[index - 1] if index else 1
        outputs = config.conv_channels[index]
        kernel, stride = config.conv_kernels[index], config.conv_strides[index]
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, bias=config.conv_bias)
        self.layer_norm: nn.Module | None = nn.GroupNorm(outputs, outputs) if index == 0 else None
        if config.conv_norm == "layer":
            self.layer_norm = ChannelNorm(outputs)

    def forward(self, hidden: Float[Tensor, "batch channel time"]) -> Float[Tensor, "batch wider shorter"]:
        """Convolve, normalise if there is a norm, activate."""
        hidden = self.conv(hidden)
        return functional.gelu(hidden if self.layer_norm is None else self.layer_norm(hidden))


class FeatureExtractor(nn.Module):
    """Waveform to local features."""

    def __init__(self, config: HubertConfig) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList(FeatureConv(config, index) for index in range(len(config.conv_channels)))

    def forward(self, wave: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch channel frame"]:
        """Run the chain of convolutions."""
        hidden = wave[:, None]
        for layer in self.conv_layers:
            hidden = layer(hidden)
        return hidden

    def convs(self) -> Iterator[nn.Conv1d]:
        """The convolutions in order."""
        return (layer.conv for layer in self.conv_layers if isinstance(layer, FeatureConv))


class FeatureProjection(nn.Module):
    """Local features to the transformer's width."""

    def __init__(self, config: HubertConfig) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(config.conv_channels[-1], config.norm_eps)
        self.projection = nn.Linear(config.conv_channels[-1], config.hidden_size)

    def forward(self, hidden: Float[Tensor, "batch frame channel"]) -> Float[Tensor, "batch frame dim"]:
        """Normalise and project."""
        return self.projection(self.layer_norm(hidden))


class PositionConv(nn.Module):
    """Relative positions from a wide grouped convolution, weight-normalised over the kernel's positions."""

    def __init__(self, config: HubertConfig) -> None:
        super().__init__()
        self.config = config
        kernel, groups = config.position_kernel, config.position_groups
        conv = nn.Conv1d(config.hidden_size, config.hidden_size, kernel, padding=kernel // 2, groups=groups)
        self.conv = weight_norm(conv, dim=2)

    def forward(self, hidden: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch frame dim"]:
        """The positional term to add; an even kernel's extra last frame is dropped."""
        positions = self.conv(hidden.transpose(1, 2))[..., : hidden.shape[1]]
        return functional.gelu(positions).transpose(1, 2)

    def __reduce__(self) -> tuple[Any, ...]:
        """Settings and state: a module whose weights are normalised cannot be pickled, as for worker processes."""
        learns = next(self.parameters()).requires_grad
        return _position_conv, (self.config, self.state_dict(), learns, self.training)


def _position_conv(config: HubertConfig, state: Mapping[str, Tensor], learns: bool, training: bool) -> PositionConv:
    made = PositionConv(config).requires_grad_(learns).train(training)
    made.load_state_dict(state)
    return made


class Attention(nn.Module):
    """Bidirectional multi-head attention."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, hidden: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch frame dim"]:
        """Every frame attends to every frame."""
        projections = (self.q_proj, self.k_proj, self.v_proj)
        query, key, value = (p(hidden).unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for p in projections)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.intermediate_dense = nn.Linear(dim, inner)
        self.output_dense = nn.Linear(inner, dim)

    def forward(self, hidden: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch frame dim"]:
        """Per frame."""
        return self.output_dense(functional.gelu(self.intermediate_dense(hidden)))


class EncoderLayer(nn.Module):
    """A transformer layer that normalises after each residual, or before."""

    def __init__(self, config: HubertConfig) -> None:
        super().__init__()
        self.norm_first = config.norm_first
        self.attention = Attention(config.hidden_size, config.num_heads)
        self.layer_norm = nn.LayerNorm(config.hidden_size, config.norm_eps)
        self.feed_forward = FeedForward(config.hidden_size, config.intermediate_size)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, config.norm_eps)

    def forward(self, hidden: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch frame dim"]:
        """Attention, then feed-forward."""
        if self.norm_first:
            hidden = hidden + self.attention(self.layer_norm(hidden))
            return hidden + self.feed_forward(self.final_layer_norm(hidden))
        hidden = self.layer_norm(hidden + self.attention(hidden))
        return self.final_layer_norm(hidden + self.feed_forward(hidden))


class Encoder(nn.Module):
    """Positions and the stack of layers.

    The norm of its own comes first. Where each layer normalises first, it would come last, behind all features.
    """

    def __init__(self, config: HubertConfig) -> None:
        super().__init__()
        self.norm_first = config.norm_first
        self.pos_conv_embed = PositionConv(config)
        self.layer_norm = nn.LayerNorm(config.hidden_size, config.norm_eps)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_layers))

    def forward(self, hidden: Float[Tensor, "batch frame dim"]) -> list[Float[Tensor, "batch frame dim"]]:
        """The input of the first layer and the output of every layer."""
        hidden = hidden + self.pos_conv_embed(hidden)
        states = [hidden if self.norm_first else self.layer_norm(hidden)]
        for layer in self.layers:
            states.append(layer(states[-1]))
        return states


class Hubert(nn.Module):
    """Waveform at the teacher's rate to features averaged over all layers; no normalisation of the input, no mask."""

    def __init__(self, config: HubertConfig) -> None:
        super().__init__()
        self.feature_extractor = FeatureExtractor(config)
        self.feature_projection = FeatureProjection(config)
        self.encoder = Encoder(config)

    def forward(self, wave: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch frame dim"]:
        """The mean of all hidden states, the transformer's input included."""
        features = self.feature_extractor(wave).transpose(1, 2)
        return torch.stack(self.encoder(self.feature_projection(features)), dim=1).mean(dim=1)

    def num_frames(self, num_samples: int) -> int:
        """How many feature vectors ``num_samples`` samples give."""
        return output_length(self.feature_extractor.convs(), num_samples)
