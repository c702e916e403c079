"""A client that says when each byte came: HTTP/1.1 over plain asyncio, one request a connection, http and https."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from parlando.core.errors import ConfigError

READ_BYTES = 65536
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Target:
    """Where a request goes.

    Raises:
        ConfigError: the URL is not one of http or https.
    """

    url: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise ConfigError(f"'{self.url}' is no address; give one such as http://127.0.0.1:50000")

    @property
    def place(self) -> tuple[str, int, bool]:
        """Host, port, and whether it is encrypted."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme], parts.scheme == "https"

    @property
    def path(self) -> str:
        """The path without a slash at its end."""
        return urlsplit(self.url).path.rstrip("/")


@dataclass
class Answer:
    """A response whose body has yet to come."""

    status: int
    headers: Mapping[str, str]
    reader: asyncio.StreamReader

    async def body(self) -> AsyncIterator[bytes]:
        """The body as it comes.

        Raises:
            EOFError: the connection ended before the body did.
        """
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int((await self._line()).split(b";")[0], 16):
                yield await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            return
        left = int(self.headers.get("content-length", -1))
        while left:
            data = await self.reader.read(READ_BYTES if left < 0 else min(left, READ_BYTES))
            if not data:
                if left > 0:
                    raise EOFError(f"{left} bytes of the answer are missing")
                return
            left -= len(data) if left > 0 else 0
            yield data

    async def _line(self) -> bytes:
        line = await self.reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError("the connection ended within the answer")
        return line


@asynccontextmanager
async def exchange(
    target: Target, path: str, headers: Mapping[str, str], body: bytes = b"", method: str = "POST"
) -> AsyncIterator[Answer]:
    """Send a request; leaving the block closes its connection.

    Raises:
        OSError: nobody listens there, or the connection broke.
        EOFError: the answer ended too early.
    """
    host, port, secure = target.place
    context = ssl.create_default_context() if secure else None
    reader, writer = await asyncio.open_connection(host, port, ssl=context, limit=2**20)
    try:
        fields = {"Host": f"{host}:{port}", "Content-Length": str(len(body)), "Connection": "close", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"{method} {target.path}{path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
        await writer.drain()
        yield await _answer(reader)
    finally:
        writer.transport.abort()


async def _answer(reader: asyncio.StreamReader) -> Answer:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ", 2)[1])
    except (asyncio.IncompleteReadError, IndexError, ValueError) as error:
        raise EOFError("there was no answer") from error
    pairs = (line.partition(":") for line in head[1:] if line)
    return Answer(status, {name.strip().lower(): value.strip() for name, _, value in pairs}, reader)
