"""An understanding model of ours as a judge: what is said, and everything else that it answers."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

from parlando.audio.clip import Clip
from parlando.core.errors import FileMissingError
from parlando.evaluate.judges.base import Card
from parlando.models.understanding.build import load_listener
from parlando.models.understanding.config import UnderstandingConfig
from parlando.models.understanding.listener import Listener
from parlando.models.understanding.weights import WEIGHTS_FILE, read_config
from parlando.text.answer import Answer


class Understanding:
    """A recogniser (`judges.base.Asr`) that understands as well."""

    def __init__(self, model: str) -> None:
        """Name its folder; the weights are loaded with the first clip.

        Raises:
            FileMissingError, CheckpointError, ConfigError: there is no understanding model in it.
        """
        self._folder = Path(model)
        self.config: UnderstandingConfig = read_config(self._folder)
        weights = self._folder / WEIGHTS_FILE
        if not weights.is_file():
            raise FileMissingError(weights, "understanding model")
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        self.card = Card(f"understanding {self._folder.name}", digest[:12])

    @cached_property
    def listener(self) -> Listener:
        """The model."""
        return load_listener(self._folder)

    def hear(self, clip: Clip, language: str) -> str:
        """The words of a clip of any length, in whatever language it was trained on."""
        del language
        return self.understand(clip).text

    def understand(self, clip: Clip) -> Answer:
        """Everything that is heard of a clip."""
        return self.listener.understand(clip)
