"""What a recording says, in another voice: ``POST /v1/audio/conversions``, where the model can."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, UploadFile
from pydantic import Field
from starlette.responses import Response

from parlando.audio.formats import FORMATS
from parlando.core.errors import InputError
from parlando.serve.call import call_of
from parlando.serve.documented import AUDIO, ERRORS
from parlando.serve.schemas import AudioName, Strict
from parlando.serve.service import Service, Utterance
from parlando.serve.streamed import Streamed
from parlando.serve.voices import Recording


class ConversionForm(Strict):
    """A form of ``POST /v1/audio/conversions``."""

    file: UploadFile = Field(description="The recording: wav, flac, mp3, ogg, m4a …, of any length.")
    voice: str | None = Field(default=None, max_length=128)
    model: str | None = Field(default=None, max_length=256)
    speed: float = Field(default=1.0, ge=0.25, le=4.0)
    response_format: AudioName = "mp3"


def build_router(service: Service) -> APIRouter:
    """The door."""
    router = APIRouter(tags=["voices"])

    @router.post("/v1/audio/conversions", responses={**AUDIO, **ERRORS}, response_class=Response)
    async def convert(
        form: Annotated[ConversionForm, Form(media_type="multipart/form-data")], request: Request
    ) -> Response:
        """Say what a recording says, as it says it, in another voice; the answer begins with the first sound."""
        model = service.host(form.model).synthesizer.model
        if model.converter is None:
            raise InputError(f"model '{model.name}' cannot convert voices; serve one that can, such as cosyvoice-mini")
        recording = Recording(await form.file.read())
        wanted = Utterance(recording, form.voice, form.model, speed=form.speed)
        speaking = service.open(wanted, form.response_format, call_of(request.scope).caller)
        headers = {"x-sample-rate": str(speaking.sample_rate)}
        media_type = FORMATS[form.response_format].media_type
        return Streamed(speaking.stream, media_type, headers, stall_seconds=service.config.limits.stall_seconds)

    return router
