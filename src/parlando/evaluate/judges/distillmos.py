"""Distill-MOS (Stahl and Gamper, 2025): the quality that listeners would give, by a small model with its weights."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch

from parlando.audio.clip import Clip
from parlando.evaluate.judges.base import Card, at_judge_rate, version_of
from parlando.evaluate.judges.install import INSTALL_JUDGES
from parlando.evaluate.optional import require


class DistillMos:
    """A predictor of opinion scores (`judges.base.Mos`)."""

    def __init__(self) -> None:
        """Name it.

        Raises:
            MissingDependencyError: distillmos is not installed.
        """
        with _without_torchaudio():
            self._library = require("distillmos", INSTALL_JUDGES)
        self.card = Card("distill-mos", version_of("distillmos"), {})

    @cached_property
    def _model(self) -> Any:
        return self._library.ConvTransformerSQAModel().eval()

    @torch.inference_mode()
    def rate(self, clip: Clip) -> dict[str, float]:
        """``mos`` of a clip, the mean over its windows of 7.7 s."""
        return {"mos": float(self._model(torch.from_numpy(at_judge_rate(clip))[None]))}


@contextmanager
def _without_torchaudio() -> Iterator[None]:
    """Distill-MOS imports torchaudio, for reading files alone; an empty module does where there is none."""
    if "torchaudio" in sys.modules or find_spec("torchaudio"):
        yield
        return
    sys.modules["torchaudio"] = ModuleType("torchaudio")
    try:
        yield
    finally:
        del sys.modules["torchaudio"]
