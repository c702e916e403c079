"""Figures with their intervals: a mean, a median or a share, and the range that 95 % of bootstrap resamples keep to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from parlando.evaluate.wer import RESAMPLES, ErrorRates

SMALL = 0.005


@dataclass(frozen=True)
class Figure:
    """One number: ``low`` to ``high`` is its 95 % interval where there is one, ``count`` of how many, ``by`` whom."""

    name: str
    value: float | None
    unit: str = ""
    low: float | None = None
    high: float | None = None
    count: int = 0
    by: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return "–"
        spread = "" if self.low is None or self.high is None else f" ({_short(self.low)}–{_short(self.high)})"
        return f"{_short(self.value)}{self.unit}{spread}"


def _short(value: float) -> str:
    if 0 < abs(value) < SMALL:
        return f"{value:.1e}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def average(
    name: str,
    values: Sequence[float | None],
    by: str = "",
    unit: str = "",
    of: Callable[..., np.ndarray] = np.mean,
) -> Figure:
    """The mean (or what ``of`` makes of an array along an axis) of the values there are; the interval needs two."""
    held = np.array([value for value in values if value is not None], dtype=np.float64)
    if not len(held):
        return Figure(name, None, unit, by=by)
    value = float(of(held, axis=0))
    if len(held) == 1:
        return Figure(name, value, unit, count=1, by=by)
    picks = np.random.default_rng(0).integers(0, len(held), (RESAMPLES, len(held)))
    low, high = np.percentile(of(held[picks], axis=1), [2.5, 97.5])
    return Figure(name, value, unit, float(low), float(high), len(held), by)


def percentage(name: str, rates: ErrorRates, count: int, by: str = "") -> Figure:
    """An error rate over a corpus, in percent."""
    low, high = (100 * rates.low, 100 * rates.high) if count > 1 else (None, None)
    return Figure(name, 100 * rates.wer, " %", low, high, count, by)


def ratio(name: str, above: Sequence[float | None], below: Sequence[float], by: str = "") -> Figure:
    """The sum of one over the sum of the other, of the pairs that are whole."""
    pairs = [(a, b) for a, b in zip(above, below, strict=True) if a is not None and b > 0]
    if not pairs:
        return Figure(name, None, by=by)
    tops, bottoms = np.array(pairs).T
    picks = np.random.default_rng(0).integers(0, len(pairs), (RESAMPLES, len(pairs)))
    low, high = np.percentile(tops[picks].sum(1) / bottoms[picks].sum(1), [2.5, 97.5])
    return Figure(name, float(tops.sum() / bottoms.sum()), "", float(low), float(high), len(pairs), by)
