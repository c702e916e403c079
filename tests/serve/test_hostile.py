"""Clients that leave, stall, lie and overdo it, and models that fail: right answers, no leaks, and the next works."""

from __future__ import annotations

import json
import logging
import socket
from contextlib import contextmanager

import pytest

from parlando.serve.http_limits import LONGEST_HEAD_BYTES

LONG = {"input": "A long one.", "response_format": "pcm"}
ENDLESS = {**LONG, "input": "An endless one."}


def status_of(answer):
    return int(answer.split(b" ", 2)[1])


def error_of(answer):
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]


def works(running):
    running.wait_until(running.idle)
    assert running.say().status_code == 200


def test_a_client_that_leaves_frees_its_row_within_a_step(stub):
    stub.model.lm.step_seconds = 0.05
    connection = stub.send(LONG)
    assert connection.recv(1000)
    engine = stub.host.synthesizer.engine
    assert engine.free_rows == stub.host.rows - 1
    connection.close()
    left_at = stub.model.lm.steps
    stub.wait_until(lambda: engine.free_rows == stub.host.rows)
    assert stub.model.lm.steps - left_at < 100, "1500 were on their way"
    stub.model.lm.step_seconds = 0.0
    works(stub)
    assert 'finish="aborted"' in stub.http.get("/metrics").text


def test_a_client_that_leaves_before_the_first_byte_frees_its_row(stub):
    stub.model.lm.step_seconds = 0.2
    connection = stub.send(ENDLESS)
    stub.wait_until(lambda: not stub.idle())
    connection.close()
    stub.wait_until(stub.idle)


@pytest.mark.parametrize("body", [{"messages": [{"role": "user", "content": "An endless one."}]}], ids=["chat"])
def test_a_client_that_leaves_an_answer_in_one_piece_frees_its_row(stub, body):
    stub.model.lm.step_seconds = 0.1
    connection = stub.send(body, "/v1/chat/completions")
    stub.wait_until(lambda: not stub.idle())
    connection.close()
    stub.wait_until(stub.idle)


def test_a_half_closed_socket_whose_client_then_leaves_costs_nothing(stub):
    stub.model.lm.step_seconds = 0.05
    connection = stub.send(ENDLESS)
    connection.shutdown(socket.SHUT_WR)
    stub.wait_until(lambda: not stub.idle())
    connection.close()
    stub.wait_until(stub.idle)


@contextmanager
def stalled(running):
    """Ask for far more than a socket holds, and read the beginning alone."""
    with running.connect() as connection:
        texts = {"input": " ".join(["A long one."] * 30), "response_format": "wav"}
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        data = json.dumps(texts).encode()
        connection.sendall(
            b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            + f"Content-Length: {len(data)}\r\n\r\n".encode()
            + data
        )
        assert connection.recv(100)
        yield


def test_a_reader_who_stalls_holds_up_nobody(stub):
    with stalled(stub):
        assert stub.say().status_code == 200
        stub.wait_until(lambda: stub.service.admissions["stub"].streams == 1)
    works(stub)


def test_a_reader_who_stalls_is_let_go(serving):
    with serving(limits={"stall_seconds": 0.5}) as running, stalled(running):
        works(running)
        running.http.close()
        running.wait_until(lambda: not running.server.server_state.connections)


def test_a_model_that_fails_at_once_is_a_500_and_later_cuts_the_stream(stub, raw, caplog):
    stub.model.lm.failures = [RuntimeError("out of memory")]
    with caplog.at_level(logging.ERROR, "parlando.serve"):
        response = stub.say()
        stub.wait_until(lambda: response.headers["x-request-id"] in caplog.text)
    assert (response.status_code, response.json()["error"]["code"]) == (500, "generation_failed")
    stub.model.lm.step_seconds = 0.01
    connection = stub.send(LONG)
    received = connection.recv(1000)
    stub.model.lm.failures = [RuntimeError("out of memory")]
    received += raw.read_all(connection)
    assert status_of(received) == 200
    assert not received.endswith(b"0\r\n\r\n"), "a stream that was cut must not look whole"
    stub.model.lm.step_seconds = 0.0
    works(stub)


