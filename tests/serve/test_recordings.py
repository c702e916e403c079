"""Every route that reads a recording takes the named containers only, and opens nothing that a file names."""

from __future__ import annotations

import base64
import json
import socket

import pytest
from websockets.sync.client import connect

from exploits import TRIED, make_exploits
from parlando.audio.files import encode_audio
from parlando.core.types import Frame, Prompt
from waiting import HANG_SECONDS
from whisper import whisper

WORDS = "What is said."


class Converter:
    """A frame for each of a recording, and the stub's tone for each frame."""

    def __init__(self, decoder):
        self.decoder, self.heard = decoder, 0

    def frames(self, samples, sample_rate):
        self.heard += 1
        return [Frame(token=index) for index in range(25 * len(samples) // sample_rate)]

    def open(self, voice, speed):
        return self.decoder.open(Prompt((), None, None, ""), speed)


@pytest.fixture(scope="module")
def converting(serving):
    """A server whose model converts recordings."""
    with serving() as running:
        running.model.converter = Converter(running.model.decoder)
        yield running


@pytest.fixture(scope="module")
def exploits(tmp_path_factory):
    """A few of each kind, around a voice that would serve, and an address that is listened to."""
    secret = tmp_path_factory.mktemp("secret") / "secret.wav"
    secret.write_bytes(encode_audio(whisper(2.0), 24_000))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.0)
        made = make_exploits(secret, listener.getsockname()[1])
        yield {name: made[name] for name in TRIED}
        with pytest.raises(BlockingIOError):
            listener.accept()


def asked(data):
    """Path, and what is sent there, of every route over HTTP."""
    encoded = base64.b64encode(data).decode()
    form = {"files": {"prompt_wav": ("a.wav", data)}}
    sound = {"type": "input_audio", "input_audio": {"data": encoded}}
    address = {"type": "audio_url", "audio_url": {"url": f"data:audio/wav;base64,{encoded}"}}
    text = {"type": "text", "text": WORDS}
    spoken = {"role": "user", "content": "Hello."}

    def chat(part):
        return {"json": {"messages": [{"role": "system", "content": [text, part]}, spoken]}}

    yield "/v1/audio/speech", {"json": {"input": "Hello.", "ref_audio": encoded, "ref_text": WORDS}}
    whole = {"input": "Hello.", "ref_audio": f"data:audio/wav;base64,{encoded}", "ref_text": WORDS, "stream": False}
    yield "/v1/audio/speech", {"json": whole}
    yield "/v1/chat/completions", chat(sound)
    yield "/v1/chat/completions", chat(address)
    yield "/tts", {"json": {"text": "Hello.", "prompt_audio": encoded, "prompt_text": WORDS}}
    yield "/inference_zero_shot", {"data": {"tts_text": "Hello.", "prompt_text": WORDS}, **form}
    yield "/inference_cross_lingual", {"data": {"tts_text": "Hello."}, **form}
    yield "/inference_instruct2", {"data": {"tts_text": "Hello.", "instruct_text": "Slowly."}, **form}
    voice = {"name": "eve", "text": WORDS, "consent": "Eve, today"}
    yield "/v1/audio/voices", {"data": voice, "files": {"audio_sample": ("a.wav", data)}}


@pytest.mark.parametrize("name", TRIED)
def test_no_route_opens_what_a_file_names(patient, exploits, name):
    tried = 0
    for path, sent in asked(exploits[name]):
        response = patient.http.post(path, **sent)
        assert response.status_code == 400, (path, response.text[:200])
        tried += "cannot be read as audio" in response.text or "holds no samples" in response.text
    assert tried >= 7, "all but the two that this model knows nothing of were refused for their recording"
    listed = patient.http.get("/v1/audio/voices").json()["voices"]
    assert "eve" not in {each["name"] for each in listed}


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "opus"])
def test_the_same_routes_take_recordings(patient, kind):
    answers = {path: patient.http.post(path, **sent).status_code for path, sent in asked(voice_in(kind))}
    assert {answers[path] for path in ("/v1/audio/speech", "/v1/chat/completions", "/tts")} == {200}
    assert answers["/inference_zero_shot"] == 200
    assert answers["/v1/audio/voices"] == 201
    assert patient.http.delete("/v1/audio/voices/eve").status_code == 200


