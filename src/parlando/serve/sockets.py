"""A WebSocket that carries JSON objects both ways, and the tasks that speak into it; they end with it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from parlando.core.errors import CancelledError, InputError
from parlando.serve.allowance import Allowance
from parlando.serve.bodies import RequestBody, heed
from parlando.serve.call import FAILED, Call, call_of
from parlando.serve.problems import Problem, problem_of
from parlando.serve.service import Service

log = logging.getLogger("parlando.serve")
NORMAL = 1000


class JsonSocket:
    """One connection. Messages are sent whole, one at a time; a reader who stalls ends it."""

    def __init__(self, socket: WebSocket, service: Service) -> None:
        self._socket, self._limits = socket, service.config.limits
        # The handshake was a request, and so has paid for the first turn.
        self.allowance = Allowance(service.budgets, self._limits, self.call.caller, prepaid=1)
        self._turn_to_send = asyncio.Lock()
        self._speakers: set[asyncio.Task[None]] = set()
        self._over = False

    @property
    def call(self) -> Call:
        """Who asks."""
        return call_of(self._socket.scope)

    async def accept(self, subprotocol: str | None = None) -> None:
        """Open the connection."""
        await self._socket.accept(subprotocol)

    async def messages(self) -> AsyncIterator[dict[str, Any] | InputError]:
        """What the client sends; an error for what is no JSON object. The end is the client's leaving."""
        while not self._over:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            yield _read(message.get("text"))

    async def send(self, message: dict[str, Any], unless: Callable[[], bool] = lambda: False) -> None:
        """Send a message, or nothing when the connection is over, or ``unless`` says so when its turn has come."""
        try:
            async with self._turn_to_send:
                if self._over or unless():
                    return
                async with asyncio.timeout(self._limits.stall_seconds):
                    await self._socket.send_text(json.dumps(message, separators=(",", ":")))
        except (TimeoutError, RuntimeError, WebSocketDisconnect) as error:
            # Nobody reads any more; the socket's own timeout closes it.
            gone = isinstance(error, WebSocketDisconnect)
            self.call.note(CancelledError("the client has gone") if gone else error)
            self._leave()

    def trouble(self, error: Exception) -> Problem:
        """What an error is to the client; the log has it, in full where the server is to blame."""
        self.call.note(error)
        known = RequestValidationError(error.errors()) if isinstance(error, ValidationError) else error
        problem = problem_of(known)
        if problem.status == FAILED:
            log.error("speech over a WebSocket failed", exc_info=error)
        return problem

    def heed(self, message: RequestBody) -> list[str]:
        """Note the fields of a message that nobody heeds, and return what is said of them."""
        return heed(message, self._socket)

    def speak(self, work: Awaitable[None]) -> None:
        """Run something that sends, as long as the connection is there."""
        task = asyncio.ensure_future(work)
        self._speakers.add(task)
        task.add_done_callback(self._spoken)

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say goodbye, once nothing is being sent."""
        async with self._turn_to_send:
            if not self._over:
                self._over = True
                await self._socket.close(code, reason[:100])

    async def hang_up(self) -> None:
        """End what still speaks, and the connection with it."""
        speakers = tuple(self._speakers)
        self._leave()
        await asyncio.gather(*speakers, return_exceptions=True)

    def _leave(self) -> None:
        self._over = True
        for task in self._speakers:
            task.cancel()

    def _spoken(self, task: asyncio.Task[None]) -> None:
        self._speakers.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.call.note(error)


def _read(text: str | None) -> dict[str, Any] | InputError:
    if text is None:
        return InputError("messages are JSON in text frames; this was a binary one")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        return InputError(f"a message is not JSON: {str(error)[:80]}")
    return message if isinstance(message, dict) else InputError("a message must be a JSON object")
