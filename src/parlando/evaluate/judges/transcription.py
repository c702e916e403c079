"""Any OpenAI-compatible transcription service as a recogniser."""

from __future__ import annotations

from parlando.audio.clip import Clip
from parlando.audio.files import encode_audio
from parlando.evaluate.judges.base import Card
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
        fields = {"model": self._model, "language": language, "response_format": "json", "temperature": "0"}
        wav = encode_audio(clip.samples, clip.sample_rate, "wav")
        answer = self._service.form("/v1/audio/transcriptions", fields, ("clip.wav", wav))
        if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
            raise ServiceError(f"{self._service.url} answered without a text")
        return str(answer["text"])
