"""Text that waits to be spoken: how much of it there may be, what its turns cost, and silence once it is cancelled."""

from __future__ import annotations

import asyncio
import json
import socket
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from websockets.sync.client import connect

from parlando.result import Chunk
from parlando.serve.allowance import LONGEST_TEXTS, MOST_ENTRIES
from parlando.serve.doors.live import Conversation, Story
from parlando.serve.livetext import Piece
from parlando.serve.sockets import JsonSocket
from waiting import HANG_SECONDS

LONG = "A long one."
OURS, ONE, SEVERAL = (
    "/v1/audio/speech/stream",
    "/v1/text-to-speech/ada/stream-input",
    "/v1/text-to-speech/ada/multi-stream-input",
)


@pytest.fixture(scope="module")
def narrow(serving):
    """A server where a text may have no more than a hundred characters."""
    with serving(limits={"max_input_characters": 100}, wyoming_port=0) as running:
        yield running


@pytest.fixture
def slow(narrow, unharmed):
    with unharmed(narrow):
        narrow.model.lm.step_seconds = 0.05
        yield narrow


@pytest.fixture
def allowances(monkeypatch):
    """Of every WebSocket that is opened meanwhile."""
    from parlando.serve import sockets

    made, plain = [], sockets.Allowance

    def recorded(*given, **more):
        made.append(plain(*given, **more))
        return made[-1]

    monkeypatch.setattr(sockets, "Allowance", recorded)
    return made


class Socket:
    def __init__(self, running, path):
        self.opening = connect(running.url.replace("http", "ws") + path, max_size=None)

    def __enter__(self):
        self.wire = self.opening.__enter__()
        return self

    def __exit__(self, *error):
        self.opening.__exit__(*error)

    def send(self, **message):
        self.wire.send(json.dumps(message))

    def until(self, last):
        """All messages up to the first for which ``last`` holds."""
        got = []
        while not got or not last(got[-1]):
            got.append(json.loads(self.wire.recv(timeout=HANG_SECONDS)))
        return got


def failed(message):
    return "error" in message


def ended(message):
    return message["type"] == "done"


FLOODS = {
    "characters": [{"type": "text", "text": LONG.ljust(100)}, {"type": "flush"}] * (LONGEST_TEXTS + 1),
    "flushes": [{"type": "text", "text": LONG}, *[{"type": "flush"}] * MOST_ENTRIES],
    "contexts": [{"type": "text", "context": name, "text": LONG.ljust(100)} for name in "abcde"],
}


@pytest.mark.parametrize("flood", FLOODS)
def test_no_more_text_may_wait_than_can_be_meant(slow, allowances, flood):
    with Socket(slow, OURS) as client:
        for message in FLOODS[flood]:
            client.send(**message)
        error = client.until(failed)[-1]
        assert error["error"]["code"] == "too_large"
        assert error["context"] == FLOODS[flood][-1].get("context", "default")
        client.send(type="cancel")
        slow.wait_until(slow.idle)
        slow.model.lm.step_seconds = 0.0
        client.send(type="text", context="next", text="Hello there.")
        client.send(type="end", context="next")
        client.until(lambda message: message["type"] == "done" and message["context"] == "next")
    slow.wait_until(lambda: (allowances[0].characters, allowances[0].entries) == (0, 0))


def test_what_was_heard_waits_no_more(narrow, allowances):
    with Socket(narrow, OURS) as client:
        for _ in range(2 * LONGEST_TEXTS):
            client.send(type="text", text="Hello there.".ljust(100))
            client.send(type="flush")
            client.until(lambda message: message["type"] == "flushed")
            client.send(type="text", text=" " * 100)
            client.send(type="text", text="")
            client.send(type="flush")
            client.until(lambda message: message["type"] == "flushed")
        assert (allowances[0].characters, allowances[0].entries) == (0, 1)


def test_elevenlabs_sockets_bound_what_waits(slow):
    with Socket(slow, ONE) as client:
        for _ in range(LONGEST_TEXTS + 1):
            client.send(text=LONG.ljust(100), flush=True)
        assert client.until(failed)[-1]["error"] == "too_large"
        slow.wait_until(slow.idle)
    with Socket(slow, SEVERAL) as client:
        for name in "abcde":
            client.send(text=LONG.ljust(100), context_id=name)
        error = client.until(failed)[-1]
        assert (error["error"], error["contextId"]) == ("too_large", "e")
        client.send(context_id="a", close_context=True)
        client.until(lambda message: message.get("isFinal"))
        slow.model.lm.step_seconds = 0.0
        client.send(text="Hello there.", context_id="e")
        client.send(close_socket=True)
        assert client.until(lambda message: message.get("isFinal") and message["contextId"] == "e")


