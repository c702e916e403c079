"""What a recording says, in another voice: ``POST /v1/audio/conversions``, where the model can."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, UploadFile
from pydantic import Field
from starlette.responses import Response

from parlando.audio.formats import FORMATS
from parlando.serve.asking import begin
from parlando.serve.bodies import FormBody, heed
from parlando.serve.openapi import AUDIO, ERRORS
from parlando.serve.schemas import AudioName
from parlando.serve.service import Service, Utterance
from parlando.serve.streamed import Streamed
from parlando.serve.voices import Recording

Name = Annotated[str, Field(max_length=256)]


class ConversionForm(FormBody):
    """A form of ``POST /v1/audio/conversions``."""

    file: UploadFile = Field(description="The recording to say in another voice.")
    voice: Name | None = None
    model: Name | None = None
    speed: float = Field(default=1.0, ge=0.25, le=4.0)
    response_format: AudioName = "mp3"


def build_router(service: Service) -> APIRouter:
    """The route that converts a recording, for this service."""
    router = APIRouter(tags=["voices"])

    @router.post("/v1/audio/conversions", responses={**AUDIO, **ERRORS}, response_class=Response)
    async def convert(
        form: Annotated[ConversionForm, Form(media_type="multipart/form-data")], request: Request
    ) -> Response:
        """Say what a recording says, as it says it, in another voice; the answer begins with the first sound."""
        heed(form, request)
        host = service.converter(form.model)
        wanted = Utterance(Recording(await form.file.read()), form.voice, form.model or host.name, speed=form.speed)
        speaking = begin(service, request, wanted, form.response_format)
        media_type, headers = FORMATS[form.response_format].media_type, {"x-sample-rate": str(speaking.sample_rate)}
        return Streamed(speaking.stream, media_type, headers, stall_seconds=service.config.limits.stall_seconds)

    return router
