"""A transcript that cannot be the words of its recording: every protocol that can tell it does."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import grpc
import pytest
from websockets.sync.client import connect

from parlando.audio.files import encode_audio
from parlando.request import Retries
from waiting import HANG_SECONDS
from whisper import whisper

LONG_WORDS = "so many words that nobody says them in two seconds " * 5
DOUBT = "transcript: 50 words take about 25.0 s, and the recording has 2.0 s of speech"


def recording():
    return encode_audio(whisper(2.0), 24000)


@pytest.fixture
def doubtful(fresh, monkeypatch):
    """A server whose model expects half a second for each word."""
    build = fresh.model.build

    def expecting(sentence, voice):
        return replace(build(sentence, voice), expected_frames=12.5 * len(sentence.split()))

    monkeypatch.setattr(fresh.model, "build", expecting)
    monkeypatch.setattr(Retries, "shortest_share", 0.0)
    return fresh


def test_words_that_cannot_be_a_recordings_are_told_in_the_header(doubtful):
    http, encoded = doubtful.http, base64.b64encode(recording()).decode()
    speech = {"input": "Hello.", "ref_audio": encoded, "ref_text": LONG_WORDS}
    chat = [
        {"role": "user", "content": LONG_WORDS},
        {"role": "assistant", "content": [{"type": "input_audio", "input_audio": {"data": encoded}}]},
        {"role": "user", "content": "Hello."},
    ]
    form = {"data": {"tts_text": "Hello.", "prompt_text": LONG_WORDS}, "files": {"prompt_wav": ("a", recording())}}
    asked = [
        ("/v1/audio/speech", {"json": speech}),
        ("/v1/audio/speech", {"json": {**speech, "stream": False}}),
        ("/v1/audio/speech", {"json": {**speech, "stream_format": "sse"}}),
        ("/v1/chat/completions", {"json": {"messages": chat}}),
        ("/v1/chat/completions", {"json": {"messages": chat, "stream": True}}),
        ("/tts", {"json": {"text": "Hello.", "prompt_audio": encoded, "prompt_text": LONG_WORDS}}),
        ("/inference_zero_shot", form),
    ]
    for path, sent in asked:
        answer = http.post(path, **sent)
        assert answer.status_code == 200, answer.text
        assert DOUBT in answer.headers["x-parlando-warnings"], (path, sent)
    sample = {"audio_sample": ("ann.wav", recording(), "audio/wav")}
    consent = {"name": "ann", "text": LONG_WORDS, "consent": "Ann Speaker, 2026-11-21"}
    answer = http.post("/v1/audio/voices", data=consent, files=sample)
    assert (answer.status_code, DOUBT in answer.headers["x-parlando-warnings"]) == (201, True)
    fitting = http.post("/v1/audio/speech", json={**speech, "ref_text": "These are four words."})
    assert "x-parlando-warnings" not in fitting.headers


def test_the_same_is_told_over_a_websocket(doubtful):
    with connect(f"{doubtful.url.replace('http', 'ws')}/v1/audio/speech/stream", max_size=None) as wire:
        encoded = base64.b64encode(recording()).decode()
        for message in (
            {"type": "start", "ref_audio": encoded, "ref_text": LONG_WORDS},
            {"type": "text", "text": "Hello."},
            {"type": "end"},
        ):
            wire.send(json.dumps(message))
        while (got := json.loads(wire.recv(timeout=HANG_SECONDS)))["type"] != "done":
            assert got["type"] != "error", got
    (warning,) = got["warnings"]
    assert DOUBT in warning


def test_the_same_is_told_over_grpc(serving, cosyvoice_stubs, monkeypatch):
    messages, stubs = cosyvoice_stubs
    with serving(grpc_port=0) as running:
        build = running.model.build
        monkeypatch.setattr(running.model, "build", lambda *of: replace(build(*of), expected_frames=625))
        monkeypatch.setattr(Retries, "shortest_share", 0.0)
        with grpc.insecure_channel(f"127.0.0.1:{running.service.ports['grpc']}") as channel:
            request = messages.zeroshotRequest(tts_text="Hello.", prompt_text="Words.", prompt_audio=recording())
            call = stubs.CosyVoiceStub(channel).Inference(
                messages.Request(zero_shot_request=request), timeout=HANG_SECONDS
            )
            told = dict(call.initial_metadata())
            assert list(call)
    assert "1 words take about 25.0 s" in told["x-parlando-warnings"]
