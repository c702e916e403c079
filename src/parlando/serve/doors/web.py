"""The page at ``/``: files of the package, sent under a policy that lets them reach this server and nothing else.

Only the names found at start are served, so no path of a request reaches the disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from parlando.audio.clip import PCM_FULL_SCALE
from parlando.audio.containers import PCM_BYTES
from parlando.audio.files import encode_audio
from parlando.audio.formats import FILE_FORMATS, find_format
from parlando.core.errors import AudioError, TooLargeError
from parlando.serve.abilities import abilities_of
from parlando.serve.config import HIGHEST_RATE, LOWEST_RATE
from parlando.serve.service import Service

Rate = Annotated[int, Query(ge=LOWEST_RATE, le=HIGHEST_RATE)]
INDEX, CHAT = "index.html", "chat.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "media-src blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Asked for again each time, answered with 304 until the package changes.
    "cache-control": "no-cache",
}


@dataclass(frozen=True)
class Page:
    """One file, and the tag that says whether a browser has it already."""

    content: bytes
    media_type: str
    tag: str


def build_router(service: Service) -> APIRouter:
    """The page and its files. To speak, it asks the public routes, as any client does; two more are for it alone."""
    router = APIRouter(include_in_schema=False)
    pages = read_pages()
    abilities: dict[str, dict[str, Any]] = {}

    for path, name in (("/", INDEX), ("/chat", CHAT)):
        router.add_api_route(path, _sender(pages[name]), methods=["GET", "HEAD"])

    @router.get("/webui/models.json")
    async def models() -> dict[str, Any]:
        for name, host in service.hosts.items():
            if name not in abilities:
                abilities[name] = await service.bridge.call(abilities_of, host)
        return {"models": list(abilities.values())}

    @router.post("/v1/webui/encode")
    async def encode(request: Request, format: str, sample_rate: Rate) -> Response:
        """A file of the 16-bit samples in the body: what is heard on the page, to be kept."""
        entry = find_format(format, FILE_FORMATS)
        data = await request.body()
        if len(data) < PCM_BYTES or len(data) % PCM_BYTES:
            raise AudioError(f"{len(data)} bytes are not whole 16-bit samples; send little-endian PCM")
        most_seconds = service.config.limits.max_audio_seconds
        if len(data) > most_seconds * sample_rate * PCM_BYTES:
            raise TooLargeError(f"more than {most_seconds:g} s of audio; keep it in parts")
        samples = np.frombuffer(data, "<i2").astype(np.float32) / PCM_FULL_SCALE
        content = await service.bridge.call(encode_audio, samples, sample_rate, entry.name)
        return Response(content, media_type=entry.media_type)

    @router.api_route("/webui/{name}", methods=["GET", "HEAD"])
    async def file(name: str, request: Request) -> Response:
        if name not in pages:
            raise HTTPException(404, "the page has no such file")
        return _sent(pages[name], request)

    return router


def read_pages() -> dict[str, Page]:
    """Every file of the page, by name."""
    found = {}
    for path in files("parlando.serve").joinpath("webui").iterdir():
        media_type = MEDIA_TYPES.get(path.name[path.name.rfind(".") :])
        if media_type is not None:
            content = path.read_bytes()
            found[path.name] = Page(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:16]}"')
    return found


def _sender(page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return _sent(page, request)

    return answer


def _sent(page: Page, request: Request) -> Response:
    headers = {**HEADERS, "etag": page.tag}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if page.tag in known:
        return Response(status_code=304, headers=headers)
    return Response(page.content, media_type=page.media_type, headers=headers)
