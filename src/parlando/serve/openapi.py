"""What the doors may answer, for the server's own OpenAPI."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class ErrorDetail(BaseModel):
    """What is wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorAnswer(BaseModel):
    """An error in OpenAI's shape."""

    error: ErrorDetail


class ElevenLabsDetail(BaseModel):
    """What is wrong."""

    status: str
    message: str


class ElevenLabsAnswer(BaseModel):
    """An error in ElevenLabs' shape."""

    detail: ElevenLabsDetail


class DetailAnswer(BaseModel):
    """An error in the shape of FastAPI's own."""

    detail: str


class TtsError(DetailAnswer):
    """The same, with what clients of ``POST /tts`` look at."""

    status: str
    error: str


_CASES = {
    400: "Something in the request is wrong; the message says what.",
    401: "The API key is missing or not known.",
    403: "A web page of another origin asks, which nobody allowed, or the voice is the server's.",
    404: "No model, voice or page of that name.",
    408: "The body did not come in time.",
    413: "The body, the text or the audio is too large.",
    429: "This caller asks too often; see Retry-After.",
    500: "The model failed.",
    501: "A package that this needs is not installed.",
    503: "The server is full or restarting; see Retry-After.",
}
_EVENTS = {
    "itemSchema": {"type": "object", "required": ["data"], "properties": {"data": {"type": "string"}}},
}
Answers = dict[int | str, dict[str, Any]]


def _errors(shape: type[BaseModel]) -> Answers:
    return {status: {"description": text, "model": shape} for status, text in _CASES.items()}


ERRORS, ELEVENLABS_ERRORS = _errors(ErrorAnswer), _errors(ElevenLabsAnswer)
DETAIL_ERRORS, TTS_ERRORS = _errors(DetailAnswer), _errors(TtsError)
_BINARY = {"schema": {"type": "string", "format": "binary"}}
PCM: Answers = {
    200: {"description": "16-bit samples as they are made.", "content": {"audio/pcm": _BINARY}},
}
AUDIO: Answers = {
    200: {
        "description": "Audio as it is made.",
        "content": dict.fromkeys(
            ("audio/mpeg", "audio/ogg", "audio/wav", "audio/pcm", "audio/basic", "audio/x-alaw-basic"), _BINARY
        ),
    }
}
AUDIO_OR_EVENTS: Answers = {
    200: {
        "description": "Audio as it is made, or events that carry it.",
        "content": {
            **dict.fromkeys(("audio/mpeg", "audio/ogg", "audio/aac", "audio/flac", "audio/wav", "audio/pcm"), _BINARY),
            "text/event-stream": _EVENTS,
        },
    }
}
TIMED: Answers = {
    200: {
        "description": "Audio in base64, and the seconds of each character.",
        "content": {"application/json": {"schema": {"type": "object", "required": ["audio_base64", "alignment"]}}},
    }
}
TIMED_STREAM: Answers = {
    200: {
        "description": "The same, a line of JSON for each piece of audio.",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
}
CHAT_OR_EVENTS: Answers = {
    200: {
        "description": "A whole answer, or events that carry it.",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/event-stream": _EVENTS,
        },
    }
}
