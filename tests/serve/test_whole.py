"""Answers in one piece are files with true sizes and lengths."""

from __future__ import annotations

import base64
import io
import wave

import pytest
import soundfile

SECONDS, RATE = 1.0, 24_000
FRAME_SECONDS = {"wav": 0, "flac": 0, "pcm": 0, "mp3": 576 / RATE, "opus": 0.02, "aac": 1024 / RATE}


@pytest.mark.parametrize("format", FRAME_SECONDS)
def test_without_a_stream_the_answer_is_a_finished_file(patient, decoded, format):
    body = {"input": "Hello.", "response_format": format, "stream": False}
    response = patient.http.post("/v1/audio/speech", json=body)
    assert response.status_code == 200
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.headers["x-sample-rate"] == str(RATE)
    if format == "pcm":
        assert len(response.content) == 2 * RATE * SECONDS
        return
    samples, rate = decoded(response.content)
    assert SECONDS - 1e-3 <= len(samples) / rate <= SECONDS + FRAME_SECONDS[format] + 1e-3
    if format == "aac":
        assert response.headers["content-type"] == "audio/mp4"
    else:
        found = soundfile.info(io.BytesIO(response.content))
        assert found.frames / found.samplerate == pytest.approx(SECONDS, abs=FRAME_SECONDS[format] + 1e-3)


@pytest.mark.parametrize("door", ["chat", "tts"])
def test_whole_wav_answers_have_true_sizes(patient, door):
    if door == "chat":
        body = {"messages": [{"role": "user", "content": "Hello."}], "audio": {"format": "wav"}}
        data = patient.http.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["audio"]["data"]
    else:
        data = patient.http.post("/tts", json={"text": "Hello."}).json()["audio"]
    content = base64.b64decode(data)
    assert int.from_bytes(content[4:8], "little") == len(content) - 8
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getnframes(), file.getframerate()) == (RATE, RATE)


@pytest.mark.parametrize("stream", [None, True])
def test_a_stream_stays_one(patient, stream):
    body = {"input": "Hello.", "response_format": "wav", **({} if stream is None else {"stream": stream})}
    response = patient.http.post("/v1/audio/speech", json=body)
    assert "content-length" not in response.headers
    assert response.content[40:44] == b"\xff\xff\xff\xff"


def test_a_whole_answer_that_fails_is_an_error(stub):
    stub.model.lm.failures = [RuntimeError("broken")]
    response = stub.http.post("/v1/audio/speech", json={"input": "Hello.", "stream": False})
    assert response.status_code >= 500
    assert response.json()["error"]["message"]
