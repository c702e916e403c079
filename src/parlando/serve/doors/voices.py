"""Voices: ``GET``, ``POST`` and ``DELETE /v1/audio/voices``. Uploads name who consented."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request, UploadFile
from pydantic import Field

from parlando.core.errors import InputError
from parlando.serve.bodies import FormBody, heed
from parlando.serve.call import call_of
from parlando.serve.openapi import ERRORS
from parlando.serve.schemas import LanguageName
from parlando.serve.service import Service
from parlando.serve.voices import Listed, Recording
from parlando.serve.voicestore import LONGEST_NAME, VoiceCard

PATH = "/v1/audio/voices"


class VoiceForm(FormBody):
    """A form of ``POST /v1/audio/voices``."""

    audio_sample: UploadFile = Field(description="5 to 15 s of one speaker: wav, flac, mp3, ogg, m4a …")
    # Letters may still be in parts here; what a name may hold is refused by whoever composes it, in words of its own.
    name: str = Field(min_length=1, max_length=4 * LONGEST_NAME, examples=["Zoë"])
    type: Literal["audio_sample", "prompt"] = "audio_sample"
    text: str = Field(
        default="", max_length=4096, description="The words that are said in it, for models that need them."
    )
    consent: str = Field(min_length=1, max_length=512, description="Who allowed this voice to be used.")
    language: LanguageName = "en"
    description: str | None = Field(default=None, max_length=512)


def build_router(service: Service) -> APIRouter:
    """The routes that list, keep and forget voices, for this service."""
    router = APIRouter(tags=["voices"])

    @router.get(PATH)
    async def voices(request: Request) -> dict[str, Any]:
        """All voices you may use: the model's, presets, uploaded ones, and names that stand for one of them."""
        found = service.voices.listed(service.host(None), call_of(request.scope).caller)
        return {"object": "list", "voices": [shown(each) for each in found]}

    @router.post(PATH, status_code=201, responses=ERRORS)
    async def upload(
        form: Annotated[VoiceForm, Form(media_type="multipart/form-data")], request: Request
    ) -> dict[str, Any]:
        """Keep a voice, which is yours. The same name again makes a new version of it."""
        heed(form, request)
        if form.type == "prompt":
            raise InputError("voices are made from recordings here, not from descriptions; send an audio_sample")
        recording = Recording(await form.audio_sample.read(), form.text)
        told = form.model_dump(include={"name", "text", "consent", "language", "description"})
        card = VoiceCard(version=0, sha256=recording.sha256, seconds=0.0, created_at=time.time(), **told)
        call = call_of(request.scope)
        kept = await service.bridge.call(
            service.voices.add, service.host(None), recording, card, call.caller, call.warn
        )
        return shown(Listed(kept.name, "uploaded", kept.language, kept.description, kept))

    @router.get(PATH + "/{name}", responses=ERRORS)
    async def voice(name: str, request: Request) -> dict[str, Any]:
        """A voice that you may use."""
        return shown(service.voices.find(service.host(None), name, call_of(request.scope).caller))

    @router.delete(PATH + "/{name}", responses=ERRORS)
    async def delete(name: str, request: Request) -> dict[str, Any]:
        """Forget an uploaded voice of yours with all its versions and files."""
        await service.bridge.call(service.voices.remove, service.host(None), name, call_of(request.scope).caller)
        return {"object": "audio.voice.deleted", "id": name, "name": name, "deleted": True}

    return router


def shown(voice: Listed) -> dict[str, Any]:
    """A voice as clients see it."""
    basics = {
        "id": voice.name,
        "object": "audio.voice",
        "name": voice.name,
        "display_name": voice.display_name,
        "origin": voice.origin,
        "language": voice.language,
        "description": voice.description,
    }
    if voice.stands_for is not None:
        basics["stands_for"] = voice.stands_for
    if voice.card is None:
        return basics
    return {**asdict(voice.card), **basics, "type": "audio_sample", "created_at": int(voice.card.created_at)}
