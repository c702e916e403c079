"""Text that is spoken while it is written, over our own WebSocket and real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from parlando.core.errors import AccessError
from parlando.serve.problems import problem_of, refusal
from parlando.serve.server import DRAIN_CHECK_SECONDS
from parlando.serve.sockets import JsonSocket
from waiting import HANG_SECONDS

PATH = "/v1/audio/speech/stream"
# A sentence is certain once another follows it.
BEGUN = "This is an endless one. And"


class Client:
    def __init__(self, running, path=PATH, **options):
        self.opening = connect(running.url.replace("http", "ws") + path, max_size=None, **options)

    def __enter__(self):
        self.wire = self.opening.__enter__()
        return self

    def __exit__(self, *error):
        self.opening.__exit__(*error)

    def send(self, type, context="default", **more):
        self.wire.send(json.dumps({"type": type, "context": context, **more}))

    def next(self):
        return json.loads(self.wire.recv(timeout=HANG_SECONDS))

    def until(self, type, context="default"):
        """All messages up to the first of that type in that context."""
        got = []
        while not got or (got[-1]["type"], got[-1].get("context")) != (type, context):
            got.append(self.next())
            assert got[-1]["type"] != "error" or type == "error", got[-1]
        return got


def audio(messages, context="default"):
    data = [base64.b64decode(m["audio"]) for m in messages if m["type"] == "audio" and m["context"] == context]
    return np.frombuffer(b"".join(data), "<i2")


@pytest.fixture
def client(stub):
    with Client(stub) as client:
        yield client


def test_audio_comes_while_the_text_is_still_written(client):
    client.send("text", text="Hello there. And th")
    got = client.until("sentence.ended")
    assert len(audio(got)) == pytest.approx(24000, abs=200)
    client.send("text", text="en more.")
    client.send("end")
    got += client.until("done")
    assert [m["text"] for m in got if m["type"] == "sentence.started"] == ["Hello there.", "And then more."]
    assert got[0]["type"] == "started"
    assert (got[0]["model"], got[0]["sample_rate"], got[0]["response_format"]) == ("stub", 24000, "pcm")
    assert got[-1]["usage"]["output_tokens"] == 50


def test_sentences_tell_where_they_are_in_the_audio(client):
    client.send("text", text="One. Two. Three three three. Four four four.")
    client.send("end")
    got = client.until("done")
    begins = [m["start_seconds"] for m in got if m["type"] == "sentence.started"]
    ends = [m["end_seconds"] for m in got if m["type"] == "sentence.ended"]
    assert [m["sentence"] for m in got if m["type"] == "sentence.started"] == [*range(len(begins))]
    np.testing.assert_allclose(np.diff(begins), 1.1, atol=0.01)  # a second each, and a pause of 0.1 s
    np.testing.assert_allclose(np.subtract(ends, begins), 1.0, atol=0.01)
    assert got[-1]["audio_seconds"] == pytest.approx(len(audio(got)) / 24000, abs=0.001) == ends[-1]


def test_words_tell_when_they_are_heard_over_all_that_was_written(client):
    client.send("start", words=True)
    written = ["It costs $3", " now. ", "And more", ".", " Then the end."]
    for text in written[:4]:
        client.send("text", text=text)
    client.send("flush")
    got = client.until("flushed")
    client.send("text", text=written[4])
    client.send("end")
    got += client.until("done")
    words, text = [m for m in got if m["type"] == "word"], "".join(written)
    assert [m["text"] for m in words] == ["It", "costs", "$3", "now", "And", "more", "Then", "the", "end"]
    assert [text[m["start"] : m["stop"]] for m in words] == [m["text"] for m in words]
    begins = {m["sentence"]: m["start_seconds"] for m in got if m["type"] == "sentence.started"}
    assert [m["start_seconds"] for m in words if m["sentence"] == 0] == pytest.approx([0.0, 0.2, 0.4, 0.8])
    later = [m["start_seconds"] - begins[m["sentence"]] for m in words if m["sentence"] > 0]
    assert later == pytest.approx([0.0, 0.52, 0.0, 0.36, 0.68])
    client.send("text", text="Nobody asked.", context="b")
    client.send("end", context="b")
    assert not [m for m in client.until("done", "b") if m["type"] == "word"]


def test_a_flush_speaks_what_has_no_end_yet_and_says_when_it_was_sent(client):
    client.send("text", text="Just a moment")
    client.send("flush")
    first = client.until("flushed")
    assert len(audio(first)) == 24000
    client.send("flush")
    assert [m["type"] for m in client.until("flushed")] == ["flushed"], "nothing new, nothing said"
    client.send("text", text="... Here it is.")
    client.send("end")
    rest = client.until("done")
    assert [m["sentence"] for m in rest if m["type"] == "sentence.started"] == [1]
    assert [m["start_seconds"] for m in rest if m["type"] == "sentence.started"] == [1.0]


def test_cancelling_is_silence_within_one_chunk_and_frees_the_row(stub, client):
    stub.model.lm.step_seconds = 0.02
    client.send("text", text=BEGUN)
    client.until("audio")
    client.send("cancel")
    got = client.until("cancelled")
    assert sum(m["type"] == "audio" for m in got) <= 1
    stub.wait_until(stub.idle)
    client.send("text", text="And now this.")
    client.send("end")
    got = client.until("done")
    assert len(audio(got)) == 24000
    assert got[0]["type"] == "started"


def test_several_contexts_speak_at_once_and_one_is_cancelled(stub, client):
    stub.model.lm.step_seconds = 0.01
    client.send("start", "a", voice="bob", response_format="pcm", sample_rate=8000)
    client.send("text", "a", text=BEGUN)
    client.send("text", "b", text="A short one.")
    client.send("end", "b")
    got = client.until("done", "b")
    client.send("cancel", "a")
    got += client.until("cancelled", "a")
    assert len(audio(got, "b")) == 24000
    assert 0 < len(audio(got, "a")) < 60 * 8000
    assert {voice.name for _, voice in stub.model.asked[-2:]} == {"ada", "bob"}


def test_compressed_audio_is_a_file_that_decodes(client, decoded):
    for format in ("mp3", "opus", "wav"):
        client.send("start", format, response_format=format)
        client.send("text", format, text="Hello there.")
        client.send("end", format)
        got = client.until("done", format)
        data = b"".join(base64.b64decode(m["audio"]) for m in got if m["type"] == "audio")
        samples, rate = decoded(data)
        assert len(samples) / rate == pytest.approx(1.0, abs=0.1)


WRONG = [
    ('{"type": "text"', "not JSON"),
    ("[1]", "JSON object"),
    ('{"type": "sing"}', "sing"),
    ('{"type": "text", "text": 7}', "text"),
    ('{"type": "text", "text": "\\ud800"}', "surrogate"),
    ('{"type": "text", "text": "' + "a " * 10_000 + '"}', "flush in parts"),
    ('{"type": "start", "voice": "nobody"}', "nobody"),
    ('{"type": "start", "speed": 99}', "speed"),
    ('{"type": "start", "volume": 1, "strict": true}', "volume"),
    ('{"type": "end", "context": "x"}', "no context"),
    ("[" * 100_000, "not JSON"),
    (b"\x00\x01", "binary"),
]


@pytest.mark.parametrize(("message", "said"), WRONG, ids=lambda value: str(value)[:30])
def test_a_wrong_message_is_told_and_the_connection_goes_on(client, message, said):
    client.wire.send(message)
    error = client.next()
    assert (error["type"], said in error["error"]["message"]) == ("error", True), error
    client.send("text", "next", text="Hello there.")
    client.send("end", "next")
    assert len(audio(client.until("done", "next"), "next")) == 24000


def test_a_text_that_cannot_be_spoken_ends_its_context_alone(stub, client):
    client.send("text", text="unvoiced")
    client.send("end")
    assert client.until("error")[-1]["error"]["code"] == "generation_failed"
    stub.model.lm.failures = [RuntimeError("out of memory")]
    client.send("text", text="Hello there.")
    client.send("end")
    assert client.until("error")[-1]["error"]["code"] == "generation_failed"
    client.send("text", text="Hello there.")
    client.send("end")
    assert len(audio(client.until("done"))) == 24000


def test_a_client_that_leaves_frees_everything(stub):
    stub.model.lm.step_seconds = 0.02
    with Client(stub) as client:
        client.send("text", "a", text=BEGUN)
        client.send("text", "b", text="And one that is still being writ")
        client.until("audio", "a")
    stub.wait_until(stub.idle)


def test_text_that_does_not_go_on_is_spoken_and_holds_nothing(serving):
    with serving(limits={"pause_seconds": 0.2}) as running, Client(running) as client:
        client.send("text", text="And then")
        client.until("sentence.ended")
        running.wait_until(running.idle)
        client.send("text", text=" came the rest.")
        client.send("end")
        assert client.until("done")[-1]["audio_seconds"] == pytest.approx(2.0, abs=0.01)


class Clock:
    """Stands still but for what a test adds; ``asked`` counts who looked at it."""

    def __init__(self):
        self.seconds, self.asked = 0.0, 0

    def perf_counter(self):
        self.asked += 1
        return self.seconds


def test_waiting_for_text_is_not_the_models_time(stub, client, monkeypatch):
    clock, predicted_seconds = Clock(), stub.service.admissions["stub"].predicted_seconds
    before = predicted_seconds()
    for module in ("lack", "service"):
        monkeypatch.setattr(f"parlando.serve.{module}.time", clock)
    client.send("text", text="Hel")
    # Once to open the stream, twice around its voice and the first piece, and then it waits for the second.
    stub.wait_until(lambda: clock.asked == 6)
    clock.seconds = 100.0
    client.send("text", text="lo there.")
    client.send("end")
    client.until("done")
    stub.wait_until(stub.idle)
    assert 0.0 < predicted_seconds() < before


def test_pages_of_other_origins_and_callers_without_a_key_stay_out(serving, tmp_path):
    from parlando.serve.limits import new_key

    key = new_key(tmp_path / "keys", "ann")
    with serving(api_keys=str(tmp_path / "keys"), cors_origins=("https://good.example",)) as running:
        for headers, status in [
            ({}, 401),
            ({"Authorization": f"Bearer {key}", "Origin": "https://bad.example"}, 403),
            ({"Authorization": f"Bearer {key}", "Origin": "https://good.example"}, 101),
            ({"Authorization": f"Bearer {key}", "Origin": running.url}, 101),
            ({"xi-api-key": key}, 101),
        ]:
            try:
                with Client(running, additional_headers=headers):
                    got = 101
            except InvalidStatus as refused:
                got = refused.response.status_code
            assert got == status, headers


REFUSED = [
    (PATH, {}, 401, "invalid_api_key"),
    ("/v1/text-to-speech/ada/stream-input", {}, 401, "invalid_api_key"),
    (PATH, {"Origin": "https://bad.example"}, 403, "foreign_page"),
    ("/v1/text-to-speech/ada/stream-input?seed=x", {"key": True}, 400, "invalid_value"),
    ("/v1/nothing", {"key": True}, 404, "not_found"),
    ("/nothing", {}, 404, "not_found"),
]


def test_a_handshake_is_refused_with_a_reason_and_an_id_in_log_and_metrics(serving, tmp_path, caplog):
    from parlando.serve.limits import new_key

    key = new_key(tmp_path / "keys", "ann")
    with serving(api_keys=str(tmp_path / "keys")) as running, caplog.at_level("INFO", "parlando.serve"):
        for path, given, status, code in REFUSED:
            caplog.clear()
            headers = {"X-Request-Id": "handshake", **given}
            if headers.pop("key", None):
                headers["Authorization"] = f"Bearer {key}"
            with pytest.raises(InvalidStatus) as refused:
                connect(running.url.replace("http", "ws") + path, additional_headers=headers)
            answer = refused.value.response
            body = json.loads(answer.body)
            told = body["detail"]["status"] if "detail" in body else body["error"]["code"]
            assert (answer.status_code, told, answer.headers["x-request-id"]) == (status, code, "handshake"), path
            assert ("www-authenticate" in answer.headers) == (status == 401)
            running.wait_until(lambda: any(f'"status": {status}' in text for text in list(caplog.messages)))  # noqa: B023
        assert 'status="0"' not in running.http.get("/metrics").text


def test_a_server_that_cannot_answer_a_handshake_closes_it():
    close = refusal(problem_of(AccessError("an API key is missing")), {"type": "websocket", "path": PATH})
    assert (close.code, close.reason) == (1008, "an API key is missing")


def test_a_reader_who_stalls_is_let_go(serving, raw):
    with serving(limits={"stall_seconds": 0.5}) as running:
        connection = running.connect()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(
            f"GET {PATH} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 101")
        text = " ".join(["A long one."] * 30)
        data = json.dumps({"type": "text", "text": text}).encode()
        connection.sendall(b"\x81\xfe" + len(data).to_bytes(2, "big") + bytes(4) + data)
        running.wait_until(lambda: not running.idle())
        running.wait_until(running.idle)
        assert running.say().status_code == 200
        connection.close()


def test_a_broken_encoder_is_an_error_and_not_a_silence(client, monkeypatch):
    def broken(*_):
        raise ValueError("a secret")

    monkeypatch.setattr("parlando.serve.livetext.open_encoder", broken)
    client.send("text", text="Hello there.")
    client.send("end")
    error = client.until("error")[-1]["error"]
    assert (error["code"], "secret" in error["message"]) == ("internal_error", False)


def test_a_worker_that_dies_is_told_and_the_next_text_finds_another(serving):
    with serving() as running, Client(running) as client:
        running.model.lm.step_seconds = 0.02
        client.send("text", text=BEGUN)
        client.until("audio")
        running.host.synthesizer.engine.close()
        assert client.until("error")[-1]["error"]["code"] == "restarting"
        client.send("text", text="Hello there.")
        client.send("end")
        assert len(audio(client.until("done"))) == 24000


def test_a_server_that_stops_lets_a_flushed_text_end(serving):
    with serving(drain_seconds=HANG_SECONDS) as running, Client(running) as client:
        running.model.lm.step_seconds = 0.02
        client.send("text", text="Hello there.")
        client.send("end")
        client.until("audio")
        running.service.draining = running.server.should_exit = True
        rest = client.until("done")
        assert rest[-1]["audio_seconds"] == 1.0


def test_a_server_that_stops_waits_for_the_last_message(serving, monkeypatch):
    send, sending = JsonSocket.send, threading.Event()

    async def slow(self, message, unless=lambda: False):
        if message["type"] == "done":
            sending.set()
            await asyncio.sleep(20 * DRAIN_CHECK_SECONDS)
        await send(self, message, unless)

    monkeypatch.setattr(JsonSocket, "send", slow)
    with serving(drain_seconds=HANG_SECONDS) as running, Client(running) as client:
        client.send("text", text="Hello there.")
        client.send("end")
        assert sending.wait(HANG_SECONDS)
        running.service.draining = running.server.should_exit = True
        assert client.until("done")[-1]["audio_seconds"] == 1.0


def test_the_clients_in_the_documents_work(stub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = (Path(__file__).resolve().parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", document, re.M | re.S):
        here = block.replace("127.0.0.1:50000", f"127.0.0.1:{stub.port}")
        names = {"__name__": "__main__"}
        exec(compile(here, "docs/serving.md", "exec"), names)
        if "client" in names:
            names["client"]._client_wrapper.httpx_client.httpx_client.close()
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes == {"live.pcm": pytest.approx(2 * 16000 * 2.1, abs=64), "eleven.mp3": pytest.approx(4000, abs=600)}
