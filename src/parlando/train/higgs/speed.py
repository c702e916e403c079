"""How fast the DualFFN language model trains, next to one whose text and audio share a feed-forward block.

Both are taken through the trainer's own step, in turns, on random tokens; equal shapes cost equal products, since a
position goes through one block in either of them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.lm import HiggsLM
from parlando.nn.attention import CausalSelfAttention, places
from parlando.nn.mlp import GatedMLP
from parlando.nn.norm import RMSNorm
from parlando.nn.packed import Packing
from parlando.nn.residual import Residual
from parlando.nn.rope import RopeTable
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.parallel import ALONE, Process
from parlando.train.loop.sharding import ParallelConfig
from parlando.train.loop.step import Stepper
from parlando.train.loop.task import Arrays, Extent, Learner, Objective, Task
from parlando.train.shared.lm import Trained

_IDS: dict[str, Any] = {"audio_out_id": 0, "audio_out_bos_id": 1, "eot_id": 2, "end_of_text_id": 3}
_OPTIM = OptimConfig(rate=1e-4)


@dataclass(frozen=True)
class Shape:
    """Sizes of a language model, and of the batches that it is measured on; every third position is text.

    Examples are from half of ``longest_positions`` to all of it.
    """

    lm: LMConfig
    examples: int
    longest_positions: int


SMALL = Shape(LMConfig(512, 256, 6, 4, 4, 64, 768, 4, 256, 1024, **_IDS), 12, 256)
PUBLISHED = Shape(LMConfig(128_256, 3072, 28, 24, 8, 128, 8192, 8, 1024, 8192, **_IDS), 4, 2048)
SHAPES: Mapping[str, Shape] = {"small": SMALL, "published": PUBLISHED}


class PlainLayer(nn.Module):
    """A Llama layer: what a DualFFN layer is without the second pair of norms and the second block."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.self_attn = CausalSelfAttention(config.attention)
        self.mlp = GatedMLP(config.hidden_size, config.intermediate_size)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.residual = Residual()

    def forward(
        self,
        x: Float[Tensor, "batch position dim"],
        rope: RopeTable,
        mask: Float[Tensor, "position position"] | Packing,
    ) -> Float[Tensor, "batch position dim"]:
        """Advance the residual stream of whole sequences."""
        x = self.residual(x, self.self_attn(self.input_layernorm(x), rope, mask))
        return self.residual(x, self.mlp(self.post_attention_layernorm(x)))


