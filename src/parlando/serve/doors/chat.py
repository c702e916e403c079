"""OpenAI's chat with audio output: ``POST /v1/chat/completions`` speaks the last message."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from parlando.core.errors import ParlandoError
from parlando.serve.asking import begin
from parlando.serve.bodies import heed
from parlando.serve.conversation import utterances_of
from parlando.serve.doors.speech import EVENT_STREAM, event
from parlando.serve.openapi import CHAT_OR_EVENTS, ERRORS
from parlando.serve.problems import openai_shape, problem_of
from parlando.serve.schemas import ChatRequest
from parlando.serve.service import Service, Speaking, Utterance
from parlando.serve.streamed import Streamed, collect
from parlando.serve.whole import whole_file

KEPT_SECONDS = 3600
NOTE = "no text model runs here: the last user message is read aloud, and repeated as the text of the answer"
HEADERS = {"x-parlando-note": NOTE}


@dataclass(frozen=True)
class Reply:
    """One answer on its way: its ids, what is said in it, and the stream."""

    id: str
    created: int
    model: str
    transcript: str
    speaking: Speaking

    def usage(self) -> dict[str, int]:
        """In the chat's own words."""
        stats = self.speaking.stats
        total = stats.prompt_tokens + stats.output_tokens
        return {
            "prompt_tokens": stats.prompt_tokens,
            "completion_tokens": stats.output_tokens,
            "total_tokens": total,
        }

    def chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        """One event of a streamed answer."""
        return self._event([{"index": 0, "delta": delta, "finish_reason": finish}])

    def usage_chunk(self) -> bytes:
        """The event that only says what it took."""
        return self._event([], usage=self.usage())

    def _event(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        head = {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model}
        return event({**head, "choices": choices, **more})

    def whole(self, audio: bytes) -> dict[str, Any]:
        """An answer in one piece."""
        data = base64.b64encode(audio).decode("ascii")
        expires = self.created + KEPT_SECONDS
        clip = {"id": f"audio_{self.id}", "data": data, "transcript": self.transcript, "expires_at": expires}
        message = {"role": "assistant", "content": self.transcript, "audio": clip}
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": self.usage(),
            "note": NOTE,
        }


def build_router(service: Service) -> APIRouter:
    """The route that speaks a chat, for this service."""
    router = APIRouter(tags=["OpenAI"])

    @router.post("/v1/chat/completions", responses={**CHAT_OR_EVENTS, **ERRORS}, response_model=None)
    async def chat(body: ChatRequest, request: Request) -> Response:
        """Speak the last user message; streamed audio is 16-bit PCM unless another format is asked for."""
        heed(body, request)
        synthesizer = service.host(body.model).synthesizer
        utterances = utterances_of(body, synthesizer.voices, synthesizer.model.default_voice or None)
        reply = begun(service, request, body, utterances)
        if not body.stream:
            return JSONResponse(reply.whole(await collect(request, reply.speaking.stream)), headers=HEADERS)
        with_usage = body.stream_options is not None and body.stream_options.include_usage
        stall_seconds = service.config.limits.stall_seconds
        return Streamed(
            reply.speaking.stream, EVENT_STREAM, HEADERS, lambda: events(reply, with_usage), stall_seconds=stall_seconds
        )

    return router


def begun(service: Service, request: Request, body: ChatRequest, utterances: list[Utterance]) -> Reply:
    """The answer, as its first sound is being made."""
    format = (body.audio.format or ("pcm16" if body.stream else "wav")).removesuffix("16")
    speaking = begin(service, request, utterances, format if body.stream else whole_file(format))
    transcript = " ".join(str(utterance.text).strip() for utterance in utterances)
    return Reply(f"chatcmpl-{secrets.token_hex(12)}", int(time.time()), speaking.model, transcript, speaking)


async def events(reply: Reply, with_usage: bool) -> AsyncIterator[bytes]:
    """OpenAI's chunks, with audio as base64; an ``error`` ends a stream that fails on its way."""
    delta: dict[str, Any] = {"role": "assistant", "content": ""}
    heard = False
    try:
        while parts := await reply.speaking.stream.batch():
            audio = {"id": f"audio_{reply.id}", "data": base64.b64encode(b"".join(parts)).decode("ascii")}
            yield reply.chunk({**delta, "audio": audio if heard else {**audio, "transcript": reply.transcript}})
            delta, heard = {}, True
    except ParlandoError as error:
        if not heard:
            raise
        yield event(openai_shape(problem_of(error)))
        return
    yield reply.chunk({}, "stop")
    if with_usage:
        yield reply.usage_chunk()
    yield event("[DONE]")
