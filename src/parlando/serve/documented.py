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


_CASES = {
    400: "Something in the request is wrong; the message says what.",
    401: "The API key is missing or not known.",
    404: "No model, voice or page of that name.",
    408: "The body did not come in time.",
    413: "The body, the text or the audio is too large.",
    429: "This caller asks too often; see Retry-After.",
    500: "The model failed.",
    501: "A package that this needs is not installed.",
    503: "The server is full or restarting; see Retry-After.",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "model": ErrorAnswer} for status, text in _CASES.items()
}
_EVENTS = {
    "itemSchema": {"type": "object", "required": ["data"], "properties": {"data": {"type": "string"}}},
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
AUDIO_OR_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Audio as it is made, or events that carry it.",
        "content": {
            **dict.fromkeys(("audio/mpeg", "audio/ogg", "audio/aac", "audio/flac", "audio/wav", "audio/pcm"), _BINARY),
            "text/event-stream": _EVENTS,
        },
    }
}
CHAT_OR_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A whole answer, or events that carry it.",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/event-stream": _EVENTS,
        },
    }
}
