"""Any OpenAI-compatible transcription service as a recogniser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from parlando.audio.clip import Clip
from parlando.audio.files import encode_audio
from parlando.evaluate.judges.base import Card, Word
from parlando.evaluate.judges.http import Service, ServiceError


class TranscriptionService:
    """A recogniser (`judges.base.Asr`) behind ``POST /v1/audio/transcriptions``."""

    def __init__(self, service: Service, model: str = "whisper-1") -> None:
        self._service, self._model = service, model
        self.card = Card(model, "by URL", {"url": service.url, "temperature": 0})

    def hear(self, clip: Clip, language: str) -> str:
        """The words of a clip.

        Raises:
            ServiceError: the service failed.
        """
        answer = self._ask(clip, {"language": language, "response_format": "json"})
        if not isinstance(answer.get("text"), str):
            raise ServiceError(f"{self._service.url} answered without a text")
        return str(answer["text"])

    def hear_words(self, clip: Clip, language: str) -> list[Word]:
        """The words of a clip with their times; errors as for `hear`."""
        more = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
        answer = self._ask(clip, {"language": language, **more})
        try:
            return [Word(str(w["word"]), float(w["start"]), float(w["end"])) for w in answer["words"]]
        except (KeyError, TypeError, ValueError) as error:
            raise ServiceError(f"{self._service.url} answered without words and times") from error

    def _ask(self, clip: Clip, fields: Mapping[str, str]) -> dict[str, Any]:
        wav = encode_audio(clip.samples, clip.sample_rate, "wav")
        whole = {"model": self._model, "temperature": "0", **fields}
        answer = self._service.form("/v1/audio/transcriptions", whole, ("clip.wav", wav))
        if not isinstance(answer, dict):
            raise ServiceError(f"{self._service.url} answered without a text")
        return answer
