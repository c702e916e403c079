"""An understanding network of the smallest sizes."""

from __future__ import annotations

from parlando.models.understanding.config import AnswererConfig, EarConfig, TowerConfig, UnderstandingConfig

TINY = UnderstandingConfig(
    EarConfig(num_bands=20),
    TowerConfig(16, 2, 2, 32, 200),
    AnswererConfig(16, 1, 2, 24),
)
