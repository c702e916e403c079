"""The flow's estimator: the velocity of mel frames by a causal U-Net of one level (Matcha-TTS, Mehta et al., 2024).

Convolutions look only back and carry the order of frames; attention is chunk-causal and knows no positions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from parlando.core.config import AtLeastOne, Count, Size
from parlando.nn.chunked import CausalConv1d, ConvHistory, KeyValueMemory

_KERNEL = 3
_WIDENING = 4
_NUM_INPUTS = 4  # noisy mel, mean, speaker, prompt
_TIME_SCALE = 1000.0
_LONGEST_WAVE = 10_000.0


@dataclass(frozen=True)
class EstimatorConfig:
    """Sizes of the U-Net; the defaults are the published ones."""

    dim: Size = 256
    num_heads: AtLeastOne = 8
    head_dim: Size = 64
    num_mid_stages: Count = 12
    layers_per_stage: Count = 4

    @property
    def time_dim(self) -> int:
        """Width of the embedding of time."""
        return _WIDENING * self.dim


@dataclass(frozen=True)
class Conditions:
    """What the velocity depends on: the encoder's frames ``mean``, the speaker, and the prompt's mel, zero after it."""

    mean: Float[Tensor, "batch frame bin"]
    speaker: Float[Tensor, "batch bin"]
    prompt: Float[Tensor, "batch frame bin"]

    def with_unconditional(self) -> Conditions:
        """Twice the rows: these, then zeros."""
        parts = (self.mean, self.speaker, self.prompt)
        return Conditions(*(torch.cat([part, torch.zeros_like(part)]) for part in parts))

    def kept(self, rows: Bool[Tensor, " batch"]) -> Conditions:
        """Zeros in the other rows, for training."""
        return Conditions(
            self.mean * rows[:, None, None], self.speaker * rows[:, None], self.prompt * rows[:, None, None]
        )


@dataclass
class StageState:
    """What one stage remembers of a stream: two convolutions' histories and the keys and values of its layers."""

    blocks: tuple[ConvHistory, ConvHistory]
    layers: list[KeyValueMemory]


@dataclass
class EstimatorState:
    """What one solver step remembers of a stream, in the order of computation."""

    down: StageState
    down_conv: ConvHistory
    mids: list[StageState]
    up: StageState
    up_conv: ConvHistory
    final: ConvHistory


class CausalBlock(nn.Module):
    """Causal convolution, norm over channels, Mish."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        # The published layout counts a transposition that is not needed here.
        self.block = nn.Sequential(CausalConv1d(inputs, outputs, _KERNEL), nn.Identity(), nn.LayerNorm(outputs))

    def forward(self, x: Float[Tensor, "batch frame inputs"], history: ConvHistory) -> Float[Tensor, "batch frame dim"]:
        """Continue after the history's frames."""
        conv, _, norm = self.block
        return functional.mish(norm(conv(x, history)))


class CausalResnet(nn.Module):
    """Two causal blocks with the time added between, and a projection of the input around them."""

    def __init__(self, inputs: int, config: EstimatorConfig) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Mish(), nn.Linear(config.time_dim, config.dim))
        self.block1 = CausalBlock(inputs, config.dim)
        self.block2 = CausalBlock(config.dim, config.dim)
        self.res_conv = nn.Conv1d(inputs, config.dim, 1)

    def forward(
        self,
        x: Float[Tensor, "batch frame inputs"],
        time: Float[Tensor, "batch time_dim"],
        histories: tuple[ConvHistory, ConvHistory],
    ) -> Float[Tensor, "batch frame dim"]:
        """Continue after the histories' frames."""
        hidden = self.block1(x, histories[0]) + self.mlp(time)[:, None]
        return self.block2(hidden, histories[1]) + _pointwise(self.res_conv, x)


class Attention(nn.Module):
    """Multi-head attention without positions."""

    def __init__(self, config: EstimatorConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        inner = config.num_heads * config.head_dim
        self.to_q, self.to_k, self.to_v = (nn.Linear(config.dim, inner, bias=False) for _ in range(3))
        self.to_out = nn.Sequential(nn.Linear(inner, config.dim))

    def forward(
        self,
        x: Float[Tensor, "batch frame dim"],
        seen: Bool[Tensor, "#batch 1 frame key"] | None,
        memory: KeyValueMemory,
    ) -> Float[Tensor, "batch frame dim"]:
        """Attend to what the memory holds and to the new frames; ``seen`` None means to all of them."""
        projected = (layer(x).unflatten(-1, (self.num_heads, -1)) for layer in (self.to_q, self.to_k, self.to_v))
        query, key, value = (part.transpose(1, 2) for part in projected)
        key, value = memory.append(key, value)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        return self.to_out(mixed.transpose(1, 2).flatten(2))


class WideningGELU(nn.Module):
    """A linear layer and GELU."""

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, inner)

    def forward(self, x: Float[Tensor, "*rest dim"]) -> Float[Tensor, "*rest inner"]:
        """Per frame."""
        return functional.gelu(self.proj(x))


