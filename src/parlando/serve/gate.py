"""What every request passes before its door: an id, a key, a budget, a bounded body; and one line of log behind it."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parlando.core.errors import AccessError, RateLimitError
from parlando.serve.call import FAILED, Call, report
from parlando.serve.config import ServeConfig
from parlando.serve.limits import Budgets, KeyRing
from parlando.serve.metrics import Registry
from parlando.serve.origins import Origins
from parlando.serve.problems import refusal
from parlando.serve.tracing import Trace

log = logging.getLogger("parlando.serve")
REQUEST_ID = re.compile(rb"[\w.-]{1,64}", re.ASCII)
GUARDED = ("/v1/", "/v2/", "/inference_", "/tts")
KEY_PROTOCOL = "openai-insecure-api-key."
HARMLESS = ("GET", "HEAD", "OPTIONS")
TOO_LARGE, TOO_SLOW = 413, 408


class AuthMiddleware:
    """The outermost layer of the application."""

    def __init__(
        self,
        app: ASGIApp,
        keys: KeyRing,
        budgets: Budgets,
        config: ServeConfig,
        registry: Registry,
        trace: Trace | None,
    ) -> None:
        self._app, self._keys, self._budgets, self._registry, self._trace = app, keys, budgets, registry, trace
        self._limits, self._origins = config.limits, Origins(config)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or one WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        call = scope["parlando"] = self._call(scope, headers)
        observed = _observed(call, send)
        try:
            if scope["path"].startswith(GUARDED):
                if scope.get("method") not in HARMLESS:
                    self._origins.check(headers)
                call.caller = self._keys.caller(key_of(headers), call.caller)
                self._budgets.spend(call.caller)
            await self._app(scope, self._bounded(headers, receive), observed)
        except (AccessError, RateLimitError) as error:
            await refusal(call.fail(error), scope)(scope, receive, observed)
        except Exception as error:
            call.note(error)
            raise
        finally:
            self._report(scope, call)

    @staticmethod
    def _call(scope: Scope, headers: dict[bytes, bytes]) -> Call:
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        address = scope["client"][0] if scope.get("client") else "local"
        return Call(request_id, address, time.perf_counter())

    def _bounded(self, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        """The body, as long as it is no longer and no slower than allowed."""
        limit, taken, complete = self._limits.max_body_bytes, 0, False
        declared = headers.get(b"content-length", b"0")
        deadline_seconds = asyncio.get_running_loop().time() + self._limits.body_seconds

        async def bounded() -> Message:
            nonlocal taken, complete
            if complete:
                return await receive()
            if declared.isdigit() and int(declared[:20]) > limit:
                raise _too_large(limit)
            try:
                async with asyncio.timeout_at(deadline_seconds):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(TOO_SLOW, "the body did not come in time; send it at once") from None
            taken += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if taken > limit:
                raise _too_large(limit)
            return message

        return bounded

    def _report(self, scope: Scope, call: Call) -> None:
        route = getattr(scope.get("route"), "path", "other")
        report(self._registry, call, scope.get("method", "WEBSOCKET"), scope["path"], route)
        if self._trace is not None:
            self._trace(scope, call)


class SideGate:
    """The gate for doors that are not HTTP: the same keys, the same budgets, and the line of log."""

    def __init__(self, keys: KeyRing, budgets: Budgets, registry: Registry) -> None:
        self._keys, self._budgets, self._registry = keys, budgets, registry

    @contextmanager
    def call(self, method: str, path: str, address: str, key: str | None = None) -> Iterator[Call]:
        """Let a call pass; what it raises is noted and raised again.

        Raises:
            AccessError: the key is missing or not known.
            RateLimitError: the caller has asked too often.
        """
        call = Call(secrets.token_hex(8), address, time.perf_counter())
        try:
            call.caller = self._keys.caller(key, address)
            self._budgets.spend(call.caller)
            yield call
            call.status = 200
        except Exception as error:
            if call.fail(error).status == FAILED:
                log.error("a call of %s failed", path, exc_info=error)
            raise
        finally:
            report(self._registry, call, method, path, path)


def key_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The key of ``Authorization: Bearer``, of ElevenLabs' ``xi-api-key``, or among a browser's WebSocket protocols."""
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    offered = headers.get(b"sec-websocket-protocol", b"").decode("latin-1").split(",")
    in_protocol = [each.strip().removeprefix(KEY_PROTOCOL) for each in offered if each.strip().startswith(KEY_PROTOCOL)]
    return headers.get(b"xi-api-key", b"").decode("latin-1") or next(iter(in_protocol), None) or None


def _too_large(limit: int) -> HTTPException:
    return HTTPException(TOO_LARGE, f"the body is larger than {limit} bytes; send less")


def _observed(call: Call, send: Send) -> Send:
    """Send on, with the id in the headers, and take note of what is sent."""

    async def observed(message: Message) -> None:
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            # A problem's own status is noted already, also where the answer must have another.
            call.status = call.status or message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", call.request_id.encode())]
            if call.warnings:
                message["headers"].append((b"x-parlando-warnings", call.shown_warnings.encode("ascii")))
        elif kind in ("http.response.body", "websocket.http.response.body"):
            call.count(len(message.get("body", b"")))
        elif kind == "websocket.accept":
            call.status = 101
        elif kind == "websocket.send":
            call.count(len(message.get("text") or message.get("bytes") or ""))
        await send(message)

    return observed
