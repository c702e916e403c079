"""A response that is sent as it is made, ends with its reader, and becomes an error answer while nothing was sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from parlando.core.errors import CancelledError, ParlandoError
from parlando.serve.bridge import Stream
from parlando.serve.call import call_of
from parlando.serve.problems import answer

log = logging.getLogger("parlando.serve")
FAILED = 500
Body = AsyncIterator[bytes]


class Streamed(Response):
    """Sends a stream of bytes, or what ``body`` makes of a stream of anything.

    What fails before the first byte is answered in the path's own shape. Afterwards the connection is cut before the
    body's end, so that no client takes the rest for the whole; a ``body`` may end in its protocol's own way instead.
    """

    def __init__(
        self,
        stream: Stream[Any],
        media_type: str,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Body] | None = None,
        stall_seconds: float = 30.0,
    ) -> None:
        self.status_code, self.media_type, self.background = 200, media_type, None
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no", **(headers or {})})
        self._stream, self._stall_seconds = stream, stall_seconds
        self._body = body or self._plain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        watcher = asyncio.create_task(leave_with_reader(receive, self._stream))
        try:
            await self._respond(scope, receive, send)
        finally:
            watcher.cancel()
            self._stream.cancel()

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        call, body = call_of(scope), self._body()
        try:
            first = await anext(body, b"")
        except Exception as error:
            problem = call.fail(error)
            if problem.status == FAILED:
                log.error("a stream failed before its first byte", exc_info=error)
            await answer(problem, scope)(scope, receive, send)
            return
        start: Message = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        try:
            await self._send(send, first)
            async for part in body:
                await self._send(send, part)
        except (ParlandoError, TimeoutError, OSError) as error:
            call.note(error)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, part: bytes) -> None:
        async with asyncio.timeout(self._stall_seconds):
            await send({"type": "http.response.body", "body": part, "more_body": True})

    async def _plain(self) -> Body:
        while parts := await self._stream.batch():
            yield b"".join(parts)


async def leave_with_reader(receive: Receive, stream: Stream[Any]) -> None:
    """Cancel the stream when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.cancel()


async def collect(request: Request, stream: Stream[bytes]) -> bytes:
    """All bytes of a stream, for answers that must be whole.

    Raises:
        CancelledError: the client has gone.
        ParlandoError: what the stream raised.
    """
    watcher = asyncio.create_task(leave_with_reader(request.receive, stream))
    try:
        parts = [part async for part in stream]
    finally:
        watcher.cancel()
    if stream.cancellation.cancelled and await request.is_disconnected():
        raise CancelledError("the client has gone")
    return b"".join(parts)
