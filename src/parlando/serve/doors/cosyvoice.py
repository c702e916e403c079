"""CosyVoice's own HTTP: five forms that answer with bare 16-bit samples, and a simple JSON ``POST /tts``."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, UploadFile
from pydantic import BaseModel, Field
from starlette.responses import Response

from parlando.serve.asking import begin
from parlando.serve.bodies import FormBody, RequestBody, heed
from parlando.serve.cosyvoice import Asked, utterance_of
from parlando.serve.openapi import DETAIL_ERRORS, PCM, TTS_ERRORS
from parlando.serve.schemas import Seed, decode_recording
from parlando.serve.service import Service
from parlando.serve.streamed import Streamed, collect
from parlando.serve.whole import whole_file


class Sft(FormBody):
    """A text, and a voice of the model."""

    tts_text: str = Field(min_length=1, description="What is to be said.")
    spk_id: str = Field(min_length=1, max_length=128, description="A voice by name.")


class Instruct(Sft):
    """A text, a voice of the model, and how to say it."""

    instruct_text: str = Field(min_length=1, max_length=4096)


class CrossLingual(FormBody):
    """A text, and a recording to follow."""

    tts_text: str = Field(min_length=1, description="What is to be said.")
    prompt_wav: UploadFile = Field(description="A recording to follow.")


class ZeroShot(CrossLingual):
    """A text, and a recording to follow whose words are known."""

    prompt_text: str = Field(min_length=1, max_length=4096)


class Instruct2(CrossLingual):
    """A text, a recording to follow, and how to say it."""

    instruct_text: str = Field(min_length=1, max_length=4096)


class TtsRequest(RequestBody):
    """A body of ``POST /tts``: a speaker, or a recording with the words in it; by default the model's own voice."""

    text: str
    speaker: str | None = Field(default=None, max_length=128)
    prompt_audio: str | None = Field(default=None, description="A recording to follow: base64, or a data: URL.")
    prompt_text: str = Field(default="", max_length=4096, description="What is said in it.")
    instruct_text: str | None = Field(default=None, max_length=4096)
    speed: float = Field(default=1.0, ge=0.25, le=4.0)
    seed: Seed | None = None


class TtsAnswer(BaseModel):
    """A whole WAV file in base64."""

    status: Literal["success"] = "success"
    audio: str
    format: str = "wav"
    sample_rate: int
    seed: int


def build_router(service: Service) -> APIRouter:
    """The five forms, each by POST and by GET, and ``/tts``, for this service."""
    router = APIRouter(tags=["CosyVoice"])

    def form(path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """At this path, by POST, and by GET with the form in its body, as their client sends it."""

        def add(handler: Callable[..., Any]) -> Callable[..., Any]:
            router.post(path, responses={**PCM, **DETAIL_ERRORS}, response_class=Response)(handler)
            router.get(path, response_class=Response, include_in_schema=False)(handler)
            return handler

        return add

    def speak(request: Request, form: FormBody, asked: Asked) -> Response:
        heed(form, request)
        asked = replace(asked, sample_rate=service.config.cosyvoice_rate or None)
        speaking = begin(service, request, utterance_of(service, asked), "pcm")
        headers = {"x-sample-rate": str(speaking.sample_rate), "x-seed": str(speaking.seed)}
        media_type = f"audio/pcm;rate={speaking.sample_rate}"
        return Streamed(speaking.stream, media_type, headers, stall_seconds=service.config.limits.stall_seconds)

    @form("/inference_sft")
    async def sft(request: Request, asked: Annotated[Sft, Form()]) -> Response:
        """Speak with a voice of the model."""
        return speak(request, asked, Asked(asked.tts_text, asked.spk_id))

    @form("/inference_zero_shot")
    async def zero_shot(request: Request, asked: Annotated[ZeroShot, File()]) -> Response:
        """Follow a recording whose words are known."""
        recording = await asked.prompt_wav.read()
        return speak(request, asked, Asked(asked.tts_text, recording=recording, recording_text=asked.prompt_text))

    @form("/inference_cross_lingual")
    async def cross_lingual(request: Request, asked: Annotated[CrossLingual, File()]) -> Response:
        """Follow a recording without its words, for models that can."""
        return speak(request, asked, Asked(asked.tts_text, recording=await asked.prompt_wav.read()))

    @form("/inference_instruct")
    async def instruct(request: Request, asked: Annotated[Instruct, Form()]) -> Response:
        """Speak as told, with a voice of the model."""
        return speak(request, asked, Asked(asked.tts_text, asked.spk_id, instructions=asked.instruct_text))

    @form("/inference_instruct2")
    async def instruct2(request: Request, asked: Annotated[Instruct2, File()]) -> Response:
        """Speak as told, following a recording."""
        recording = await asked.prompt_wav.read()
        return speak(request, asked, Asked(asked.tts_text, recording=recording, instructions=asked.instruct_text))

    @router.post("/tts", responses=TTS_ERRORS)
    async def tts(body: TtsRequest, request: Request) -> TtsAnswer:
        """Speak a text; the answer is whole."""
        heed(body, request)
        given = body.prompt_audio
        recording = None if given is None else decode_recording(given, None, "prompt_audio").audio
        asked = Asked(body.text, body.speaker, recording, body.prompt_text, body.instruct_text, body.speed, body.seed)
        speaking = begin(service, request, utterance_of(service, asked), whole_file("wav"))
        audio = base64.b64encode(await collect(request, speaking.stream)).decode("ascii")
        return TtsAnswer(audio=audio, sample_rate=speaking.sample_rate, seed=speaking.seed)

    return router