class PlainLM(HiggsLM):
    """The same tables and heads around layers that do not tell text from audio."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__(replace(config, num_layers=1))
        self.config = config
        self.layers = nn.ModuleList(PlainLayer(config) for _ in range(config.num_layers))

    def forward(
        self,
        tokens: Int[Tensor, "batch position"],
        codes: Int[Tensor, "batch position codebook"],
        audio_mask: Bool[Tensor, "batch position"],
        lengths: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch position dim"]:
        """As that of the base."""
        packing = None if lengths is None else Packing.of(lengths, tokens.shape[1])
        if packing is not None:
            tokens, codes, audio_mask = (packing.pack(each) for each in (tokens, codes, audio_mask))
        text = self.embed_tokens(tokens)
        audio = self.embed_frames(codes.flatten(0, 1)).view_as(text)
        x = torch.where(audio_mask[..., None], audio, text)
        rope, mask = places(self.config.rope, self.config.head_dim, tokens.shape[1], x, packing)
        for layer in self.layers:
            x = layer(x, rope, mask)
        return self.norm(x) if packing is None else packing.spread(self.norm(x))


@dataclass(frozen=True)
class Random(Arrays):
    """Random positions of random lengths."""

    tokens: Int[Tensor, "batch position"]
    codes: Int[Tensor, "batch position codebook"]
    audio_mask: Bool[Tensor, "batch position"]
    lengths: Int[Tensor, " batch"]

    @classmethod
    def of(cls, shape: Shape) -> Random:
        """The same ones every time."""
        generator, config = torch.Generator().manual_seed(0), shape.lm
        size = (shape.examples, shape.longest_positions)
        mask = torch.arange(size[1]).expand(size) % 3 != 0
        return cls(
            torch.randint(config.vocab_size, size, generator=generator),
            torch.randint(config.codebook_size, (*size, config.num_codebooks), generator=generator),
            mask,
            torch.linspace(size[1] // 2, size[1], size[0]).long(),
        )


class SpeedTask(Task[Random]):
    """Predicts random codes."""

    autocast_on = ("cpu", "cuda")

    def __init__(self, lm: HiggsLM, shape: Shape, packed: bool) -> None:
        self.lm, self.packed, self._batch = lm, packed, Random.of(shape)
        self.trained = Trained([lm], self._losses)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The layers."""
        return tuple(self.lm.layers)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The language model."""
        return {"trained": self.trained}

    @property
    def learners(self) -> Mapping[str, Learner]:
        """All of it."""
        return {"model": Learner(self.trained, _OPTIM)}

    def batch(self, number: int) -> Random:
        """The same one every time."""
        del number
        return self._batch

    def extent(self, batch: Random) -> Extent:
        """In positions that are no padding."""
        real = int(batch.lengths.sum())
        return Extent(real, 0.0, real)

    def objectives(self, batch: Random, progress: float) -> Iterator[Objective]:
        """Of all codebooks alike."""
        del progress
        yield Objective("model", self.trained(batch)["codes"], {})

    def _losses(self, batch: Random) -> dict[str, Tensor]:
        hidden = self.lm(batch.tokens, batch.codes, batch.audio_mask, batch.lengths if self.packed else None)
        is_real = torch.arange(hidden.shape[1], device=hidden.device) < batch.lengths[:, None]
        speaking = batch.audio_mask & is_real
        logits = self.lm.audio_logits(hidden[speaking])
        return {"codes": functional.cross_entropy(logits.flatten(0, 1), batch.codes[speaking].flatten())}

    def evaluate(self, device: torch.device) -> Mapping[str, float]:
        """Nothing."""
        del device
        return {}

    def export(self, folder: Path) -> None:
        """Nothing."""


def useful_flops(shape: Shape) -> float:
    """Products of a step that the model needs (forward, and twice that backward), padding and recomputing left out.

    Per position: attention's projections, one feed-forward block, the audio head where there is audio; within a
    sequence of n, scores and mixtures over n / 2 positions on average.
    """
    config, lengths = shape.lm, Random.of(shape).lengths.double()
    inner = config.num_heads * config.head_dim
    attention = config.hidden_size * (2 * inner + 2 * config.num_kv_heads * config.head_dim)
    layer = attention + 3 * config.hidden_size * config.intermediate_size
    head = config.hidden_size * config.num_codebooks * config.table_rows * 2 / 3
    positions = float(lengths.sum())
    scores = config.num_layers * inner * float((lengths * lengths).sum())
    return 6 * (positions * (config.num_layers * layer + head) + scores)


def matmul_peak(device: torch.device, dtype: torch.dtype, seconds: float = 0.5) -> float:
    """Most operations a second of a product of square matrices, measured here."""
    size = 8192 if device.type == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        best = min(best, _seconds(lambda: a @ b, device))
    return 2 * size**3 / best


def _seconds(work: Any, device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    begun = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begun


@dataclass(frozen=True)
class Measured:
    """One contender: positions a second, of what peak, and the most memory that the device (or process) held."""

    name: str
    steps: int
    tokens_per_second: float
    mfu: float
    memory_mib: float


@dataclass(frozen=True)
class Plan:
    """What is measured: the contenders take turns for ``seconds`` (or ``steps`` each) on ``process``."""

    shape: Shape
    contenders: tuple[str, ...] = ("plain", "dualffn", "dualffn packed")
    seconds: float = 20.0
    steps: int | None = None
    config: ParallelConfig = field(default_factory=ParallelConfig)
    process: Process = ALONE


def measure(plan: Plan) -> list[Measured]:
    """Take the contenders through the trainer's step in turns; the median step counts, the first is not counted."""
    device = torch.device(plan.process.device)
    steppers = {name: _stepper(name, plan) for name in plan.contenders}
    times: dict[str, list[float]] = {name: [] for name in steppers}
    until, step = time.perf_counter() + plan.seconds, 0
    while step <= plan.steps if plan.steps else step < 2 or time.perf_counter() < until:
        for name, stepper in steppers.items():
            times[name].append(_seconds(lambda one=stepper, number=step: one.step(number, 0.5), device))
        step += 1
    for stepper in steppers.values():
        stepper.close()
    peak = matmul_peak(device, plan.config.products(device, SpeedTask.autocast_on))
    positions, flops = int(Random.of(plan.shape).lengths.sum()), useful_flops(plan.shape)
    typical = {name: statistics.median(each[1:]) for name, each in times.items()}
    return [
        Measured(name, len(times[name]) - 1, positions / each, flops / each / peak, _memory(device))
        for name, each in typical.items()
    ]


def _stepper(name: str, plan: Plan) -> Stepper[Random]:
    torch.manual_seed(0)
    kind = PlainLM if name.startswith("plain") else HiggsLM
    with torch.device(plan.process.device):
        lm = kind(plan.shape.lm)
    task = SpeedTask(lm, plan.shape, name.endswith("packed"))
    return Stepper(task, plan.process, 1, plan.config)


def _memory(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    from resource import RUSAGE_SELF, getrusage

    return getrusage(RUSAGE_SELF).ru_maxrss / 2**10
