"""HTTP over uvicorn, with limits that it lacks: how long the head of a request may take to come, and how long it is."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from parlando.serve.problems import Problem, openai_shape

LONGEST_HEAD_BYTES = 65_536
LINGER_SECONDS = 2.0
PROBE_SECONDS = 0.25
STILL_THERE = b"HTTP/1.1 100 Continue\r\n\r\n"
FIELD_OVERHEAD_BYTES = 4  # the colon, the space, the line's end


def _goodbye(status: str, problem: Problem | None = None) -> bytes:
    body = json.dumps(openai_shape(problem)) if problem else ""
    fields = f"connection: close\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"HTTP/1.1 {status}\r\n{fields}\r\n\r\n{body}".encode("ascii")


TOO_SLOW = _goodbye("408 Request Timeout")
TOO_LONG = _goodbye(
    "431 Request Header Fields Too Large",
    Problem(431, "too_large", f"the head is longer than {LONGEST_HEAD_BYTES} bytes; send what is long in the body"),
)


class HeadTooLongError(ValueError):
    """Ends the parsing of a request whose head is too long."""


class LimitedHttp(HttpToolsProtocol):
    """Counts from the connection, and again from the first byte of each request."""

    head_seconds = 10.0
    _deadline: asyncio.TimerHandle | None = None
    _refused = False
    _pending_bytes = 0  # since the last head, piece of a body, or end: of a head, or of fields behind a body

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless it makes a head too long."""
        if self._refused:
            return
        self._pending_bytes += len(data)
        super().data_received(data)
        if self._pending_bytes > LONGEST_HEAD_BYTES:
            self._refuse(TOO_LONG)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more, but may still read: what it asked for is answered, and nothing after that."""
        answering = self.cycle is not None and not self.cycle.response_complete and not self._refused
        if answering:
            self.cycle.keep_alive = False
            self._probe()
        return answering

    def _probe(self) -> None:
        """Find out whether the client still reads: whoever has gone resets the connection, others pass over this."""
        if not self.transport.is_closing() and not self.cycle.response_started:
            self.transport.write(STILL_THERE)
            self.loop.call_later(PROBE_SECONDS, self._probe)

    def connection_made(self, transport: Any) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._be_content()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin to wait for the head of this request."""
        self._wait()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._be_content()
        fields = sum(len(name) + len(value) + FIELD_OVERHEAD_BYTES for name, value in self.headers)
        self._pending_bytes = len(self.url) + fields
        if self._pending_bytes > LONGEST_HEAD_BYTES:
            raise HeadTooLongError
        self._pending_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body is there."""
        self._pending_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of it is there."""
        self._pending_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Say why what came is not parsed."""
        if self._pending_bytes > LONGEST_HEAD_BYTES:
            self._refuse(TOO_LONG)
        else:
            super().send_400_response(msg)

    def _wait(self) -> None:
        self._be_content()
        self._deadline = self.loop.call_later(self.head_seconds, self._cut_off)

    def _be_content(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut_off(self) -> None:
        self._deadline = None
        self._refuse(TOO_SLOW)

    def _refuse(self, goodbye: bytes) -> None:
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy or self.transport.is_closing() or not self.transport.can_write_eof():
            self.transport.close()
            return
        # Closed while something is unread, the connection would be reset, and the answer lost with it.
        self._refused = True
        self.transport.write(goodbye)
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)


def limited_protocol(head_seconds: float) -> type[HttpToolsProtocol]:
    """A protocol for `uvicorn.Config` that cuts off who does not end a head, in time or within `LONGEST_HEAD_BYTES`."""
    return type("LimitedHttp", (LimitedHttp,), {"head_seconds": head_seconds})
