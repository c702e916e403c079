from __future__ import annotations

import dataclasses

import pytest

from parlando.engine.metrics import Meter
from parlando.engine.prefixes import PrefixCounts


def test_an_engine_that_did_nothing(fake):
    metrics = Meter().snapshot(0, 0, PrefixCounts())
    assert (metrics.steps, metrics.frames_per_second, metrics.mean_batch) == (0, 0.0, 0.0)


def test_rates():
    metrics = dataclasses.replace(
        Meter().snapshot(1, 2, PrefixCounts()),
        steps=4,
        frames=10,
        busy_seconds=2.0,
        batch_sizes={1: 1, 3: 3},
    )
    assert metrics.frames_per_second == 5.0
    assert metrics.mean_batch == 2.5
    with pytest.raises(dataclasses.FrozenInstanceError):
        metrics.steps = 0
