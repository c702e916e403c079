"""Asking an OpenAI-compatible service: JSON or a form with a file out, JSON or audio back, by the standard library."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

from parlando.core.errors import ConfigError, ParlandoError

LONGEST_REASON = 200


class ServiceError(ParlandoError):
    """A service that refused, broke off, or could not be reached."""


@dataclass(frozen=True)
class Service:
    """A service at ``url``, with or without ``/v1`` at its end.

    Raises:
        ConfigError: the URL is not one of http or https.
    """

    url: str
    key: str | None = None
    timeout_seconds: float = 120.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"'{self.url}' is not a valid URL; give one such as http://127.0.0.1:50000")

    def at(self, path: str) -> str:
        """The whole address of ``/v1/…``."""
        return self.url.rstrip("/").removesuffix("/v1") + path

    def json(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send JSON, and read JSON; errors as for `open`."""
        with self.open(path, json.dumps(body).encode(), "application/json") as answer:
            return _read_json(answer, self.url)

    def form(self, path: str, fields: Mapping[str, str], file: tuple[str, bytes]) -> Any:
        """Send a form with one file (name and content), and read JSON; errors as for `open`."""
        border = secrets.token_hex(16)
        name, content = file
        parts = [
            f'--{border}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
            for key, value in fields.items()
        ]
        head = f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        parts.append(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + content)
        body = b"".join([*parts, f"\r\n--{border}--\r\n".encode()])
        with self.open(path, body, f"multipart/form-data; boundary={border}") as answer:
            return _read_json(answer, self.url)

    @contextmanager
    def open(self, path: str, body: bytes, content_type: str) -> Iterator[HTTPResponse]:
        """Send a body; the block reads the answer.

        Raises:
            ServiceError: it answered with an error, broke off, or could not be reached.
        """
        headers = {"Content-Type": content_type}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.at(path), body, headers)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_seconds) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            detail = error.read(LONGEST_REASON).decode("utf-8", "replace")
            raise ServiceError(f"{request.full_url} answered {error.code}: {' '.join(detail.split())}") from error
        except (OSError, HTTPException) as error:
            raise ServiceError(f"{request.full_url}: {error or type(error).__name__}") from error


def _read_json(answer: HTTPResponse, url: str) -> Any:
    data = answer.read()
    try:
        return json.loads(data)
    except ValueError as error:
        raise ServiceError(f"{url} answered something that is not JSON: {data[:80]!r}") from error
