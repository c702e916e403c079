"""What a voice sounds like: ``GET /v1/audio/voices/{name}/sample``, the same short sentence at every asking."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from parlando.audio.formats import FORMATS
from parlando.serve.call import call_of
from parlando.serve.openapi import AUDIO, ERRORS
from parlando.serve.service import Service, Utterance
from parlando.serve.streamed import Streamed

FORMAT, SEED = "mp3", 1
SENTENCES = {
    "en": "Hello! This is how I sound. What would you like to hear?",
    "zh": "你好！这就是我的声音。你想听什么呢？",
    "ja": "こんにちは。これが私の声です。何を聞きたいですか。",
    "ko": "안녕하세요! 이것이 제 목소리입니다. 무엇을 듣고 싶으세요?",
}


def build_router(service: Service) -> APIRouter:
    """The route that speaks a sample of a voice, for this service."""
    router = APIRouter(tags=["voices"])
    run = secrets.token_hex(8)  # another run may have another model behind the same names

    @router.get("/v1/audio/voices/{name}/sample", responses={**AUDIO, **ERRORS}, response_class=Response)
    async def sample(name: str, request: Request, if_none_match: Annotated[str, Header()] = "") -> Response:
        """A voice's sample as mp3, made as it is asked for and then kept by whoever asked."""
        caller = call_of(request.scope).caller
        voice = service.voices.find(service.host(None), name, caller)
        # Of the whole card: a voice that was deleted and made again has the same version, and may have the same sound.
        made = hashlib.sha256(repr(voice.card).encode()).hexdigest()[:16]
        headers = {"etag": f'"{run}-{made}"', "cache-control": "private, no-cache"}
        if headers["etag"] in if_none_match:
            return Response(status_code=304, headers=headers)
        text = SENTENCES.get(voice.language, SENTENCES["en"])
        speaking = service.open(Utterance(text, voice.name, options={"seed": SEED}), FORMAT, caller)
        stall_seconds = service.config.limits.stall_seconds
        return Streamed(speaking.stream, FORMATS[FORMAT].media_type, headers, stall_seconds=stall_seconds)

    return router
