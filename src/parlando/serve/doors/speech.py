"""OpenAI's speech: ``POST /v1/audio/speech``, in every format as it is made, and ``GET /v1/models``."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from parlando.audio.containers import media_type_of
from parlando.core.errors import ModelNotFoundError, ParlandoError
from parlando.serve.alignment import reading_of
from parlando.serve.asking import begin
from parlando.serve.bodies import heed
from parlando.serve.call import call_of
from parlando.serve.livetext import pieces_of
from parlando.serve.openapi import AUDIO_OR_EVENTS, ERRORS
from parlando.serve.problems import openai_shape, problem_of
from parlando.serve.schemas import SpeechFields, SpeechRequest, SpeechUsage, decode_recording
from parlando.serve.sentences import SpeechEvents
from parlando.serve.service import Making, Service, Speaking, Utterance
from parlando.serve.streamed import Streamed, collect
from parlando.serve.whole import whole_file
from parlando.text.alignment import WordFinder

EVENT_STREAM = "text/event-stream"
ABOUT = "reads text aloud; in a chat it speaks the last user message, and writes no answer of its own"


def _making(service: Service, body: SpeechRequest, caller: str, whole: bool) -> str | Making:
    """What becomes of the chunks: events' pieces, a finished file, or a stream of the format."""
    if body.stream_format == "sse":
        rate = body.sample_rate or service.host(body.model).synthesizer.sample_rate
        finder = None
        if body.words:
            finder = WordFinder(body.input, reading_of(service, utterance_of(body, body.input), caller))
        return pieces_of(body.response_format, rate, finder=finder)
    return whole_file(body.response_format) if whole else body.response_format


def build_router(service: Service) -> APIRouter:
    """The routes of speech and of models, for this service."""
    router = APIRouter(tags=["OpenAI"])
    stall_seconds = service.config.limits.stall_seconds
    created = int(time.time())

    @router.post("/v1/audio/speech", responses={**AUDIO_OR_EVENTS, **ERRORS}, response_class=Response)
    async def speak(body: SpeechRequest, request: Request) -> Response:
        """Speak a text; the answer begins with the first sound, or with ``"stream": false`` is a finished file."""
        heed(body, request)
        whole = body.stream is False and body.stream_format == "audio"
        making = _making(service, body, call_of(request.scope).caller, whole)
        speaking = begin(service, request, utterance_of(body, body.input), making)
        headers = {"x-seed": str(speaking.seed), "x-sample-rate": str(speaking.sample_rate)}
        if body.stream_format == "sse":
            told = partial(events, speaking, body.sentences)
            return Streamed(speaking.stream, EVENT_STREAM, headers, told, stall_seconds)
        media_type = media_type_of(body.response_format, whole=whole)
        if body.response_format == "pcm":
            media_type = f"{media_type};rate={speaking.sample_rate}"
        if whole:
            return Response(await collect(request, speaking.stream), media_type=media_type, headers=headers)
        return Streamed(speaking.stream, media_type, headers, stall_seconds=stall_seconds)

    def card(name: str) -> dict[str, Any]:
        basics = {"id": name, "object": "model", "created": created, "owned_by": "parlando", "description": ABOUT}
        spoken_by = service.models[name]
        return basics if spoken_by == name else {**basics, "stands_for": spoken_by}

    @router.get("/v1/models")
    async def models() -> dict[str, Any]:
        """Every name of a model that may be asked for."""
        return {"object": "list", "data": [card(name) for name in service.models]}

    @router.get("/v1/audio/models")
    async def audio_models() -> dict[str, Any]:
        """The same names, as Open WebUI asks for them."""
        return {"models": [{"id": name, "name": name} for name in service.models]}

    @router.get("/v1/models/{name:path}", responses=ERRORS)
    async def model(name: str) -> dict[str, Any]:
        """One name of a model that may be asked for."""
        if name not in service.models:
            raise ModelNotFoundError(name, service.models)
        return card(name)

    return router


def utterance_of(body: SpeechFields, text: str) -> Utterance:
    """A text, spoken as a body asks for.

    Raises:
        AudioError: its reference is not base64.
    """
    recording = decode_recording(body.ref_audio, body.ref_text, "ref_audio") if body.ref_audio is not None else None
    return Utterance(
        text=text,
        voice=recording or body.voice,
        model=body.model,
        language=body.language,
        instructions=body.instructions,
        speed=body.speed,
        sample_rate=body.sample_rate,
        options=body.options(),
    )


async def events(speaking: Speaking, with_sentences: bool = False) -> AsyncIterator[bytes]:
    """OpenAI's events, and those of words and ``with_sentences``; an ``error`` ends a stream that fails on its way."""
    told, begun = SpeechEvents(with_sentences), False
    try:
        while pieces := await speaking.stream.batch():
            for message in told.of(pieces):
                yield event(message)
                begun = True
    except ParlandoError as error:
        if not begun:
            raise
        yield event({"type": "error", **openai_shape(problem_of(error))})
        return
    yield event({"type": "speech.audio.done", "usage": usage(speaking).model_dump()})


def usage(speaking: Speaking) -> SpeechUsage:
    """What a request took, once it is over."""
    stats = speaking.stats
    total = stats.prompt_tokens + stats.output_tokens
    return SpeechUsage(input_tokens=stats.prompt_tokens, output_tokens=stats.output_tokens, total_tokens=total)


def event(data: dict[str, Any] | str) -> bytes:
    """One server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return f"data: {text}\n\n".encode("ascii")
