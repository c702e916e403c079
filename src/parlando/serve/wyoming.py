"""Wyoming's events and what they ask for: a line of JSON, then the data and payload whose lengths the line names."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from parlando.core.errors import InputError
from parlando.core.install import version
from parlando.serve.config import Limits
from parlando.serve.service import Service, Utterance

LONGEST_LINE_BYTES = 65_536
MAKER = {"name": "Parlando", "url": ""}


def event(type: str, data: dict[str, Any], payload: bytes = b"") -> bytes:
    """An event as it is sent."""
    body = json.dumps(data).encode() if data else b""
    lengths = {"data_length": len(body), "payload_length": len(payload)}
    line = json.dumps({"type": type, **{name: length for name, length in lengths.items() if length}}).encode()
    return line + b"\n" + body + payload


async def read_event(reader: asyncio.StreamReader, limits: Limits) -> tuple[str, dict[str, Any]] | None:
    """The next event's type and data, its payload passed over; ``None`` when the other side has gone.

    Raises:
        InputError: it cannot be read, or is too large.
        TimeoutError: the rest of it did not come in time.
    """
    try:
        line = await reader.readline()
    except ValueError as error:
        raise InputError(f"an event's line is longer than {LONGEST_LINE_BYTES} bytes") from error
    if not line.endswith(b"\n"):
        return None
    head = _object(line)
    sizes = [head.get(name) or 0 for name in ("data_length", "payload_length")]
    if not all(isinstance(size, int) and 0 <= size <= limits.max_body_bytes for size in sizes):
        raise InputError("an event's lengths must be whole numbers of bytes, and not too large")
    async with asyncio.timeout(limits.body_seconds):
        try:
            more, _ = [await reader.readexactly(size) for size in sizes]
        except asyncio.IncompleteReadError:
            return None
    data = head.get("data") or {}
    return str(head.get("type")), {**(data if isinstance(data, dict) else {}), **(_object(more) if more else {})}


def wanted(service: Service, data: dict[str, Any]) -> Utterance:
    """Who is asked to speak: a voice by name, or any that has the language.

    Raises:
        VoiceNotFoundError: there is none of that name.
    """
    voice, host = data.get("voice"), service.host(None)
    voice = voice if isinstance(voice, dict) else {}
    name, language = voice.get("name"), voice.get("language")
    if isinstance(name, str):
        return Utterance("", service.voices.resolve(host, name))
    fitting = (each.name for each in service.voices.listed(host) if each.language == language)
    return Utterance("", next(fitting, None))


def described(service: Service) -> dict[str, Any]:
    """What this server can say, in the protocol's words."""
    about = {"attribution": MAKER, "installed": True, "version": version()}
    voices = [
        {**about, "name": each.name, "description": each.description or each.name, "languages": [each.language]}
        for each in service.voices.listed(service.host(None))
        if each.stands_for is None
    ]
    program = {**about, "name": "parlando", "description": "Text in, speech out", "voices": voices}
    return {"tts": [{**program, "supports_synthesize_streaming": True}]}


def text_of(data: dict[str, Any]) -> str:
    """The words of an event.

    Raises:
        InputError: there are none.
    """
    text = data.get("text")
    if not isinstance(text, str):
        raise InputError("text: expected the words to say")
    return text


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"an event is not JSON: {str(error)[:80]}") from error
    if not isinstance(value, dict):
        raise InputError("an event must be a JSON object")
    return value