def test_a_failure_on_the_way_is_an_event_in_a_stream_of_events(stub, raw):
    stub.model.lm.step_seconds = 0.01
    connection = stub.send({**LONG, "stream_format": "sse"}, headers="Connection: close\r\n")
    received = connection.recv(1000)
    stub.model.lm.failures = [RuntimeError("out of memory")]
    received += raw.read_all(connection)
    assert b'data: {"type":"error","error":{"message":"the model failed' in received
    assert received.endswith(b"0\r\n\r\n")
    assert b"speech.audio.done" not in received


def test_text_without_sound_is_an_error_and_not_an_empty_file(stub):
    response = stub.say("unvoiced", response_format="wav")
    assert (response.status_code, response.json()["error"]["code"]) == (500, "generation_failed")


def test_an_encoder_that_fails_is_a_500(stub, monkeypatch):
    def broken(format, rate):
        raise OSError("no encoder")

    monkeypatch.setattr("parlando.serve.service.open_encoder", broken)
    response = stub.say()
    assert (response.status_code, response.json()["error"]["code"]) == (500, "internal_error")
    assert "no encoder" not in response.text
    monkeypatch.undo()
    works(stub)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_worker_is_a_503_and_a_restart(fresh, caplog):
    fresh.model.lm.failures = [SystemExit(1)]
    with caplog.at_level(logging.ERROR, "parlando.serve"):
        assert fresh.say().status_code in (500, 503)
        statuses = [fresh.say().status_code for _ in range(3)]
    assert statuses[-1] == 200
    assert fresh.host.restarts == 1
    assert "died; starting another" in caplog.text


BODIES = [
    (b"{", 400),
    (b"", 400),
    (b"[]", 400),
    (b"null", 400),
    (b'"x"', 400),
    (b'{"input": "\xff\xfe"}', 400),
    (b'{"input": "\\ud800"}', 400),
    (b'{"input": NaN}', 400),
    (b'{"input": "Hi.", "speed": NaN}', 400),
    (b'{"input": "Hi.", "speed": 1e999}', 400),
    (b'{"input": "Hi.", "seed": 99999999999999999999999}', 400),
    (b"[" * 50_000, 400),
]


@pytest.mark.parametrize(("body", "status"), BODIES, ids=lambda value: str(value)[:24])
def test_a_malformed_body_is_refused_in_openais_shape(patient, raw, body, status):
    answer = raw.read_all(patient.send(body, headers="Connection: close\r\n"))
    assert status_of(answer) == status, answer
    assert error_of(answer)["message"]
    assert patient.say().status_code == 200


def test_a_hundred_megabytes_are_refused_before_they_are_sent(patient, raw):
    connection = patient.connect()
    connection.sendall(
        b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 104857600\r\n\r\n" + b'{"input": "'
    )
    answer = connection.recv(10_000)
    assert status_of(answer) == 413
    connection.close()


def test_a_chunked_body_without_end_is_cut_at_the_limit(serving):
    with serving(limits={"max_body_bytes": 100_000}) as running:

        def endless():
            for _ in range(50):
                yield b"x" * 10_000

        headers = {"content-type": "application/json"}
        response = running.http.post("/v1/audio/speech", content=endless(), headers=headers)
        assert response.status_code == 413


def test_a_body_that_does_not_come_is_a_408(serving):
    with serving(limits={"body_seconds": 0.3}) as running:
        connection = running.connect()
        connection.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert status_of(connection.recv(10_000)) == 408
        connection.close()


