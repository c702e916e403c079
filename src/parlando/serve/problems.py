"""Errors as answers: ONE table from the tree of errors to a status, and the shapes that protocols give to it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi.exceptions import ValidationException
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope
from starlette.websockets import WebSocketClose

from parlando.core import errors

INTERNAL = "something failed in the server; its log says what, under this request's id"


class InternalError(errors.ParlandoError):
    """Something failed that nobody foresaw: what it was is its cause, and in the log."""


STATUSES: dict[type[Exception], tuple[int, str]] = {
    errors.TextError: (400, "invalid_text"),
    errors.AudioError: (400, "invalid_audio"),
    errors.VoiceNotFoundError: (404, "voice_not_found"),
    errors.ModelNotFoundError: (404, "model_not_found"),
    errors.FileMissingError: (404, "not_found"),
    errors.TooLargeError: (413, "too_large"),
    errors.PromptTooLongError: (400, "prompt_too_long"),
    errors.InputError: (400, "invalid_input"),
    errors.ConfigError: (400, "invalid_value"),
    errors.AccessError: (401, "invalid_api_key"),
    errors.NotYoursError: (403, "not_yours"),
    errors.ForeignPageError: (403, "foreign_page"),
    errors.RateLimitError: (429, "rate_limit_exceeded"),
    errors.BusyError: (503, "overloaded"),
    errors.EngineClosedError: (503, "restarting"),
    errors.CancelledError: (503, "cancelled"),
    errors.MissingDependencyError: (501, "not_installed"),
    errors.GenerationError: (500, "generation_failed"),
    errors.TextModelError: (502, "text_model_failed"),
    InternalError: (500, "internal_error"),
    TimeoutError: (408, "timeout"),
}
HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 408: "timeout", 413: "too_large"}
KINDS = {401: "authentication_error", 429: "rate_limit_error", 404: "not_found_error"}
# Of a form, in the words of the library that reads it, to which it is a 400.
LARGE_FIELD = re.compile(r"(?:Part|Field) exceeded maximum size")
# Of a place in a body: where it was looked for, and names of alternatives.
NO_FIELD = re.compile(r"(?:body|query|path|str)$|list\[")
SERVER_ERROR, SEE_OTHER = 500, 303
UNREADABLE = re.compile(r"[^\w.,:;()'/=-]+", re.ASCII)  # in an address, where a space would be %20
LONGEST_ADDRESS = 500
POLICY = 1008  # of a WebSocket's closing codes


@dataclass(frozen=True)
class Problem:
    """What went wrong, before a protocol gives it a shape; ``param`` names the field of the request."""

    status: int
    code: str
    message: str
    param: str | None = None
    retry_after_seconds: float | None = None
    more_headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """OpenAI's class of errors."""
        return KINDS.get(self.status, "server_error" if self.status >= SERVER_ERROR else "invalid_request_error")

    @property
    def headers(self) -> dict[str, str]:
        """Retry-After, where waiting helps; how to identify, where a key is missing."""
        named = {**self.more_headers, **({"www-authenticate": "Bearer"} if self.status == 401 else {})}
        if self.retry_after_seconds is not None:
            named["retry-after"] = str(max(1, math.ceil(self.retry_after_seconds)))
        return named


def problem_of(error: BaseException) -> Problem:
    """The problem that an error is; what is not in the table is a 500 whose details stay in the log."""
    if isinstance(error, ValidationException):
        return _invalid(error)
    if isinstance(error, HTTPException):
        status = 413 if LARGE_FIELD.match(str(error.detail)) else error.status_code
        code = HTTP_CODES.get(status, "http_error")
        return Problem(status, code, str(error.detail), more_headers=error.headers or {})
    for kind in type(error).__mro__:
        if kind in STATUSES:
            status, code = STATUSES[kind]
            wait_seconds = getattr(error, "retry_after_seconds", 1.0 if status == 503 else None)
            return Problem(status, code, str(error), retry_after_seconds=wait_seconds)
    return Problem(500, "internal_error", INTERNAL)


def _invalid(error: ValidationException) -> Problem:
    """What is wrong with a body, without what was sent: of several things the innermost, for that is the alternative
    that was meant."""
    first = max(error.errors(), key=lambda each: len(each["loc"]))
    place = [str(part) for part in first["loc"] if not NO_FIELD.match(str(part))]
    param = ".".join(place) or None
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        param, message = None, f"the body is not JSON: {first.get('ctx', {}).get('error', message)}"
    return Problem(400, "invalid_value", f"{param}: {message}" if param else message, param)


Shape = Callable[[Problem], dict[str, Any]]


def openai_shape(problem: Problem) -> dict[str, Any]:
    """The body of OpenAI's errors."""
    return {
        "error": {"message": problem.message, "type": problem.kind, "param": problem.param, "code": problem.code},
    }


def elevenlabs_shape(problem: Problem) -> dict[str, Any]:
    """The body of ElevenLabs' errors."""
    return {"detail": {"status": problem.code, "message": problem.message}}


def detail_shape(problem: Problem) -> dict[str, Any]:
    """The body of FastAPI's own errors, as CosyVoice's server has them."""
    return {"detail": problem.message}


def tts_shape(problem: Problem) -> dict[str, Any]:
    """The same for ``POST /tts``, whose clients look at a status and an error."""
    return {"status": "error", "error": problem.message, "detail": problem.message}


# Path prefixes and their shapes; the longest that fits is taken.
SHAPES: dict[str, Shape] = {
    "/": openai_shape,
    **dict.fromkeys(("/v1/text-to-speech", "/v1/speech-to-speech", "/v1/voice-changer"), elevenlabs_shape),
    **dict.fromkeys(("/v1/voices", "/v2/voices", "/v1/user"), elevenlabs_shape),
    "/inference_": detail_shape,
    "/tts": tts_shape,
}


def answer(problem: Problem, scope: Scope) -> Response:
    """A problem as the response that clients of this path expect."""
    prefix = max((prefix for prefix in SHAPES if scope["path"].startswith(prefix)), key=len, default="/")
    # In ASCII, for a message may quote characters that UTF-8 has no bytes for.
    body = json.dumps(SHAPES[prefix](problem))
    if _takes_anything_for_sound(scope):
        address = "error:" + UNREADABLE.sub("_", f"{problem.status} {problem.message}")
        headers = {**problem.headers, "location": address[:LONGEST_ADDRESS]}
        return Response(body, SEE_OTHER, headers, "application/json")
    return Response(body, problem.status, problem.headers, "application/json")


def _takes_anything_for_sound(scope: Scope) -> bool:
    """Whether this is CosyVoice's published client, which looks at no status and writes any body into its file.

    It fails, and shows why, where it is sent on to an address of a kind that its library does not know.
    """
    agent = dict(scope["headers"]).get(b"user-agent", b"")
    by_them = scope.get("method") == "GET" and agent.startswith(b"python-requests/")
    return by_them and scope["path"].startswith("/inference_")


def refusal(problem: Problem, scope: Scope) -> Response | WebSocketClose:
    """A problem as the answer to a request, or to a WebSocket's handshake, before it is accepted."""
    if scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", ()):
        return answer(problem, scope)
    return WebSocketClose(POLICY, problem.message[:100])
