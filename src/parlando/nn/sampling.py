"""Drawing tokens from logits: temperature, top-k, nucleus (Holtzman et al., 2020) and repetition-aware sampling.

Repetition-aware sampling follows VALL-E 2 (Chen et al., 2024): a token that fills the recent past is drawn again from
the unfiltered distribution. All randomness is the request's own, so a seed does not depend on the batch.
Where published generators differ in it, `DrawRules` says how.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from parlando.core.errors import ConfigError, GenerationError
from parlando.core.types import NOWHERE, SamplingOptions
from parlando.nn.native import kernel

WARMING, WARMEST = 0.15, 1.2


@dataclass(frozen=True)
class DrawRules:
    """In what published generators differ.

    ``nucleus_of_all``: top-p is a share of the whole distribution, not of what top-k leaves of it.
    ``redraw_others``: the token that repeats itself cannot be drawn a second time in its own stead.
    """

    nucleus_of_all: bool = False
    redraw_others: bool = False


_USUAL = DrawRules()


@dataclass(frozen=True)
class Kept:
    """What the filters leave of a step, by falling weight: token indices and cumulative weights.

    Both are [row, codebook, kept]; ``finite`` says of each row whether its logits make sense.
    """

    indices: Int[np.ndarray, "row codebook kept"]
    cumulative: Float[np.ndarray, "row codebook kept"]
    finite: Bool[np.ndarray, " row"]


class Ranking:
    """Logits of all rows of a step; who asks first for what some options keep finds it for all who have the same.

    On arrays this small what costs is the number of operations, not their size.
    """

    def __init__(self, logits: Float[Tensor, "row codebook rows"], rules: DrawRules = _USUAL) -> None:
        self.logits, self.rules = logits, rules
        self._kept: dict[tuple[Any, ...], Kept] = {}
        self._without: dict[tuple[int, ...], Ranking] = {}

    def without(self, forbidden: tuple[int, ...]) -> Ranking:
        """The same with some tokens forbidden in every codebook; found once for all who forbid the same."""
        if not forbidden:
            return self
        if forbidden not in self._without:
            indices = torch.tensor(forbidden, device=self.logits.device)
            self._without[forbidden] = Ranking(self.logits.index_fill(-1, indices, float("-inf")), self.rules)
        return self._without[forbidden]

    def kept(self, options: SamplingOptions) -> Kept:
        """Top-k, temperature, then top-p; greedy options keep the likeliest alone."""
        filters = (options.temperature, options.top_k, options.top_p)
        if filters not in self._kept:
            # Rows that nobody draws from may hold anything.
            with np.errstate(all="ignore"):
                self._kept[filters] = self._filter(options)
        return self._kept[filters]

    def _filter(self, options: SamplingOptions) -> Kept:
        size = self.logits.shape[-1]
        is_greedy = options.temperature == 0
        values, indices = self._top(1 if is_greedy else min(options.top_k or size, size))
        weights = np.exp((values - values[..., :1]) / (options.temperature or 1.0))
        if options.top_p is not None and options.top_p < 1:
            cumulative = weights.cumsum(axis=-1)
            total = self._mass(options, values[..., :1]) if self.rules.nucleus_of_all else cumulative[..., -1:]
            weights[cumulative - weights >= options.top_p * total] = 0.0
        # In float64 a target stays below the sum, so that no token of weight 0 is ever reached.
        return Kept(indices, weights.cumsum(axis=-1, dtype=np.float64), np.isfinite(values[..., 0]).all(axis=-1))

    def _mass(self, options: SamplingOptions, largest: np.ndarray) -> np.ndarray:
        """The weight of all tokens, on the scale on which the largest weighs 1: [row, codebook, 1]."""
        return np.exp((self.logits.numpy() - largest) / (options.temperature or 1.0)).sum(axis=-1, keepdims=True)

    def _top(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The largest logits of each row, falling, and their indices: both [row, codebook, count]."""
        found = kernel.top(self.logits, count)
        if found is None:
            largest = self.logits.topk(count, dim=-1)
            found = largest.values.numpy(), largest.indices.numpy()
        return found


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
    kept = ranking.kept(options)
    if not kept.finite[row]:
        raise GenerationError("the model's logits are not finite; try float32 or check the checkpoint")
    indices = kept.indices[row]
    if options.temperature == 0:
        return indices[:, 0]
    # Both are drawn every time, so that the random stream does not depend on what was sampled before.
    first, second = torch.rand(2, len(indices), generator=generator, dtype=torch.float64).numpy()
    tokens = indices[np.arange(len(indices)), invert(kept.cumulative[row], first)]
    if not options.repetition_window or not len(history):
        return tokens
    repeated = (history[-options.repetition_window :] == tokens).sum(axis=0) >= options.repetition_limit
    if not repeated.any():
        return tokens
    unfiltered = ranking.logits[row].softmax(dim=-1).numpy()
    if ranking.rules.redraw_others:
        unfiltered[np.arange(len(tokens)), tokens] = 0.0
        repeated &= unfiltered.any(axis=-1)
    return np.where(repeated, invert(unfiltered.cumsum(axis=-1, dtype=np.float64), second), tokens)


class Widening:
    """Options that widen while a model stays at one place of its text, where a cool choice can hold it for ever.

    Beyond `SamplingOptions.patience_frames` each further frame there is drawn `WARMING` of the temperature warmer, up
    to `WARMEST`, and from the whole of what top-k leaves. The last of ``num_places`` is where a sentence dies away, and
    is not hurried.
    """

    def __init__(self, options: SamplingOptions, num_places: int) -> None:
        self._options, self._last = options, num_places - 1
        self._place, self._stayed = NOWHERE, 0

    def at(self, place: int) -> SamplingOptions:
        """How to draw the next frame, which is at this place of the text, or `NOWHERE`."""
        self._stayed = self._stayed + 1 if place == self._place else 1
        self._place = place
        options, patience = self._options, self._options.patience_frames
        if patience is None or place == NOWHERE or place >= self._last or self._stayed <= patience:
            return options
        warmth = 1 + WARMING * (self._stayed - patience)
        temperature = max(options.temperature, min(WARMEST, options.temperature * warmth))
        return replace(options, temperature=temperature, top_p=None)


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
        "patience_frames": (
            options.patience_frames,
            options.patience_frames is None or options.patience_frames >= 0,
            "at least 0, or None",
        ),
        "max_frames": (
            options.max_frames,
            options.max_frames is None or options.max_frames >= 1,
            "at least 1, or None",
        ),
    }
    for name, (value, is_allowed, allowed) in checks.items():
        if not is_allowed:
            raise ConfigError(f"sampling.{name}: {value} is out of range; use {allowed}")


def invert(
    cumulative: Float[np.ndarray, "codebook rows"], uniform: Float[np.ndarray, " codebook"]
) -> Int[np.ndarray, " codebook"]:
    """Where each row's cumulative weights (float64, of any positive sum) pass a float64 number in [0, 1)."""
    return (cumulative <= uniform[:, None] * cumulative[:, -1:]).sum(axis=-1)
