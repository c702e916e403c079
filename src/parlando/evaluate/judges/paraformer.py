"""Paraformer (Gao et al., 2022) by funasr: the published judge of Mandarin; it answers in simplified signs."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from parlando.audio.clip import Clip
from parlando.evaluate.judges.base import Card, at_judge_rate, version_of
from parlando.evaluate.optional import require

BATCH_SECONDS = 300
INSTALL_FUNASR = "pip install funasr zhconv (it needs torchaudio)"


class Paraformer:
    """A recogniser (`judges.base.Asr`); ``model`` is a folder or one of funasr's names."""

    def __init__(self, model: str = "paraformer-zh", device: str = "cpu") -> None:
        """Name it; the weights are loaded with the first clip.

        Raises:
            MissingDependencyError: funasr or zhconv is not installed.
        """
        self._funasr, self._zhconv = require("funasr", INSTALL_FUNASR), require("zhconv", INSTALL_FUNASR)
        self._name, self._device = model, device
        self.card = Card(model, f"funasr {version_of('funasr')}", {"batch seconds": BATCH_SECONDS})

    @cached_property
    def _model(self) -> Any:
        return self._funasr.AutoModel(model=self._name, device=self._device, disable_update=True, disable_pbar=True)

    def hear(self, clip: Clip, language: str) -> str:
        """The words of a clip."""
        heard = self._model.generate(input=at_judge_rate(clip), batch_size_s=BATCH_SECONDS)
        words = " ".join(str(part["text"]) for part in heard)
        return str(self._zhconv.convert(words, "zh-cn")) if language == "zh" else words
