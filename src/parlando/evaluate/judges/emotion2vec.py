"""emotion2vec (Ma et al., 2023) by funasr: how something is said, as an embedding and as a class."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from parlando.audio.clip import Clip
from parlando.evaluate.judges.base import Card, Feeling, at_judge_rate, unit, version_of
from parlando.evaluate.optional import require

INSTALL_FUNASR = "pip install funasr (it needs torchaudio)"


class Emotion2Vec:
    """An emotion encoder (`judges.base.EmotionEncoder`); ``model`` is a folder or a hub id that funasr knows."""

    def __init__(self, model: str = "iic/emotion2vec_plus_large", device: str = "cpu") -> None:
        """Name it; the weights are loaded with the first clip.

        Raises:
            MissingDependencyError: funasr is not installed.
        """
        self._funasr = require("funasr", INSTALL_FUNASR)
        self._name, self._device = model, device
        self.card = Card(model.rsplit("/", 1)[-1], f"funasr {version_of('funasr')}", {"granularity": "utterance"})

    @cached_property
    def _model(self) -> Any:
        return self._funasr.AutoModel(model=self._name, device=self._device, disable_update=True, disable_pbar=True)

    def feel(self, clip: Clip) -> Feeling:
        """How a clip is said; of labels in two languages (``生气/angry``) the English one is kept."""
        (result,) = self._model.generate(input=at_judge_rate(clip), granularity="utterance", extract_embedding=True)
        names = [str(label).rsplit("/", 1)[-1] for label in result["labels"]]
        scores = [float(score) for score in result["scores"]]
        return Feeling(unit(result["feats"]), dict(zip(names, scores, strict=True)))
