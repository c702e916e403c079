"""A text model at a URL: any service that speaks OpenAI's chat completions, read while it writes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from parlando.converse.stages import Message, Reply
from parlando.core.errors import ConfigError, TextModelError

EVENT, LAST = b"data:", b"[DONE]"
LONGEST_REASON, LONGEST_LINE = 200, 2**20
OK = 200
ANY_MODEL = "default"  # where a service has but one, whatever it is called


class ChatService:
    """Asks ``POST …/v1/chat/completions``; the URL is with or without ``/v1`` at its end."""

    def __init__(self, url: str, model: str = ANY_MODEL, key: str | None = None, timeout_seconds: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"'{url}' is not a valid URL of a text model; give one such as http://127.0.0.1:8000")
        self.url, self._parts, self._model, self._key = url, parts, model, key
        self._timeout_seconds = timeout_seconds

    def reply(self, messages: Sequence[Message]) -> Reply:
        """The service's next message; errors come when it is read."""
        body = {"model": self._model, "stream": True, "messages": [vars(each) for each in messages]}
        return _ServiceReply(self.url, self._connection(), self._path, json.dumps(body).encode(), self._headers)

    @property
    def _path(self) -> str:
        return self._parts.path.rstrip("/").removesuffix("/v1") + "/v1/chat/completions"

    @property
    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream", "Connection": "close"}
        return headers if self._key is None else {**headers, "Authorization": f"Bearer {self._key}"}

    def _connection(self) -> HTTPConnection:
        kind = HTTPSConnection if self._parts.scheme == "https" else HTTPConnection
        return kind(str(self._parts.hostname), self._parts.port, timeout=self._timeout_seconds)


class _ServiceReply:
    def __init__(self, url: str, connection: HTTPConnection, path: str, body: bytes, headers: dict[str, str]) -> None:
        self._url, self._connection, self._asked = url, connection, (path, body, headers)
        self._socket: socket.socket | None = None
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def __iter__(self) -> Iterator[str]:
        path, body, headers = self._asked
        try:
            with closing(self._connection):
                self._connection.connect()
                self._socket = self._connection.sock
                if self._cancelled:
                    return
                self._connection.request("POST", path, body, headers)
                with self._connection.getresponse() as answer:
                    yield from self._read(answer)
        except (OSError, HTTPException) as error:
            if not self._cancelled:
                raise TextModelError(f"text model at {self._url}: {error or type(error).__name__}") from error

    def _read(self, answer: HTTPResponse) -> Iterator[str]:
        if answer.status != OK:
            reason = " ".join(answer.read(LONGEST_REASON).decode("utf-8", "replace").split())
            raise TextModelError(f"text model at {self._url} answered {answer.status}: {reason}")
        if "json" in answer.headers.get_content_type():
            yield self._words(answer.read(), "message")
            return
        for data in _events(answer):
            if data == LAST:
                return
            if words := self._words(data, "delta"):
                yield words
        if not self._cancelled:
            raise TextModelError(f"text model at {self._url} broke off in the middle of its answer")

    def _words(self, data: bytes, place: str) -> str:
        try:
            told: Any = json.loads(data)
            if "error" in told:
                raise TextModelError(f"text model at {self._url}: {str(told['error'])[:LONGEST_REASON]}")
            choices = told["choices"]
            return str(choices[0][place].get("content") or "") if choices else ""
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            shown = data[:80].decode("utf-8", "replace")
            raise TextModelError(f"text model at {self._url} answered no chat completion: {shown}") from error


def _events(answer: HTTPResponse) -> Iterator[bytes]:
    while line := answer.readline(LONGEST_LINE):
        if line.startswith(EVENT):
            yield line[len(EVENT) :].strip()
