"""What the server adds to a model that takes no time. The bound is loose: tests share their processors."""

from __future__ import annotations

import json
import socket
import statistics
import time

import numpy as np
import pytest

from parlando.result import Chunk

MOST_SECONDS = 0.05


@pytest.fixture
def instant(fresh, monkeypatch):
    """A host whose sentences are there already, in the four chunks of a growing schedule."""
    chunks = [Chunk(np.zeros(frames * 960, np.float32), 24000) for frames in (2, 4, 8, 11)]
    monkeypatch.setattr(fresh.host, "run", lambda text, request: iter(chunks))
    return fresh


def test_the_first_byte_comes_at_once(instant):
    body = json.dumps({"input": "Hello.", "response_format": "pcm"}).encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    waited_seconds = []
    with instant.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(50):
            started = time.perf_counter()
            connection.sendall(head.encode() + b"\r\n\r\n" + body)
            received = connection.recv(65536)
            waited_seconds.append(time.perf_counter() - started)
            while not received.endswith(b"\r\n0\r\n\r\n"):
                received += connection.recv(65536)
    assert statistics.median(waited_seconds) < MOST_SECONDS
    instant.wait_until(instant.idle)