def converted(data):
    """The same of every route that says a recording in another voice."""
    yield "/v1/audio/conversions", {"data": {"response_format": "pcm"}, "files": {"file": ("a.wav", data)}}
    for path in ("/v1/speech-to-speech/bob", "/v1/speech-to-speech/bob/stream"):
        yield f"{path}?output_format=pcm_24000", {"files": {"audio": ("a.wav", data)}}
    if not data.startswith(b"RIFF"):
        raw = {"data": {"file_format": "pcm_s16le_16"}, "files": {"audio": ("a.pcm", b"RIFF" + data)}}
        yield "/v1/speech-to-speech/bob", raw


@pytest.mark.parametrize("name", TRIED)
def test_no_conversion_opens_what_a_file_names(converting, exploits, name):
    for path, sent in converted(exploits[name]):
        response = converting.http.post(path, **sent)
        assert response.status_code == 400, (path, response.text[:200])
        assert "cannot be read as audio" in response.text or "holds no samples" in response.text, path
    assert converting.model.converter.heard == 0


def test_the_same_conversions_take_recordings(converting):
    heard = converting.model.converter.heard
    for path, sent in converted(voice_in("wav")):
        response = converting.http.post(path, **sent)
        assert (response.status_code, len(response.content)) == (200, 2 * 48_000), path
    assert converting.model.converter.heard == heard + 3
    converting.model.converter.heard = heard


def over_websocket(running, data):
    """What a context that follows this recording is answered, until it ends."""
    path = f"{running.url.replace('http', 'ws')}/v1/audio/speech/stream"
    with connect(path, max_size=None) as wire:
        encoded = base64.b64encode(data).decode()
        for message in (
            {"type": "start", "ref_audio": encoded, "ref_text": WORDS},
            {"type": "text", "text": "Hello."},
            {"type": "end"},
        ):
            wire.send(json.dumps(message))
        got = [json.loads(wire.recv(timeout=30))]
        while got[-1]["type"] not in ("done", "error"):
            got.append(json.loads(wire.recv(timeout=30)))
    return got


@pytest.mark.parametrize("name", TRIED)
def test_no_websocket_opens_what_a_file_names(patient, exploits, name):
    *before, last = over_websocket(patient, exploits[name])
    assert [message["type"] for message in before] in ([], ["started"])
    assert (last["type"], last["error"]["code"]) == ("error", "invalid_audio")
    patient.wait_until(patient.idle)


def test_the_same_websocket_takes_recordings(patient):
    got = over_websocket(patient, voice_in("wav"))
    assert got[-1]["type"] == "done"
    assert any(message["type"] == "audio" for message in got)


def voice_in(kind):
    return encode_audio(whisper(2.0), 24_000, kind)


@pytest.mark.parametrize("name", TRIED)
def test_grpc_opens_nothing_either(serving, exploits, cosyvoice_stubs, name):
    grpc = pytest.importorskip("grpc")
    messages, stubs = cosyvoice_stubs
    with serving(grpc_port=0) as running:
        with grpc.insecure_channel(f"127.0.0.1:{running.service.ports['grpc']}") as channel:
            request = messages.Request(
                zero_shot_request=messages.zeroshotRequest(
                    tts_text="Hello.", prompt_text=WORDS, prompt_audio=b"RIFF" + exploits[name]
                )
            )
            with pytest.raises(grpc.RpcError) as caught:
                list(stubs.CosyVoiceStub(channel).Inference(request, timeout=HANG_SECONDS))
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "cannot be read as audio" in caught.value.details()


def test_a_preset_that_is_a_list_of_files_ends_the_start(serving, exploits, tmp_path):
    from parlando.core.errors import ConfigError

    (tmp_path / "carl.wav").write_bytes(exploits["ffconcat"])
    (tmp_path / "carl.txt").write_text("What Carl says.")
    with pytest.raises(ConfigError, match=r"carl.wav.*cannot be read as audio"), serving(preset_folder=str(tmp_path)):
        pass
