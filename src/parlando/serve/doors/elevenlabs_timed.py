"""ElevenLabs' speech with the times of its characters: ``…/with-timestamps`` and ``…/stream/with-timestamps``."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from parlando.result import SaidSentences
from parlando.serve.alignment import as_json, reading_of
from parlando.serve.asking import begin
from parlando.serve.bodies import heed
from parlando.serve.call import call_of
from parlando.serve.elevenlabs import DEFAULT_OUTPUT, Output, OutputName, SpeechBody, utterance_of
from parlando.serve.openapi import ELEVENLABS_ERRORS, TIMED, TIMED_STREAM
from parlando.serve.service import Service, Speaking
from parlando.serve.streamed import Body, Streamed, leave_with_reader
from parlando.text.alignment import Alignment, Timed

PATH = "/v1/text-to-speech/{voice_id}"
LINES = "application/x-ndjson"


@dataclass(frozen=True)
class Part:
    """Audio, and the times of the sentence that ends with it: as it was written, and as it was read."""

    data: bytes
    written: Timed | None = None
    read: Timed | None = None

    def line(self) -> bytes:
        """As a line of JSON."""
        return json.dumps(answer([self])).encode() + b"\n"


def build_router(service: Service) -> APIRouter:
    """Both routes, whole and as a stream, for this service."""
    router = APIRouter(tags=["ElevenLabs"])

    def begun(
        voice_id: str, body: SpeechBody, request: Request, output_format: str
    ) -> tuple[Speaking, AsyncIterator[Part]]:
        heed(body, request)
        output = Output.of(output_format)
        wanted = utterance_of(voice_id, body, output)
        alignment = Alignment(body.text, reading_of(service, wanted, call_of(request.scope).caller))
        speaking = begin(service, request, wanted, output.making)
        return speaking, parts_of(service, speaking, alignment)

    @router.post(PATH + "/with-timestamps", responses={**TIMED, **ELEVENLABS_ERRORS}, response_class=Response)
    async def whole(
        voice_id: str, body: SpeechBody, request: Request, output_format: OutputName = DEFAULT_OUTPUT
    ) -> Response:
        """Speak a text; the answer is whole, with the seconds of each character."""
        speaking, parts = begun(voice_id, body, request, output_format)
        watcher = asyncio.create_task(leave_with_reader(request.receive, speaking.stream))
        try:
            told = answer([part async for part in parts])
        finally:
            watcher.cancel()
            speaking.stream.cancel()
        return JSONResponse(told, headers={"x-seed": str(speaking.seed)})

    @router.post(
        PATH + "/stream/with-timestamps", responses={**TIMED_STREAM, **ELEVENLABS_ERRORS}, response_class=Response
    )
    async def stream(
        voice_id: str, body: SpeechBody, request: Request, output_format: OutputName = DEFAULT_OUTPUT
    ) -> Response:
        """Speak a text; a line of JSON for each piece of audio, with a sentence's times where it ends."""
        speaking, parts = begun(voice_id, body, request, output_format)

        async def lines() -> Body:
            async for part in parts:
                if part.data or part.written:
                    yield part.line()

        headers = {"x-seed": str(speaking.seed)}
        return Streamed(speaking.stream, LINES, headers, lines, service.config.limits.stall_seconds)

    return router


async def parts_of(service: Service, speaking: Speaking, alignment: Alignment) -> AsyncIterator[Part]:
    """The pieces of a stream, with the times of what they say."""
    sentences = SaidSentences()
    while pieces := await speaking.stream.batch():
        for piece in pieces:
            if (said := sentences.hear(piece.chunk)) is None:
                yield Part(piece.data)
            else:
                yield Part(piece.data, *await service.bridge.call(alignment.sentence, said))
    yield Part(b"", alignment.rest(sentences.seconds))


def answer(parts: list[Part]) -> dict[str, Any]:
    """Audio and times together, in their words."""
    written = [part.written for part in parts if part.written is not None and part.written.characters]
    read = [part.read for part in parts if part.read is not None and part.read.characters]
    return {
        "audio_base64": base64.b64encode(b"".join(part.data for part in parts)).decode("ascii"),
        "alignment": as_json(written) if written else None,
        "normalized_alignment": as_json(read) if read else None,
    }