def wyoming_errors(running, lines):
    address = ("127.0.0.1", running.service.ports["wyoming"])
    with socket.create_connection(address, timeout=HANG_SECONDS) as wire, wire.makefile("rb") as file:
        wire.sendall(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        while line := file.readline():
            head = json.loads(line)
            data = json.loads(file.read(head.get("data_length") or 0) or b"{}")
            file.read(head.get("payload_length") or 0)
            if head["type"] == "error":
                yield data["code"]


FLOODS_OF_WYOMING = {
    "texts": [{"type": "synthesize", "data": {"text": LONG.ljust(100)}}] * (LONGEST_TEXTS + 1),
    "beginnings": [{"type": "synthesize", "data": {"text": LONG}}, *[{"type": "synthesize-start"}] * MOST_ENTRIES],
}


@pytest.mark.parametrize("flood", FLOODS_OF_WYOMING)
def test_wyoming_bounds_what_waits(slow, flood):
    assert next(wyoming_errors(slow, FLOODS_OF_WYOMING[flood])) == "too_large"
    slow.wait_until(slow.idle)


@pytest.mark.parametrize(("text", "code"), [("a " * 10_000, "too_large"), ("\ud800", "invalid_text")])
def test_a_text_that_cannot_be_taken_ends_its_context_by_name(narrow, text, code):
    with Socket(narrow, OURS) as client:
        client.send(type="text", text="This is")
        client.send(type="text", text=text)
        error = client.until(failed)[-1]
        assert (error["context"], error["error"]["code"]) == ("default", code)
        client.send(type="text", text="Hello there.")
        client.send(type="end")
        assert not any(map(failed, client.until(ended)))


def test_an_error_names_the_context_that_a_message_means(narrow):
    with Socket(narrow, OURS) as client:
        for message, context in [
            ({"type": "text", "text": 7}, "default"),
            ({"type": "start", "voice": "nobody"}, "default"),
            ({"type": "text", "context": "a", "text": 7}, "a"),
            ({"type": "end", "context": "a"}, "a"),
            ({"type": "sing"}, None),
        ]:
            client.send(**message)
            assert client.until(failed)[-1]["context"] == context


def test_a_second_start_is_refused_and_the_first_goes_on(narrow):
    with Socket(narrow, OURS) as client:
        client.send(type="text", text="Hello")
        client.send(type="start")
        assert client.until(failed)[-1]["error"]["code"] == "invalid_input"
        client.send(type="text", text=" there.")
        client.send(type="end")
        told = client.until(ended)
        assert [m["text"] for m in told if m["type"] == "sentence.started"] == ["Hello there."]


class OnePiece:
    """A live text of one piece, which is three messages."""

    cancelled, warnings = False, ()

    async def __aiter__(self):
        chunk = Chunk(np.zeros(8, np.float32), 8000, text="Hello.")
        yield Piece(b"1234", chunk)
        yield Piece(b"5678", chunk)

    def cancel(self):
        self.cancelled = True


def test_nothing_is_heard_behind_a_cancellation_that_waited_for_its_turn(narrow):
    sent = []

    async def main():
        free = asyncio.Event()

        async def send_text(text):
            sent.append(json.loads(text)["type"])
            await free.wait()

        scope = {"parlando": SimpleNamespace(caller="ann", note=print)}
        app = SimpleNamespace(state=SimpleNamespace(service=narrow.service))
        conversation = Conversation(
            narrow.service,
            JsonSocket(SimpleNamespace(scope=scope, send_text=send_text, app=app, headers={}), narrow.service),
        )
        live = conversation._contexts["a"] = OnePiece()
        telling = asyncio.create_task(conversation._tell("a", live, Story("pcm")))
        await asyncio.sleep(0)
        cancelling = asyncio.create_task(conversation.take({"type": "cancel", "context": "a"}))
        await asyncio.sleep(0)
        free.set()
        await asyncio.gather(telling, cancelling)

    asyncio.run(main())
    assert sent == ["sentence.started", "cancelled"]


def test_every_door_spends_one_budget_and_every_turn_costs(serving, cosyvoice_stubs):
    pb2, stubs = cosyvoice_stubs
    request = pb2.Request(sft_request=pb2.sftRequest(spk_id="ada", tts_text="Hello there."))
    said = [{"type": "text", "text": "Hello there."}, {"type": "flush"}] * 2
    with serving(grpc_port=0, wyoming_port=0, limits={"requests_per_minute": 5}) as running:
        running.service.budgets._clock = lambda: 0.0
        with grpc.insecure_channel(f"127.0.0.1:{running.service.ports['grpc']}") as channel:
            stub = stubs.CosyVoiceStub(channel)
            assert running.say().status_code == 200
            assert list(stub.Inference(request, timeout=HANG_SECONDS))
            with Socket(running, OURS) as client:
                for message in said:
                    client.send(**message)
                client.until(lambda message: message["type"] == "flushed")
                client.until(lambda message: message["type"] == "flushed")
            assert list(wyoming_errors(running, [{"type": "synthesize", "data": {"text": "Hi."}}, {"type": "x"}] * 2))
            assert running.say().status_code == 429
            with pytest.raises(grpc.RpcError, match="requests a minute"):
                list(stub.Inference(request, timeout=HANG_SECONDS))


def test_a_turn_over_the_budget_is_told_and_ends_its_context(serving):
    with serving(limits={"requests_per_minute": 2}) as running:
        running.service.budgets._clock = lambda: 0.0
        with Socket(running, OURS) as client:
            for _ in range(3):
                client.send(type="text", text="Hello there.")
                client.send(type="flush")
            told = client.until(failed)
        assert [message["type"] for message in told].count("flushed") == 2
        assert (told[-1]["context"], told[-1]["error"]["code"]) == ("default", "rate_limit_exceeded")
