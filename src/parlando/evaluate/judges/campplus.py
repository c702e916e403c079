"""CAM++ (Wang et al., 2023), ours: the speaker encoder inside a model that has one."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from parlando.audio.clip import Clip
from parlando.core.errors import ConfigError
from parlando.core.stages import Model
from parlando.evaluate.judges.base import Card, unit
from parlando.models.locate import locate
from parlando.models.registry import load_model

DEFAULT_MODEL = "cosyvoice-mini"
FEATURE = "speaker"


class CampPlusEncoder:
    """A speaker encoder (`judges.base.SpeakerEncoder`): that of the model of this name or in this folder."""

    def __init__(self, model: str = DEFAULT_MODEL) -> None:
        self._folder = locate(model)
        self.card = Card("campplus", self._folder.name, {})

    @cached_property
    def _model(self) -> Model:
        return load_model(self._folder, "cpu", "float32")

    def embed(self, clip: Clip) -> np.ndarray:
        """The voice of a clip.

        Raises:
            ConfigError: the model has no speaker encoder.
        """
        features = self._model.refer("", clip.samples, clip.sample_rate).features
        if FEATURE not in features:
            raise ConfigError(f"model '{self._model.name}' has no speaker encoder; use campplus:{DEFAULT_MODEL}")
        return unit(features[FEATURE])
