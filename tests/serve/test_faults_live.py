"""Every fault through the doors that are no plain HTTP: told in the protocol's own way, and nothing is left behind."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager, suppress

import grpc
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from waiting import HANG_SECONDS

TEXT = "A long one."


class WebSocketDoor:
    """Ours."""

    path = "/v1/audio/speech/stream"
    last = ("done", "error")

    def __init__(self, running, _):
        self.opening = connect(running.url.replace("http", "ws") + self.path, max_size=None)
        self.wire = self.opening.__enter__()

    def ask(self, text=TEXT):
        for message in self.messages(text):
            self.wire.send(json.dumps(message))

    def messages(self, text):
        return {"type": "text", "text": text}, {"type": "end"}

    def first(self):
        """Wait for sound."""
        while "audio" not in json.loads(self.wire.recv(timeout=HANG_SECONDS)):
            pass

    def outcome(self):
        """What was said of an error, or nothing."""
        message = {"type": None}
        while message["type"] not in self.last:
            message = json.loads(self.wire.recv(timeout=HANG_SECONDS))
        return message.get("error", {}).get("message")

    def leave(self):
        """As a process that is killed leaves."""
        self.wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.wire.socket.close()

    def close(self):
        with suppress(OSError):
            self.wire.close()


class ElevenLabsDoor(WebSocketDoor):
    """Theirs, which says what is wrong and hangs up."""

    path = "/v1/text-to-speech/ada/stream-input?output_format=pcm_24000"

    def messages(self, text):
        return {"text": " "}, {"text": text + " "}, {"text": ""}

    def outcome(self):
        told = None
        with suppress(ConnectionClosed):
            while True:
                message = json.loads(self.wire.recv(timeout=HANG_SECONDS))
                told = message.get("message", told)
        return told


class GrpcDoor:
    """CosyVoice's."""

    def __init__(self, running, generated):
        pb2, stubs = generated
        self.channel = grpc.insecure_channel(f"127.0.0.1:{running.service.ports['grpc']}")
        self.stub, self.messages = stubs.CosyVoiceStub(self.channel), pb2

    def ask(self, text=TEXT):
        request = self.messages.Request(sft_request=self.messages.sftRequest(spk_id="ada", tts_text=text))
        self.answers = self.stub.Inference(request, timeout=HANG_SECONDS)

    def first(self):
        next(self.answers)

    def outcome(self):
        try:
            for _ in self.answers:
                pass
        except grpc.RpcError as error:
            return f"{error.code().name} {error.details()}"
        return None

    def leave(self):
        self.answers.cancel()

    def close(self):
        self.channel.close()


class WyomingDoor:
    """Home Assistant's: lines of JSON, some with a payload."""

    def __init__(self, running, _):
        self.wire = socket.create_connection(("127.0.0.1", running.service.ports["wyoming"]), timeout=HANG_SECONDS)
        self.file = self.wire.makefile("rb")

    def ask(self, text=TEXT):
        self.wire.sendall(json.dumps({"type": "synthesize", "data": {"text": text}}).encode() + b"\n")

    def event(self):
        line = self.file.readline()
        if not line:
            return None
        head = json.loads(line)
        data = json.loads(self.file.read(head.get("data_length") or 0) or b"{}")
        self.file.read(head.get("payload_length") or 0)
        return head["type"], {**head.get("data", {}), **data}

    def first(self):
        while self.event()[0] != "audio-chunk":
            pass

    def outcome(self):
        while (event := self.event()) is not None and event[0] not in ("audio-stop", "error"):
            pass
        return event[1]["text"] if event and event[0] == "error" else None

    def leave(self):
        self.file.close()
        self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.wire.close()

    def close(self):
        self.file.close()
        self.wire.close()


DOORS = [WebSocketDoor, ElevenLabsDoor, GrpcDoor, WyomingDoor]


@pytest.fixture(scope="module")
def every_door(serving):
    with serving(grpc_port=0, wyoming_port=0) as running:
        yield running


@pytest.fixture(params=DOORS, ids=lambda door: door.__name__)
def opened(request, every_door, unharmed, cosyvoice_stubs):
    """Open this door, once or again; the server must come out of it unharmed."""

    @contextmanager
    def opener():
        door = request.param(every_door, cosyvoice_stubs)
        try:
            yield door
        finally:
            door.close()

    with opener() as door:  # what a first connection leaves for the next ones is no leak
        door.ask()
        assert door.outcome() is None
    with unharmed(every_door):
        yield opener


def test_a_model_that_fails_at_once_is_told(every_door, opened):
    with opened() as door:
        every_door.model.lm.failures = [RuntimeError("out of memory")]
        door.ask()
        assert "out of memory" in door.outcome()


def test_a_model_that_fails_later_is_told(every_door, opened):
    every_door.model.lm.step_seconds = 0.01
    with opened() as door:
        door.ask()
        door.first()
        every_door.model.lm.failures = [RuntimeError("out of memory")]
        assert "out of memory" in door.outcome()


def test_an_encoder_that_fails_is_told_without_details(every_door, opened, monkeypatch):
    def broken(*_):
        raise OSError("a secret")

    for place in ("service", "livetext"):
        monkeypatch.setattr(f"parlando.serve.{place}.open_encoder", broken)
    with opened() as door:
        door.ask()
        told = door.outcome()
        assert told, "the client learns that it failed"
        assert "a secret" not in told
    monkeypatch.undo()


@pytest.mark.parametrize("stage", ["connected", "waiting", "speaking"])
def test_a_client_may_leave_at_any_time(every_door, opened, stage):
    every_door.model.lm.step_seconds = 0.02
    with opened() as door:
        if stage != "connected":
            door.ask("An endless one.")
            every_door.wait_until(lambda: not every_door.idle())
            if stage == "speaking":
                door.first()
            door.leave()
    every_door.wait_until(every_door.idle)


def test_a_reader_who_takes_nothing_stops_nobody_else(every_door, opened):
    with opened() as door:
        door.ask()
        every_door.wait_until(lambda: not every_door.idle())
        assert len(every_door.say().content) == 48000
        door.leave()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_dies_is_told_and_another_takes_over(every_door, opened):
    restarts = every_door.host.restarts
    with opened() as door:
        every_door.model.lm.failures = [SystemExit(1)]
        door.ask()
        assert door.outcome()
    every_door.say()
    assert every_door.say().status_code == 200
    assert every_door.host.restarts == restarts + 1
