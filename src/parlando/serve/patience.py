"""HTTP over uvicorn, with a limit that it lacks: how long the head of a request may take to come."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def impatient_protocol(head_seconds: float) -> type[HttpToolsProtocol]:
    """A protocol for `uvicorn.Config` that cuts off who connects, or begins a request, and does not end its head."""

    class Impatient(HttpToolsProtocol):
        """Counts from the connection, and again from the first byte of each request."""

        _deadline: asyncio.TimerHandle | None = None

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
            super().on_headers_complete()

        def _wait(self) -> None:
            self._be_content()
            self._deadline = self.loop.call_later(head_seconds, self._cut_off)

        def _be_content(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _cut_off(self) -> None:
            self._deadline = None
            busy = self.cycle is not None and not self.cycle.response_complete
            if not busy and not self.transport.is_closing():
                self.transport.write(TOO_SLOW)
            self.transport.close()

    return Impatient
