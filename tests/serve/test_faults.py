"""Every fault through every door that speaks: the right answer, nothing left behind, and the next request works."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading

import pytest

TEXT = "A long one."
CHAT = {"messages": [{"role": "user", "content": TEXT}], "audio": {"format": "pcm16"}}
DOORS = {
    "speech": ("/v1/audio/speech", {"input": TEXT, "response_format": "pcm"}),
    "speech in a compressed format": ("/v1/audio/speech", {"input": TEXT, "response_format": "mp3"}),
    "speech as events": ("/v1/audio/speech", {"input": TEXT, "response_format": "pcm", "stream_format": "sse"}),
    "chat": ("/v1/chat/completions", CHAT),
    "chat as events": ("/v1/chat/completions", {**CHAT, "stream": True}),
}
STREAMED = [name for name in DOORS if name != "chat"]
EVENTS = [name for name in DOORS if name.endswith("events")]


def what_is_there(running):
    """Counts that must not grow: tasks, threads but for the pools', descriptors, files, sessions."""

    async def tasks():
        return len(asyncio.all_tasks()) - 1

    engine = running.host.synthesizer.engine
    return {
        "tasks": asyncio.run_coroutine_threadsafe(tasks(), running.service.loop).result(5),
        "threads": sum(not thread.name.startswith("parlando-") for thread in threading.enumerate()),
        "files": len(list(os.scandir(running.service.config.voice_folder))),
        "descriptors": len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0,
        "streams": len(running.service.bridge._open),
        "waiting": engine.metrics().waiting,
        "decoding": running.host.synthesizer._decoding.waiting,
    }


@pytest.fixture
def sound(stub):
    """The stub server; afterwards it is as it was, and speaks."""
    stub.say()
    stub.wait_until(stub.idle)
    before = what_is_there(stub)
    yield stub
    stub.model.lm.step_seconds, stub.model.lm.failures = 0.0, []
    stub.wait_until(stub.idle)
    stub.wait_until(lambda: all(what_is_there(stub)[name] <= count for name, count in before.items()))
    assert len(stub.say().content) == 48000


def status_of(answer):
    return int(answer.split(b" ", 2)[1])


def is_cut(answer):
    """Whether a chunked answer does not look whole."""
    return not answer.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("door", DOORS)
def test_a_model_that_fails_at_once_is_a_500(sound, door):
    path, body = DOORS[door]
    sound.model.lm.failures = [RuntimeError("out of memory")]
    response = sound.http.post(path, json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (500, "generation_failed")


@pytest.mark.parametrize("door", STREAMED)
def test_a_model_that_fails_later_ends_what_was_begun_in_the_protocols_own_way(sound, raw, door):
    path, body = DOORS[door]
    sound.model.lm.step_seconds = 0.005
    connection = sound.send(body, path, "Connection: close\r\n")
    received = connection.recv(1)
    sound.model.lm.failures = [RuntimeError("out of memory")]
    received += raw.read_all(connection)
    assert status_of(received) == 200
    assert b'"error"' in received if door in EVENTS else is_cut(received)


class BrokenEncoder:
    """Fails with the second piece of sound."""

    def __init__(self, *_):
        self.fed = 0

    def feed(self, samples):
        self.fed += 1
        if self.fed > 1:
            raise OSError("the encoder broke")
        return b"\0" * 100

    def close(self):
        raise OSError("the encoder broke")


@pytest.mark.parametrize("door", [name for name in DOORS if not name.startswith("chat as")])
def test_an_encoder_that_fails_at_once_is_a_500_without_details(sound, monkeypatch, door):
    def missing(format, rate):
        raise OSError("no encoder")

    path, body = DOORS[door]
    monkeypatch.setattr("parlando.serve.service.open_encoder", missing)
    response = sound.http.post(path, json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    assert "no encoder" not in response.text
    monkeypatch.undo()


@pytest.mark.parametrize("door", ["speech", "speech in a compressed format", "speech as events"])
def test_an_encoder_that_fails_later_ends_the_stream(sound, raw, monkeypatch, door):
    path, body = DOORS[door]
    monkeypatch.setattr("parlando.serve.service.open_encoder", BrokenEncoder)
    received = raw.read_all(sound.send(body, path, "Connection: close\r\n"))
    assert b'"error"' in received if b"200 OK" not in received or door in EVENTS else is_cut(received)
    assert b"the encoder broke" not in received
    monkeypatch.undo()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("stage", ["head", "body", "waiting", "speaking"])
def test_a_client_may_leave_at_any_time(sound, door, stage):
    path, body = DOORS[door]
    data = json.dumps(body).encode()
    sound.model.lm.step_seconds = 0.01
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    with sound.connect() as connection:
        if stage == "head":
            connection.sendall(head.encode()[:40])
        else:
            connection.sendall(head.encode() + (data[:10] if stage == "body" else data))
        if stage in ("waiting", "speaking"):
            sound.wait_until(lambda: not sound.idle())
        if stage == "speaking" and door != "chat":
            assert connection.recv(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sound.wait_until(sound.idle, 2.0)


@pytest.mark.parametrize("door", STREAMED)
def test_a_reader_who_takes_nothing_stops_nobody_else(sound, door):
    path, body = DOORS[door]
    with sound.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        data = json.dumps(body).encode()
        fields = f"Host: x\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        connection.sendall(f"POST {path} HTTP/1.1\r\n{fields}\r\n".encode() + data)
        assert connection.recv(10)
        assert len(sound.say().content) == 48000
    sound.wait_until(sound.idle)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("door", DOORS)
def test_a_worker_that_dies_is_a_5xx_or_a_cut_and_another_takes_over(sound, raw, door):
    path, body = DOORS[door]
    restarts = sound.host.restarts
    sound.model.lm.failures = [SystemExit(1)]
    received = raw.read_all(sound.send(body, path, "Connection: close\r\n"))
    assert status_of(received) in (500, 503)
    assert json.loads(received.partition(b"\r\n\r\n")[2])["error"]["message"]
    sound.say()
    assert sound.say().status_code == 200
    assert sound.host.restarts == restarts + 1
