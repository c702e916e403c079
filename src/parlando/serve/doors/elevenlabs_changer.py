"""ElevenLabs' conversion of recordings, ``/v1/speech-to-speech/{voice}``, which newer clients call voice-changer."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Request
from starlette.responses import Response

from parlando.serve.asking import begin
from parlando.serve.bodies import heed
from parlando.serve.doors.elevenlabs import streamed
from parlando.serve.elevenlabs import DEFAULT_OUTPUT, ChangeForm, Output, OutputName, conversion_of
from parlando.serve.openapi import AUDIO, ELEVENLABS_ERRORS
from parlando.serve.service import Service

PATHS = ("/v1/speech-to-speech/{voice_id}", "/v1/voice-changer/{voice_id}")


def build_router(service: Service) -> APIRouter:
    """The routes that convert a recording, under both names, for this service."""
    router = APIRouter(tags=["ElevenLabs"])

    async def convert(
        voice_id: str,
        form: Annotated[ChangeForm, File()],
        request: Request,
        output_format: OutputName = DEFAULT_OUTPUT,
    ) -> Response:
        """Say in this voice what a recording says, as it says it, for models that can."""
        heed(form, request)
        output = Output.of(output_format)
        wanted = conversion_of(service, voice_id, form, await form.audio.read(), output)
        return streamed(service, begin(service, request, wanted, output.making), output)

    for path in (path + suffix for path in PATHS for suffix in ("", "/stream")):
        router.post(path, responses={**AUDIO, **ELEVENLABS_ERRORS}, response_class=Response)(convert)
    return router
