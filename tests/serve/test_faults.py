"""Every fault through every door that speaks: the right answer, nothing left behind, and the next request works."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest

TEXT = "An endless one."
FORM = "application/x-www-form-urlencoded"


def code_of(answer):
    """Of an error in OpenAI's shape."""
    return answer["error"]["code"]


def status_word(answer):
    """Of an error in ElevenLabs' shape."""
    return answer["detail"]["status"]


def no_code(answer):
    """CosyVoice's shape has none; what the message says stands for it."""
    return "internal_error" if "its log says what" in answer["detail"] else "generation_failed"


@dataclass(frozen=True)
class Door:
    """A route, a body that asks for ``TEXT``, how the answer comes, and how an error names itself."""

    path: str
    body: dict
    media_type: str = "application/json"
    whole: bool = False
    events: bool = False
    code: object = code_of

    @property
    def data(self):
        return (urlencode(self.body) if self.media_type == FORM else json.dumps(self.body)).encode()

    def head(self, more=""):
        fields = f"Host: x\r\nContent-Type: {self.media_type}\r\nContent-Length: {len(self.data)}\r\n{more}"
        return f"POST {self.path} HTTP/1.1\r\n{fields}\r\n".encode()

    def send(self, running):
        connection = running.connect()
        connection.sendall(self.head("Connection: close\r\n") + self.data)
        return connection

    def post(self, running):
        return running.http.post(self.path, content=self.data, headers={"content-type": self.media_type})


SPEECH, CHAT, ELEVENLABS = "/v1/audio/speech", "/v1/chat/completions", "/v1/text-to-speech/ada"
CHATTED = {"messages": [{"role": "user", "content": TEXT}], "audio": {"format": "pcm16"}}
DOORS = {
    "speech": Door(SPEECH, {"input": TEXT, "response_format": "pcm"}),
    "speech in a compressed format": Door(SPEECH, {"input": TEXT, "response_format": "mp3"}),
    "speech as events": Door(SPEECH, {"input": TEXT, "response_format": "pcm", "stream_format": "sse"}, events=True),
    "chat": Door(CHAT, CHATTED, whole=True),
    "chat as events": Door(CHAT, {**CHATTED, "stream": True}, events=True),
    "elevenlabs": Door(f"{ELEVENLABS}?output_format=pcm_24000", {"text": TEXT}, code=status_word),
    "elevenlabs, streamed": Door(f"{ELEVENLABS}/stream", {"text": TEXT}, code=status_word),
    "cosyvoice's form": Door("/inference_sft", {"tts_text": TEXT, "spk_id": "ada"}, FORM, code=no_code),
    "tts": Door("/tts", {"text": TEXT, "speaker": "ada"}, whole=True, code=no_code),
}
STREAMED = [name for name, door in DOORS.items() if not door.whole]


def status_of(answer):
    return int(answer.split(b" ", 2)[1])


def is_cut(answer):
    """Whether a chunked answer does not look whole."""
    return not answer.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("door", DOORS)
def test_a_model_that_fails_at_once_is_a_500(sound, door):
    sound.model.lm.failures = [RuntimeError("out of memory")]
    response = DOORS[door].post(sound)
    assert (response.status_code, DOORS[door].code(response.json())) == (500, "generation_failed")


@pytest.mark.parametrize("door", STREAMED)
def test_a_model_that_fails_later_ends_what_was_begun_in_the_protocols_own_way(sound, raw, door):
    sound.model.lm.step_seconds = 0.005
    connection = DOORS[door].send(sound)
    received = connection.recv(1)
    sound.model.lm.failures = [RuntimeError("out of memory")]
    received += raw.read_all(connection)
    assert status_of(received) == 200
    assert b'"error"' in received if DOORS[door].events else is_cut(received)


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
    def missing(*_):
        raise OSError("no encoder")

    for place in ("service.open_encoder", "livetext.open_encoder", "whole.encode_whole"):
        monkeypatch.setattr(f"parlando.serve.{place}", missing)
    response = DOORS[door].post(sound)
    assert (response.status_code, DOORS[door].code(response.json())) == (500, "internal_error")
    assert "no encoder" not in response.text
    monkeypatch.undo()


@pytest.mark.parametrize("door", [name for name in DOORS if not name.startswith("chat as")])
def test_an_encoder_that_fails_later_ends_the_stream(sound, raw, monkeypatch, door):
    for place in ("service", "livetext"):
        monkeypatch.setattr(f"parlando.serve.{place}.open_encoder", BrokenEncoder)
    received = raw.read_all(DOORS[door].send(sound))
    told = b"200 OK" not in received or DOORS[door].events
    assert b'"error"' in received or b'"detail"' in received if told else is_cut(received)
    assert b"the encoder broke" not in received
    monkeypatch.undo()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("stage", ["head", "body", "waiting", "speaking"])
def test_a_client_may_leave_at_any_time(sound, door, stage):
    head, data = DOORS[door].head(), DOORS[door].data
    sound.model.lm.step_seconds = 0.02
    with sound.connect() as connection:
        if stage == "head":
            connection.sendall(head[:40])
        else:
            connection.sendall(head + (data[:10] if stage == "body" else data))
        if stage in ("waiting", "speaking"):
            sound.wait_until(lambda: not sound.idle())
        if stage == "speaking" and not DOORS[door].whole:
            assert connection.recv(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sound.wait_until(sound.idle)


@pytest.mark.parametrize("door", STREAMED)
def test_a_reader_who_takes_nothing_stops_nobody_else(sound, door):
    with sound.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(DOORS[door].head() + DOORS[door].data)
        assert connection.recv(10)
        assert len(sound.say().content) == 48000
    sound.wait_until(sound.idle)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("door", DOORS)
def test_a_worker_that_dies_is_a_5xx_or_a_cut_and_another_takes_over(sound, raw, door):
    restarts = sound.host.restarts
    sound.model.lm.failures = [SystemExit(1)]
    received = raw.read_all(DOORS[door].send(sound))
    assert status_of(received) in (500, 503)
    assert DOORS[door].code(json.loads(received.partition(b"\r\n\r\n")[2]))
    sound.say()
    assert sound.say().status_code == 200
    assert sound.host.restarts == restarts + 1


def test_a_thread_that_does_not_start_costs_one_request(sound, monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr("parlando.serve.bridge.threading.Thread.start", start)
        refused = sound.say()
    assert refused.status_code == 500
    assert sound.service.bridge._open == set()
    assert sound.idle()
    assert sound.say().status_code == 200
