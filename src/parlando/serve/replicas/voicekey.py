"""Whose voice a request will be spoken in, as far as its first bytes tell: what its prompt begins with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, unquote

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import Message, Scope

NAMES = ("voice", "voice_id", "spk_id", "speaker")
RECORDINGS = ("ref_audio", "prompt_audio", "prompt_wav")
AFTER_THIS = "text-to-speech"  # a voice in ElevenLabs' paths


async def voice_key(scope: Scope, body: bytes) -> str | None:
    """A key that requests in the same voice share, or nothing where none is named."""
    return _of_path(scope) or _of_fields(_query(scope)) or _of_fields(await _body_fields(scope, body))


def _of_path(scope: Scope) -> str | None:
    parts = [unquote(part) for part in scope["path"].split("/")]
    followed = AFTER_THIS in parts[:-1]
    return parts[parts.index(AFTER_THIS) + 1] or None if followed else None


def _query(scope: Scope) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(scope.get("query_string", b"").decode("latin-1")).items()}


async def _body_fields(scope: Scope, body: bytes) -> Mapping[str, Any]:
    kind = dict(scope["headers"]).get(b"content-type", b"")
    if kind.startswith((b"multipart/", b"application/x-www-form-urlencoded")):
        return await _form_fields(scope, body)
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


async def _form_fields(scope: Scope, body: bytes) -> Mapping[str, Any]:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        async with Request(dict(scope), receive).form() as form:
            return {
                name: await value.read() if isinstance(value, UploadFile) else value for name, value in form.items()
            }
    except MultiPartException:
        return {}


def _of_fields(fields: Mapping[str, Any]) -> str | None:
    recording = _first(fields, RECORDINGS)
    if recording is not None:
        return sha256(
            recording if isinstance(recording, bytes) else str(recording).encode("utf-8", "replace")
        ).hexdigest()
    voice = _first(fields, NAMES)
    if voice is None and isinstance(fields.get("audio"), dict):  # of a chat completion
        return _of_fields(fields["audio"])
    named = voice.get("id") if isinstance(voice, dict) else voice
    return str(named) if named else None


def _first(fields: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((fields[name] for name in names if fields.get(name)), None)