class FeedForward(nn.Module):
    """Widen, activate, narrow."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        # The published layout counts a dropout of zero.
        self.net = nn.Sequential(WideningGELU(dim, _WIDENING * dim), nn.Identity(), nn.Linear(_WIDENING * dim, dim))

    def forward(self, x: Float[Tensor, "*rest dim"]) -> Float[Tensor, "*rest dim"]:
        """Per frame."""
        return self.net(x)


class TransformerLayer(nn.Module):
    """Attention and feed-forward, each normalised before and added to its input."""

    def __init__(self, config: EstimatorConfig) -> None:
        super().__init__()
        self.norm1, self.norm3 = nn.LayerNorm(config.dim), nn.LayerNorm(config.dim)
        self.attn1 = Attention(config)
        self.ff = FeedForward(config.dim)

    def forward(
        self,
        x: Float[Tensor, "batch frame dim"],
        seen: Bool[Tensor, "#batch 1 frame key"] | None,
        memory: KeyValueMemory,
    ) -> Float[Tensor, "batch frame dim"]:
        """Same shape in and out; see `Attention.forward`."""
        x = x + self.attn1(self.norm1(x), seen, memory)
        return x + self.ff(self.norm3(x))


class Stage(nn.ModuleList):
    """A resnet, transformer layers, and in the outer stages a causal convolution that the U-Net itself calls."""

    def __init__(self, inputs: int, config: EstimatorConfig, is_outer: bool) -> None:
        layers = nn.ModuleList(TransformerLayer(config) for _ in range(config.layers_per_stage))
        outer = [CausalConv1d(config.dim, config.dim, _KERNEL)] if is_outer else []
        super().__init__([CausalResnet(inputs, config), layers, *outer])

    def forward(
        self,
        x: Float[Tensor, "batch frame inputs"],
        time: Float[Tensor, "batch time_dim"],
        seen: Bool[Tensor, "#batch 1 frame key"] | None,
        state: StageState,
    ) -> Float[Tensor, "batch frame dim"]:
        """The resnet and the transformer layers."""
        resnet, layers, *_ = self
        assert isinstance(layers, nn.ModuleList)
        x = resnet(x, time, state.blocks)
        for layer, memory in zip(layers, state.layers, strict=True):
            x = layer(x, seen, memory)
        return x

    def conv(self, x: Float[Tensor, "batch frame dim"], history: ConvHistory) -> Float[Tensor, "batch frame dim"]:
        """The convolution of an outer stage."""
        *_, conv = self
        return conv(x, history)


class TimeEmbedding(nn.Module):
    """Sines and cosines of the time, then two linear layers with SiLU between."""

    def __init__(self, waves: int, dim: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(waves, dim)
        self.linear_2 = nn.Linear(dim, dim)

    def forward(self, time: Float[Tensor, " batch"]) -> Float[Tensor, "batch time_dim"]:
        """``time`` runs from 0 to 1."""
        half = self.linear_1.in_features // 2
        steps = torch.arange(half, device=time.device, dtype=torch.float32)
        rates = torch.exp(steps * (-math.log(_LONGEST_WAVE) / (half - 1)))
        angles = _TIME_SCALE * time[:, None].float() * rates
        waves = torch.cat([angles.sin(), angles.cos()], dim=-1).to(self.linear_1.bias.dtype)
        return self.linear_2(functional.silu(self.linear_1(waves)))


class Estimator(nn.Module):
    """Noisy frames, time and conditions to a velocity; weights only, all state is passed in."""

    def __init__(self, config: EstimatorConfig, mel_bins: int) -> None:
        super().__init__()
        self.config = config
        inputs = _NUM_INPUTS * mel_bins
        self.time_mlp = TimeEmbedding(inputs, config.time_dim)
        self.down_blocks = nn.ModuleList([Stage(inputs, config, is_outer=True)])
        self.mid_blocks = nn.ModuleList(Stage(config.dim, config, is_outer=False) for _ in range(config.num_mid_stages))
        self.up_blocks = nn.ModuleList([Stage(2 * config.dim, config, is_outer=True)])
        self.final_block = CausalBlock(config.dim, config.dim)
        self.final_proj = nn.Conv1d(config.dim, mel_bins, 1)

    def new_state(self, lasting: bool, reach_frames: int | None = None) -> EstimatorState:
        """Nothing computed yet; ``reach_frames`` bounds the keys and values that are held (None: no bound).

        A state that does not last serves any number of passes over whole sequences.
        """

        def stage() -> StageState:
            layers = [KeyValueMemory(lasting, reach_frames) for _ in range(self.config.layers_per_stage)]
            return StageState((ConvHistory(lasting), ConvHistory(lasting)), layers)

        down_conv, up_conv, final = (ConvHistory(lasting) for _ in range(3))
        return EstimatorState(stage(), down_conv, [stage() for _ in self.mid_blocks], stage(), up_conv, final)

    def forward(
        self,
        x: Float[Tensor, "batch frame bin"],
        time: Float[Tensor, " batch"],
        conditions: Conditions,
        seen: Bool[Tensor, "#batch 1 frame key"] | None,
        state: EstimatorState,
    ) -> Float[Tensor, "batch frame bin"]:
        """The velocity at ``x``; frames of padding get values that mean nothing and reach no other frame."""
        embedded = self.time_mlp(time)
        (down,), (up,) = self.down_blocks, self.up_blocks
        assert isinstance(down, Stage)
        assert isinstance(up, Stage)
        speaker = conditions.speaker[:, None].expand_as(conditions.mean)
        hidden = torch.cat([x, conditions.mean, speaker, conditions.prompt], dim=-1)
        skip = down(hidden, embedded, seen, state.down)
        hidden = down.conv(skip, state.down_conv)
        for mid, mid_state in zip(self.mid_blocks, state.mids, strict=True):
            hidden = mid(hidden, embedded, seen, mid_state)
        hidden = up(torch.cat([hidden, skip], dim=-1), embedded, seen, state.up)
        hidden = self.final_block(up.conv(hidden, state.up_conv), state.final)
        return _pointwise(self.final_proj, hidden)


def _pointwise(conv: nn.Conv1d, x: Float[Tensor, "batch frame inputs"]) -> Float[Tensor, "batch frame outputs"]:
    """A convolution of width one, as the matrix product that it is."""
    return functional.linear(x, conv.weight[:, :, 0], conv.bias)
