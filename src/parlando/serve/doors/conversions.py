"""What a recording says, in another voice: ``POST /v1/audio/conversions``, where the model can."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, UploadFile
from starlette.responses import Response

from parlando.audio.formats import FORMATS
from parlando.core.errors import InputError
from parlando.serve.call import call_of
from parlando.serve.documented import AUDIO, ERRORS
from parlando.serve.schemas import AudioName
from parlando.serve.service import Service, Utterance
from parlando.serve.streamed import Streamed
from parlando.serve.voices import Recording

Name = Annotated[str | None, Form(max_length=256)]


def build_router(service: Service) -> APIRouter:
    """The door."""
    router = APIRouter(tags=["voices"])

    @router.post("/v1/audio/conversions", responses={**AUDIO, **ERRORS}, response_class=Response)
    async def convert(
        request: Request,
        file: UploadFile,
        voice: Name = None,
        model: Name = None,
        speed: Annotated[float, Form(ge=0.25, le=4.0, allow_inf_nan=False)] = 1.0,
        response_format: Annotated[AudioName, Form()] = "mp3",
    ) -> Response:
        """Say what a recording says, as it says it, in another voice; the answer begins with the first sound."""
        host = service.host(model)
        if host.synthesizer.model.converter is None:
            raise InputError(f"model '{host.name}' cannot convert voices; serve one that can, such as cosyvoice-mini")
        wanted = Utterance(Recording(await file.read()), voice, model, speed=speed)
        speaking = service.open(wanted, response_format, call_of(request.scope).caller)
        media_type, headers = FORMATS[response_format].media_type, {"x-sample-rate": str(speaking.sample_rate)}
        return Streamed(speaking.stream, media_type, headers, stall_seconds=service.config.limits.stall_seconds)

    return router
