"""What stands before Ray's proxy: it reads whose voice is asked for, and answers for servers that died.

Ray routes before it has read a body, and by a header; so the body's beginning is read here, and handed on again.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from hashlib import sha256

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parlando.core.errors import EngineClosedError
from parlando.serve.gate import REQUEST_ID
from parlando.serve.problems import problem_of, refusal
from parlando.serve.replicas.voicekey import voice_key

KEY_HEADER, ID_HEADER = "x-session-id", "x-request-id"
NAME_HEADER = b"x-parlando-replica"
ROUTING = (KEY_HEADER, ID_HEADER)
MOST_BYTES = 2**20  # of a body: what it takes to hold a clip of ten seconds
MOST_SECONDS = 1.0
READ = ("POST", "GET", "PUT")


def middlewares() -> list[Middleware]:
    """Called by Ray's proxy, which is told so by ``RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH``."""
    return [Middleware(Front)]


class Front:
    """The outermost layer at the one address."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand one request or one WebSocket on to whoever has its voice."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = MutableHeaders(scope=scope)
        if not REQUEST_ID.fullmatch(headers.get(ID_HEADER, "").encode("latin-1")):
            headers[ID_HEADER] = secrets.token_hex(8)
        read: list[Message] = []
        if scope["type"] == "http" and scope["method"] in READ and KEY_HEADER not in headers:
            read = await _beginning(receive)
        body = b"".join(message.get("body", b"") for message in read)
        key = headers.get(KEY_HEADER) or await voice_key(scope, body)
        scope = {**scope, "headers": [*_without_routing(scope), (ID_HEADER.encode(), headers[ID_HEADER].encode())]}
        if key is not None:
            digest = sha256(key.encode("utf-8", "replace")).hexdigest()
            scope["headers"].append((KEY_HEADER.encode(), digest.encode()))
        answer = _Answer(send)
        await self._app(scope, _again(read, receive), answer)
        if scope["type"] == "http" and not answer.begun:
            lost = EngineClosedError("the server that had this request is gone; ask again")
            await refusal(problem_of(lost), scope)(scope, receive, send)


def _without_routing(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The headers but those that Ray routes by, which are the client's to choose in no spelling."""
    return [each for each in scope["headers"] if each[0].lower().replace(b"_", b"-").decode("latin-1") not in ROUTING]


class _Answer:
    """Sends on; knows whether there was anything, and lets the id of a request pass once."""

    def __init__(self, send: Send) -> None:
        self.begun, self._send = False, send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            seen = {
                name.lower(): (name, value)
                for name, value in message.get("headers", ())
                if name.lower() == b"x-request-id"
            }
            others = [each for each in message.get("headers", ()) if each[0].lower() != b"x-request-id"]
            message = {**message, "headers": [*others, *seen.values()]}
        await self._send(message)


class Signed:
    """An application whose answers say which of several made them."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self._app, self._signature = app, (NAME_HEADER, name.encode("ascii"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or one WebSocket."""

        async def signed(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                message = {**message, "headers": [*message.get("headers", ()), self._signature]}
            await send(message)

        await self._app(scope, receive, signed)


async def _beginning(receive: Receive) -> list[Message]:
    """The messages of a body, up to as many bytes as hold a voice, if they are there soon."""
    messages: list[Message] = []
    try:
        async with asyncio.timeout(MOST_SECONDS):
            while True:
                messages.append(await receive())
                size = sum(len(message.get("body", b"")) for message in messages)
                if not messages[-1].get("more_body") or size > MOST_BYTES:
                    break
    except TimeoutError:
        pass
    return messages


def _again(read: list[Message], receive: Receive) -> Receive:
    """What was read already, and then what comes."""
    kept = deque(read)

    async def received() -> Message:
        return kept.popleft() if kept else await receive()

    return received
