"""ElevenLabs over HTTP: ``/v1/text-to-speech/{voice}`` and ``/stream``, and what clients list of voices and models.

Speech with times is in `elevenlabs_timed`, conversion in `elevenlabs_changer`, their WebSockets in `elevenlabs_live`.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from parlando.audio.formats import FORMATS
from parlando.core.errors import VoiceNotFoundError
from parlando.serve.asking import begin
from parlando.serve.bodies import heed
from parlando.serve.call import call_of
from parlando.serve.elevenlabs import DEFAULT_OUTPUT, Output, OutputName, SpeechBody, utterance_of
from parlando.serve.elevenlabs_cards import SETTINGS, model_card, own_voices, subscription_card, user_card
from parlando.serve.openapi import AUDIO, ELEVENLABS_ERRORS
from parlando.serve.service import Service, Speaking
from parlando.serve.streamed import Body, Streamed


class TheirRoute(APIRoute):
    """A route that is there for ElevenLabs' clients only; others find another one at the same path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match their clients' requests."""
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        theirs = "xi-api-key" in headers or headers.get("x-fern-sdk-name") == "elevenlabs"
        return super().matches(scope) if theirs else (Match.NONE, {})


def build_router(service: Service) -> APIRouter:
    """The routes of speech, voices, models and the account, for this service."""
    router = APIRouter(tags=["ElevenLabs"])
    listing = APIRouter(route_class=TheirRoute)
    _add_lists(router, service)
    _add_account(router, service)

    @listing.get("/v1/models", include_in_schema=False)
    async def models() -> list[dict[str, Any]]:
        """The models, for their clients; OpenAI's find another list here."""
        return [model_card(service, name) for name in service.hosts]

    @router.post("/v1/text-to-speech/{voice_id}", responses={**AUDIO, **ELEVENLABS_ERRORS}, response_class=Response)
    @router.post(
        "/v1/text-to-speech/{voice_id}/stream", responses={**AUDIO, **ELEVENLABS_ERRORS}, response_class=Response
    )
    async def speak(
        voice_id: str, body: SpeechBody, request: Request, output_format: OutputName = DEFAULT_OUTPUT
    ) -> Response:
        """Speak a text; both routes answer with the first sound."""
        heed(body, request)
        output = Output.of(output_format)
        speaking = begin(service, request, utterance_of(voice_id, body, output), output.making)
        return streamed(service, speaking, output)

    router.include_router(listing)
    return router


def streamed(service: Service, speaking: Speaking, output: Output) -> Response:
    """The answer that carries audio as it is made."""

    async def bytes_of() -> Body:
        while pieces := await speaking.stream.batch():
            if data := b"".join(piece.data for piece in pieces):
                yield data

    media_type, headers = FORMATS[output.format].media_type, {"x-seed": str(speaking.seed)}
    return Streamed(speaking.stream, media_type, headers, bytes_of, service.config.limits.stall_seconds)


def _add_lists(router: APIRouter, service: Service) -> None:
    @router.get("/v1/voices")
    async def voices(request: Request) -> dict[str, Any]:
        """All voices."""
        return {"voices": own_voices(service, call_of(request.scope).caller)}

    @router.get("/v2/voices", responses=ELEVENLABS_ERRORS)
    async def search(
        request: Request,
        search: str = "",
        page_size: Annotated[int, Query(ge=1, le=100)] = 10,
        next_page_token: Annotated[int, Query(ge=0, description="What the page before gave; the first has none.")] = 0,
    ) -> dict[str, Any]:
        """The voices that have a word in their name or description, page by page."""
        words = search.lower()
        all_voices = own_voices(service, call_of(request.scope).caller)
        found = [each for each in all_voices if words in f"{each['name']} {each['description']}".lower()]
        end = next_page_token + page_size
        has_more = end < len(found)
        return {
            "voices": found[next_page_token:end],
            "has_more": has_more,
            "total_count": len(found),
            "next_page_token": str(end) if has_more else None,
        }

    @router.get("/v1/voices/{voice_id}", responses=ELEVENLABS_ERRORS)
    async def voice(voice_id: str, request: Request) -> dict[str, Any]:
        """A voice that you may use."""
        caller = call_of(request.scope).caller
        known = {each["voice_id"]: each for each in own_voices(service, caller)}
        name = service.voices.resolve(service.host(None), voice_id, caller)
        if name not in known:
            raise VoiceNotFoundError(name, known)
        return known[name]


def _add_account(router: APIRouter, service: Service) -> None:
    @router.get("/v1/voices/settings/default")
    async def default_settings() -> dict[str, Any]:
        """What a request without settings has."""
        return SETTINGS

    @router.get("/v1/voices/{voice_id}/settings", responses=ELEVENLABS_ERRORS)
    async def settings(voice_id: str, request: Request) -> dict[str, Any]:
        """The same for every voice."""
        service.voices.resolve(service.host(None), voice_id, call_of(request.scope).caller)
        return SETTINGS

    @router.get("/v1/user")
    async def user(request: Request) -> dict[str, Any]:
        """Who asks."""
        return user_card(service, call_of(request.scope).caller)

    @router.get("/v1/user/subscription")
    async def subscription(request: Request) -> dict[str, Any]:
        """What may be asked for: nothing is counted or sold here."""
        return subscription_card(service, call_of(request.scope).caller)
