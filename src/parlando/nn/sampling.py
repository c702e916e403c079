"""Drawing tokens from logits: temperature, top-k, nucleus (Holtzman et al., 2020) and repetition-aware sampling.

Repetition-aware sampling follows VALL-E 2 (Chen et al., 2024): a token that fills the recent past is drawn again from
the unfiltered distribution. All randomness is the request's own, so a seed does not depend on the batch.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from parlando.core.errors import ConfigError, GenerationError
from parlando.core.types import SamplingOptions


def draw(
    logits: Float[Tensor, "codebook rows"],
    options: SamplingOptions,
    history: Int[Tensor, " frame #codebook"],
    generator: torch.Generator,
) -> Int[Tensor, " codebook"]:
    """One token per codebook; repetition is looked for in the last frames of ``history`` if the options say so.

    Temperature 0 takes the largest logit, draws no random numbers and never redraws. ``generator`` is the request's own
    and on the CPU whatever the device of ``logits``. Forbidden tokens carry minus infinity.

    Raises:
        GenerationError: the logits hold NaN or allow no token.
    """
    best = logits.amax(dim=-1)
    if not math.isfinite(float(best.sum())):
        raise GenerationError("the model's logits are not finite; try float32 or check the checkpoint")
    if options.temperature == 0:
        return logits.argmax(dim=-1)
    # Both are drawn every time, so that the random stream does not depend on what was sampled before.
    first, second = torch.rand(2, logits.shape[0], generator=generator, dtype=torch.float64).to(logits.device)
    tokens = draw_filtered(logits, first, options)
    if not options.repetition_window or not len(history):
        return tokens
    recent = history[-options.repetition_window :].to(logits.device)
    repeated = (recent == tokens).sum(dim=0) >= options.repetition_limit
    if not bool(repeated.any()):
        return tokens
    return torch.where(repeated, draw_inverse(logits.softmax(dim=-1), second), tokens)


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


def draw_filtered(
    logits: Float[Tensor, "codebook rows"], uniform: Float[Tensor, " codebook"], options: SamplingOptions
) -> Int[Tensor, " codebook"]:
    """Temperature, then top-k, then top-p, then one draw per row; the likeliest token always stays."""
    num_rows = logits.shape[-1]
    values, indices = logits.topk(num_rows if options.top_k is None else min(options.top_k, num_rows), dim=-1)
    probabilities = (values / options.temperature).softmax(dim=-1)
    if options.top_p is not None and options.top_p < 1:
        before = probabilities.cumsum(dim=-1) - probabilities
        probabilities = probabilities.masked_fill(before >= options.top_p, 0.0)
    return indices.gather(-1, draw_inverse(probabilities, uniform)[:, None])[:, 0]


def draw_inverse(
    weights: Float[Tensor, "codebook rows"], uniform: Float[Tensor, " codebook"]
) -> Int[Tensor, " codebook"]:
    """Invert each row's cumulative weights (of any positive sum) at a float64 number in [0, 1)."""
    cumulative = weights.cumsum(dim=-1)
    # In float64 the target stays below the sum, so that no token of weight 0 is ever reached.
    target = uniform * cumulative[:, -1]
    return (cumulative <= target[:, None]).sum(dim=-1)
