"""One request through every door gives the library's own samples, before any lossy encoding."""

from __future__ import annotations

import base64
import json

import grpc
import numpy as np
import pytest
from websockets.sync.client import connect

from parlando.audio.files import read_audio
from waiting import HANG_SECONDS

TEXT, VOICE, SEED = "One word, and two more.", "slt", 3


def http(running, _):
    return running.say(TEXT, voice=VOICE, seed=SEED).content


def sse(running, _):
    answer = running.say(TEXT, voice=VOICE, seed=SEED, stream_format="sse").text
    events = [json.loads(line[6:]) for line in answer.splitlines() if line]
    return b"".join(base64.b64decode(event["audio"]) for event in events if "audio" in event)


def chat(running, _):
    body = {"messages": [{"role": "user", "content": TEXT}], "audio": {"voice": VOICE, "format": "pcm16"}, "seed": SEED}
    answer = running.http.post("/v1/chat/completions", json=body).json()
    return base64.b64decode(answer["choices"][0]["message"]["audio"]["data"])


def websocket(running, _):
    got = []
    with connect(running.url.replace("http", "ws") + "/v1/audio/speech/stream") as wire:
        wire.send(json.dumps({"type": "start", "voice": VOICE, "seed": SEED}))
        for piece in TEXT.partition("ord"):
            wire.send(json.dumps({"type": "text", "text": piece}))
        wire.send(json.dumps({"type": "end"}))
        while not got or got[-1]["type"] not in ("done", "error"):
            got.append(json.loads(wire.recv(timeout=HANG_SECONDS)))
    return b"".join(base64.b64decode(message["audio"]) for message in got if message["type"] == "audio")


def elevenlabs(running, _):
    query = {"output_format": "pcm_24000"}
    return running.http.post(
        f"/v1/text-to-speech/{VOICE}", params=query, json={"text": TEXT, "seed": SEED, "model_id": "eleven_v3"}
    ).content


def elevenlabs_live(running, _):
    query = f"output_format=pcm_24000&seed={SEED}"
    with connect(f"{running.url.replace('http', 'ws')}/v1/text-to-speech/{VOICE}/stream-input?{query}") as wire:
        for piece in (" ", *TEXT.partition("ord"), ""):
            wire.send(json.dumps({"text": piece}))
        got = [json.loads(message) for message in wire]
    return b"".join(base64.b64decode(message["audio"]) for message in got if message["audio"])


def tts(running, _):
    answer = running.http.post("/tts", json={"text": TEXT, "speaker": VOICE, "seed": SEED}).json()
    clip = read_audio(base64.b64decode(answer["audio"]))
    return np.rint(clip.samples * 32768).astype("<i2").tobytes()


def cosyvoice_grpc(running, stubs):
    pb2, generated = stubs
    with grpc.insecure_channel(f"127.0.0.1:{running.service.ports['grpc']}") as channel:
        request = pb2.Request(sft_request=pb2.sftRequest(spk_id=VOICE, tts_text=TEXT))
        answers = generated.CosyVoiceStub(channel).Inference(request, metadata=[("x-seed", str(SEED))])
        return b"".join(answer.tts_audio for answer in answers)


@pytest.fixture(scope="module")
def expected(spoken):
    return np.concatenate([chunk.samples for chunk in spoken.host.synthesizer.stream(TEXT, VOICE, seed=SEED)])


@pytest.mark.parametrize(
    "door",
    [http, sse, chat, websocket, elevenlabs, elevenlabs_live, tts, cosyvoice_grpc],
    ids=lambda door: door.__name__,
)
def test_every_door_gives_the_librarys_samples(spoken, cosyvoice_stubs, expected, door):
    got = np.frombuffer(door(spoken, cosyvoice_stubs), "<i2") / 32767
    np.testing.assert_allclose(got, expected, atol=1.01 / 32767)
