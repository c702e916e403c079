"""Drawing tokens from logits: temperature, top-k, nucleus (Holtzman et al., 2020) and repetition-aware sampling.

Repetition-aware sampling follows VALL-E 2 (Chen et al., 2024): a token that fills the recent past is drawn again from
the unfiltered distribution. All randomness is the request's own, so a seed does not depend on the batch.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from parlando.core.errors import ConfigError, GenerationError
from parlando.core.types import SamplingOptions


class Ranking:
    """Logits of all rows of a step; whoever first asks for the largest finds them for everybody.

    On arrays this small what costs is the number of operations, not their size.
    """

    def __init__(self, logits: Float[Tensor, "row codebook rows"]) -> None:
        self.logits = logits
        self._found: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def top(self, row: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The largest logits of a row, falling, and their indices: both [codebook, count]."""
        if count not in self._found:
            largest = self.logits.topk(count, dim=-1)
            self._found[count] = largest.values.numpy(), largest.indices.numpy()
        values, indices = self._found[count]
        return values[row], indices[row]


def draw(
    ranking: Ranking,
    row: int,
    options: SamplingOptions,
    history: Int[np.ndarray, " frame #codebook"],
    generator: torch.Generator,
) -> Int[np.ndarray, " codebook"]:
    """One token per codebook of a row; repetition is looked for in the last frames of ``history``, if so asked.

    Temperature 0 takes the largest logit, draws no random numbers and never redraws. The logits are on the host and
    ``generator`` is the request's own. Forbidden tokens carry minus infinity.

    Raises:
        GenerationError: the logits hold NaN or allow no token.
    """
    num_rows = ranking.logits.shape[-1]
    is_greedy = options.temperature == 0
    values, indices = ranking.top(row, 1 if is_greedy else min(options.top_k or num_rows, num_rows))
    if not np.isfinite(values[:, 0]).all():
        raise GenerationError("the model's logits are not finite; try float32 or check the checkpoint")
    if is_greedy:
        return indices[:, 0]
    # Both are drawn every time, so that the random stream does not depend on what was sampled before.
    first, second = torch.rand(2, len(values), generator=generator, dtype=torch.float64).numpy()
    tokens = indices[np.arange(len(values)), draw_nucleus(values, first, options)]
    if not options.repetition_window or not len(history):
        return tokens
    repeated = (history[-options.repetition_window :] == tokens).sum(axis=0) >= options.repetition_limit
    if not repeated.any():
        return tokens
    return np.where(repeated, draw_inverse(ranking.logits[row].softmax(dim=-1).numpy(), second), tokens)


def check_options(options: SamplingOptions) -> None:
    """Refuse options that no distribution fits.

    Raises:
        ConfigError: which option, its value and the range.
    """
    top_p = 1.0 if options.top_p is None else options.top_p
    checks = {
        "temperature": (options.temperature, 0 <= options.temperature < float("inf"), "at least 0"),
        "top_k": (options.top_k, options.top_k is None or options.top_k >= 1, "at least 1, or None"),
        "top_p": (options.top_p, 0 < top_p <= 1, "above 0 and at most 1, or None"),
        "repetition_window": (options.repetition_window, (options.repetition_window or 0) >= 0, "at least 0, or None"),
        "repetition_limit": (options.repetition_limit, options.repetition_limit >= 1, "at least 1"),
        "max_frames": (
            options.max_frames,
            options.max_frames is None or options.max_frames >= 1,
            "at least 1, or None",
        ),
    }
    for name, (value, is_allowed, allowed) in checks.items():
        if not is_allowed:
            raise ConfigError(f"sampling.{name}: {value} is out of range; use {allowed}")


def draw_nucleus(
    logits: Float[np.ndarray, "codebook kept"], uniform: Float[np.ndarray, " codebook"], options: SamplingOptions
) -> Int[np.ndarray, " codebook"]:
    """Temperature, then top-p, then one draw per row of falling logits; the likeliest token always stays."""
    weights = np.exp((logits - logits[:, :1]) / options.temperature)
    if options.top_p is not None and options.top_p < 1:
        cumulative = weights.cumsum(axis=-1)
        weights[cumulative - weights >= options.top_p * cumulative[:, -1:]] = 0.0
    return draw_inverse(weights, uniform)


def draw_inverse(
    weights: Float[np.ndarray, "codebook rows"], uniform: Float[np.ndarray, " codebook"]
) -> Int[np.ndarray, " codebook"]:
    """Invert each row's cumulative weights (of any positive sum) at a float64 number in [0, 1)."""
    # In float64 the target stays below the sum, so that no token of weight 0 is ever reached.
    cumulative = weights.cumsum(axis=-1, dtype=np.float64)
    return (cumulative <= uniform[:, None] * cumulative[:, -1:]).sum(axis=-1)