@pytest.mark.parametrize("path", ["/v1/nowhere", "/v1/audio/voices/..%2f..%2fetc", "/v1/models/%00", "/v1/%ff"])
def test_unknown_pages_are_404_in_openais_shape(patient, path):
    response = patient.http.get(path)
    assert response.status_code == 404
    assert response.json()["error"]["message"]


def test_a_wrong_method_and_a_wrong_media_are_4xx(patient):
    refused = patient.http.get("/v1/audio/speech")
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert refused.json()["error"]["code"] == "method_not_allowed"
    response = patient.http.post("/v1/audio/speech", content=b"input=Hi", headers={"content-type": "text/plain"})
    assert response.status_code == 400


@pytest.mark.parametrize("given", ["a b", "x" * 65, 'x"y', "\\"])
def test_a_hostile_request_id_is_not_echoed(patient, given):
    assert patient.http.get("/health", headers={"x-request-id": given}).headers["x-request-id"] != given


def test_a_decent_request_id_is(patient):
    assert patient.http.get("/health", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"


@pytest.mark.parametrize(
    "begun", [b"", b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nX-Slow: "], ids=["nothing", "half"]
)
def test_a_head_that_does_not_come_is_a_408(serving, raw, begun):
    with serving(limits={"head_seconds": 1.0}) as running:
        running.say()
        connection = running.connect()
        connection.sendall(begun)
        assert status_of(raw.read_all(connection)) == 408
        running.model.lm.step_seconds = 0.03
        assert len(running.say().content) == 48000, "whoever is being answered has all the time"


UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
CHUNKED = b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
LONG_HEADS = {
    "a field that does not end": b"GET /health HTTP/1.1\r\nX-Long: ",
    "an address that does not end": b"GET /health?",
    "a handshake that does not end": b"GET /v1/audio/speech/stream HTTP/1.1\r\n" + UPGRADE + b"X-Long: ",
    "many fields": b"GET /health HTTP/1.1\r\nHost: x\r\n" + (b"X-Long: " + b"x" * 1000 + b"\r\n") * 66 + b"\r\n",
}


@pytest.mark.parametrize("begun", LONG_HEADS.values(), ids=LONG_HEADS.keys())
def test_a_long_head_is_a_431_and_read_no_further(patient, raw, begun):
    connection = patient.connect()
    connection.sendall(begun.ljust(LONGEST_HEAD_BYTES + 1, b"x"))
    answer = raw.read_all(connection)
    assert status_of(answer) == 431
    assert error_of(answer)["code"] == "too_large"
    assert patient.say().status_code == 200


@pytest.mark.parametrize("first", [b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", CHUNKED], ids=["whole", "chunked"])
def test_what_comes_behind_a_request_may_be_no_longer_than_a_head(patient, raw, first):
    connection = patient.connect()
    connection.sendall(first)
    assert connection.recv(10_000)
    connection.sendall(b"0\r\nX-Long: " if first == CHUNKED else b"GET /health HTTP/1.1\r\nX-Long: ")
    connection.sendall(b"x" * LONGEST_HEAD_BYTES)
    assert status_of(raw.read_all(connection)) == 431


def test_a_body_and_a_head_below_the_limit_may_be_long(patient):
    response = patient.http.post("/v1/audio/speech", json={"input": "Hello."}, headers={"x-long": "x" * 60_000})
    assert response.status_code == 200
    assert patient.say("Hello. " * 2000, response_format="nothing", ref_audio="x" * 300_000).status_code == 400


def test_a_client_that_sends_no_more_still_gets_its_answer(patient, raw):
    connection = patient.send({"input": "Hello.", "response_format": "pcm"})
    connection.shutdown(socket.SHUT_WR)
    answer = raw.read_all(connection)
    *interim, final = answer.split(b"HTTP/1.1 ")[1:]
    assert all(each.startswith(b"100") for each in interim)
    assert final.startswith(b"200")
    assert answer.endswith(b"0\r\n\r\n"), "the whole of it, and then the connection is closed"
