"""What `parlando bench` loads: whoever continues a prompt, and how much of it; a family's module makes its own two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, Protocol, TypeVar, cast

import numpy as np
import torch
from torch import nn

from parlando.core.errors import ConfigError, MissingDependencyError
from parlando.core.types import SamplingOptions
from parlando.evaluate.speed.random_weights import with_random_weights
from parlando.nn.few_bits import Kind
from parlando.nn.quantized import quantize

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Load:
    """Requests of a prompt and of ``shortest`` to ``longest`` frames, so many at a time; medians of ``repeats``.

    There are ``rounds`` times as many requests as run at a time. ``dtype`` is that in which ours and the
    peer compute, on ``device``; the random weights of both are rounded to half precision, which our compiled step reads
    as such. Ours are kept in few bits with ``quantize``.
    """

    batches: tuple[int, ...] = (1, 2, 4, 8)
    shortest: int = 50
    longest: int = 250
    rounds: int = 3
    prompt_tokens: int = 48
    repeats: int = 3
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    quantize: Kind | None = None
    sampling: SamplingOptions = field(default_factory=lambda: SamplingOptions(seed=0))

    @property
    def on_cuda(self) -> bool:
        """Whether steps can be recorded as CUDA graphs."""
        return torch.device(self.device).type == "cuda"

    def lengths(self, batch: int) -> list[int]:
        """How many frames each request wants: all lengths of the range alike, in an order that does not change."""
        count = batch * self.rounds
        spread = np.linspace(self.shortest, self.longest, count).round().astype(int)
        return [int(length) for length in np.random.default_rng(0).permutation(spread)]


def as_loaded(make: Callable[[], M], load: Load) -> M:
    """A language model with random weights as the load wants it."""
    lm = with_random_weights(make, load.dtype, load.device)
    if load.quantize is not None:
        quantize(lm, load.quantize)
        lm.to(load.dtype)
    return lm


class Generator(Protocol):
    """Continues copies of a prompt with frames of ``tokens_per_frame`` tokens; ours and the peer's do."""

    name: str
    tokens_per_frame: int

    def generate(self, batch: int, lengths: Sequence[int]) -> int:
        """Make frames for a request of each length, ``batch`` at a time; returns how many of those asked for."""
        ...


@dataclass(frozen=True)
class Contenders:
    """Ours and the peer, or why there is none."""

    ours: Generator
    peer: Generator | None
    peer_name: str
    is_compiled: bool = False
    note: str = ""


def maker(family: str, who: Literal["ours", "peer"]) -> Callable[[Any, Load], Generator]:
    """What makes ours or the peer of a family, of the config of a language model.

    Raises:
        ConfigError: nobody wrote one for this family.
    """
    place = f"{__package__}.{family}"
    if find_spec(place) is None:
        raise ConfigError(f"there is no benchmark of the family '{family}'")
    return cast("Callable[[Any, Load], Generator]", getattr(import_module(place), who))


def contenders(family: str, config: Any, load: Load, with_peer: bool) -> Contenders:
    """Those of a family, by ``config`` of its language model: `ours` and `peer` of the module of its name beside this.

    Raises:
        ConfigError: nobody wrote one for this family.
    """
    ours = maker(family, "ours")(config, load)
    compiled = bool(getattr(ours, "is_compiled", False))
    if not with_peer:
        return Contenders(ours, None, "transformers", compiled, "transformers was left out")
    try:
        return Contenders(ours, maker(family, "peer")(config, load), "transformers", compiled)
    except MissingDependencyError as error:
        return Contenders(ours, None, "transformers", compiled, str(error))
