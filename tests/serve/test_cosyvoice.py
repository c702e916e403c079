"""CosyVoice's forms as its published client sends them, its gRPC by a client made from the interface, and /tts."""

from __future__ import annotations

import base64
import re

import grpc
import httpx
import numpy as np
import pytest
import requests

from parlando.audio.files import encode_audio, read_audio
from parlando.core.errors import TextError
from waiting import HANG_SECONDS
from whisper import whisper

THEIR_RATE = 22_050
RECORDING = whisper(2.0, 16000)
WAV = encode_audio(RECORDING, 16000)
PCM16 = (RECORDING * 2**15).astype("<i2").tobytes()


def form(running, method, path, prompt=False, **fields):
    """As their client: a form in the body, for GET too, and the answer as it comes."""
    uploads = {"prompt_wav": ("prompt_wav", WAV, "application/octet-stream")} if prompt else None
    request = running.http.build_request("POST", path, data=fields, files=uploads)
    request.method = method
    with_stream = running.http.send(request, stream=True)
    try:
        parts = list(with_stream.iter_raw())
    finally:
        with_stream.close()
    return with_stream, np.frombuffer(b"".join(parts), "<i2") if with_stream.status_code == 200 else b"".join(parts)


@pytest.fixture(scope="module")
def obedient(serving):
    """A server whose model follows instructions and clones without words, with gRPC."""
    with serving(instructions=True, grpc_port=0) as running:
        running.model.needs_transcript = False
        yield running


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_sft_streams_bare_samples(stub, method):
    response, wave = form(stub, method, "/inference_sft", tts_text="Hello there.", spk_id="bob")
    assert (response.status_code, len(wave)) == (200, THEIR_RATE), "what their client writes into its file"
    assert response.headers["content-type"] == "audio/pcm;rate=22050"
    assert stub.model.asked[-1][1].name == "bob"


def published_client(url, payload, files=None):
    """What CosyVoice's own client writes into its file: it looks at no status."""
    response = requests.request("GET", url, data=payload, files=files, stream=True)
    try:
        return b"".join(response.iter_content(chunk_size=16_000))
    finally:
        response.close()


def test_their_client_writes_sound_and_fails_with_the_reason_where_there_is_none(stub):
    said = published_client(f"{stub.url}/inference_sft", {"tts_text": "Hello.", "spk_id": "bob"})
    assert len(said) == 2 * THEIR_RATE
    for path, payload, files, reason in (
        ("sft", {"tts_text": "Hello.", "spk_id": "nobody"}, None, "404_no_voice_named_'nobody'"),
        ("sft", {"tts_text": "你好", "spk_id": ""}, None, "400_spk_id"),
        ("sft", {"tts_text": "unvoiced", "spk_id": "bob"}, None, "500_the_model_made_no_audio"),
        ("instruct", {"tts_text": "Hello.", "spk_id": "bob", "instruct_text": "Slowly."}, None, "no_instructions"),
        ("zero_shot", {"tts_text": "Hi.", "prompt_text": "Hm."}, {"prompt_wav": b"noise"}, "cannot_be_read_as_audio"),
    ):
        with pytest.raises(requests.exceptions.InvalidSchema, match=re.escape(reason)):
            published_client(f"{stub.url}/inference_{path}", payload, files)


@pytest.mark.parametrize(("speaker", "text", "status"), [("nobody", "Hello.", 404), ("bob", "unvoiced", 500)])
def test_what_their_client_is_answered_is_counted_and_logged_as_what_it_is(stub, caplog, speaker, text, status):
    def counted(status):
        sought = f'parlando_requests_total{{route="/inference_sft",status="{status}"}} (\\d+)'
        found = re.search(sought, stub.http.get("/metrics").text)
        return int(found[1]) if found else 0

    before, asked = counted(status), {"tts_text": text, "spk_id": speaker}
    with caplog.at_level("INFO", "parlando.serve"):
        answer = requests.get(f"{stub.url}/inference_sft", data=asked, allow_redirects=False)
    assert answer.status_code == 303
    assert (counted(status), counted(303)) == (before + 1, 0)
    assert f'"path": "/inference_sft", "status": {status}' in caplog.text


def test_whoever_looks_at_the_status_has_one(stub):
    asked = {"tts_text": "Hello.", "spk_id": "nobody"}
    by_post = requests.post(f"{stub.url}/inference_sft", data=asked)
    assert (by_post.status_code, by_post.json()["detail"][:5]) == (404, "no vo")
    by_another, _ = form(stub, "GET", "/inference_sft", **asked)
    assert by_another.status_code == 404
    answer = requests.get(f"{stub.url}/inference_sft", data=asked, allow_redirects=False)
    assert answer.json()["detail"].startswith("no voice named")
    assert requests.get(f"{stub.url}/v1/models/nothing").status_code == 404


@pytest.mark.parametrize(("speaker", "name"), [("中文女", "ada"), ("英文男", "bob")])
def test_their_own_speakers_stand_for_somebody(stub, speaker, name):
    assert form(stub, "POST", "/inference_sft", tts_text="Hello.", spk_id=speaker)[0].status_code == 200
    assert stub.model.asked[-1][1].name == name


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_zero_shot_follows_the_recording(stub, method):
    fields = {"tts_text": "Hello there.", "prompt_text": "What is said."}
    response, wave = form(stub, method, "/inference_zero_shot", prompt=True, **fields)
    assert (response.status_code, len(wave)) == (200, THEIR_RATE)
    assert stub.model.asked[-1][1].references[0].text == "What is said."


def test_cloning_without_words_and_instructions_are_for_models_that_can(stub, obedient):
    cases = [
        ("/inference_cross_lingual", True, {}, "words"),
        ("/inference_instruct", False, {"spk_id": "ada", "instruct_text": "Sadly."}, "instructions"),
        ("/inference_instruct2", True, {"instruct_text": "Sadly."}, "instructions"),
    ]
    for path, prompt, fields, said in cases:
        response, answer = form(stub, "POST", path, prompt, tts_text="Hello.", **fields)
        assert (response.status_code, said in answer.decode()) == (400, True), answer
        response, wave = form(obedient, "POST", path, prompt, tts_text="Hello.", **fields)
        assert (response.status_code, len(wave)) == (200, THEIR_RATE)
        assert obedient.model.asked[-1][1].scene == fields.get("instruct_text")


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/inference_sft", {"tts_text": "Hello."}, 400),
        ("/inference_sft", {"tts_text": "...", "spk_id": "ada"}, 400),
        ("/inference_sft", {"tts_text": "Hello.", "spk_id": "../../etc"}, 404),
        ("/inference_sft", {"tts_text": "a " * 10_000, "spk_id": "ada"}, 413),
        ("/inference_sft", {"tts_text": "Hello.", "spk_id": "ada", "speed": "2", "strict": "true"}, 400),
        ("/inference_zero_shot", {"tts_text": "Hello.", "prompt_text": "x", "prompt_wav": "text"}, 400),
    ],
)
def test_errors_are_details(stub, path, fields, status):
    response = stub.http.post(path, data=fields)
    assert response.status_code == status
    assert isinstance(response.json()["detail"], str)


def test_tts_answers_a_wav_in_base64(stub):
    answer = stub.http.post("/tts", json={"text": "Hello there.", "speaker": "bob", "seed": 3, "speed": 2.0})
    assert (answer.status_code, answer.json()["seed"], answer.json()["format"]) == (200, 3, "wav")
    assert (answer.json()["status"], answer.json()["sample_rate"]) == ("success", 24000)
    assert read_audio(base64.b64decode(answer.json()["audio"])).duration_seconds == pytest.approx(0.5, abs=0.01)
    prompt = {"prompt_audio": base64.b64encode(WAV).decode(), "prompt_text": "What is said."}
    assert stub.http.post("/tts", json={"text": "Hello.", **prompt}).status_code == 200
    assert stub.model.asked[-1][1].references[0].text == "What is said."
    for wrong in ({}, {"text": "Hi.", "volume": 1, "strict": True}, {"text": "Hi.", "prompt_audio": "!"}):
        assert stub.http.post("/tts", json=wrong).status_code == 400


def test_keys_guard_these_doors_too(serving, tmp_path):
    from parlando.serve.limits import new_key

    key = new_key(tmp_path / "keys", "ann")
    with serving(api_keys=str(tmp_path / "keys")) as running:
        for path in ("/tts", "/inference_sft"):
            assert running.http.post(path).status_code == 401
        given = {"Authorization": f"Bearer {key}"}
        assert running.http.post("/tts", json={"text": "Hi there."}, headers=given).status_code == 200


@pytest.fixture
def infer(obedient, cosyvoice_stubs):
    """Call the service with a request of one kind; bytes of every answer, in a list."""
    pb2, stubs = cosyvoice_stubs
    with grpc.insecure_channel(f"127.0.0.1:{obedient.service.ports['grpc']}") as channel:
        stub = stubs.CosyVoiceStub(channel)

        def call(kind, **fields):
            request = pb2.Request()
            getattr(request, kind).SetInParent()
            for name, value in fields.items():
                setattr(getattr(request, kind), name, value)
            return stub.Inference(request, timeout=HANG_SECONDS)

        yield call


def heard(answers):
    return np.frombuffer(b"".join(each.tts_audio for each in answers), "<i2")


def test_grpc_speaks_all_four_kinds(infer, obedient):
    assert len(heard(infer("sft_request", spk_id="bob", tts_text="Hello there."))) == THEIR_RATE
    assert obedient.model.asked[-1][1].name == "bob"
    fields = {"tts_text": "Hello there.", "prompt_text": "What is said.", "prompt_audio": PCM16}
    assert len(heard(infer("zero_shot_request", **fields))) == THEIR_RATE
    assert obedient.model.asked[-1][1].references[0].text == "What is said."
    assert len(heard(infer("cross_lingual_request", tts_text="Hello there.", prompt_audio=WAV))) == THEIR_RATE
    fields = {"tts_text": "Hello there.", "spk_id": "ada", "instruct_text": "Sadly."}
    assert len(heard(infer("instruct_request", **fields))) == THEIR_RATE
    assert obedient.model.asked[-1][1].scene == "Sadly."


def test_grpc_streams_as_it_speaks_and_a_client_that_cancels_frees_the_row(infer, obedient):
    obedient.model.lm.step_seconds = 0.02
    try:
        answers = infer("sft_request", spk_id="ada", tts_text="An endless one.")
        assert len(next(answers).tts_audio) > 0
        assert not obedient.idle()
        assert dict(answers.initial_metadata())["x-sample-rate"] == "22050"
        answers.cancel()
        obedient.wait_until(obedient.idle)
    finally:
        obedient.model.lm.step_seconds = 0.0
    assert len(heard(infer("sft_request", spk_id="ada", tts_text="Hello there."))) == THEIR_RATE


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        ("sft_request", {"spk_id": "nobody", "tts_text": "Hi."}, "NOT_FOUND"),
        ("sft_request", {"spk_id": "ada", "tts_text": "..."}, "INVALID_ARGUMENT"),
        ("zero_shot_request", {"tts_text": "Hi.", "prompt_audio": b"123"}, "INVALID_ARGUMENT"),
        ("cross_lingual_request", {"tts_text": "Hi.", "prompt_audio": PCM16[:100]}, "INVALID_ARGUMENT"),
        ("sft_request", {"spk_id": "ada", "tts_text": "unvoiced"}, "INTERNAL"),
    ],
)
def test_grpc_errors_are_statuses(infer, obedient, kind, fields, code):
    with pytest.raises(grpc.RpcError) as caught:
        heard(infer(kind, **fields))
    assert caught.value.code().name == code
    assert "Traceback" not in caught.value.details()
    obedient.wait_until(obedient.idle)


def test_grpc_refuses_what_is_no_request_and_a_model_that_fails_is_internal(infer, obedient):
    with grpc.insecure_channel(f"127.0.0.1:{obedient.service.ports['grpc']}") as channel:
        call = channel.unary_stream("/cosyvoice.CosyVoice/Inference")
        for body in (b"", b"\xff\xff\xff"):
            with pytest.raises(grpc.RpcError) as caught:
                list(call(body))
            assert caught.value.code().name == "INVALID_ARGUMENT"
    obedient.model.lm.failures = [RuntimeError("out of memory")]
    with pytest.raises(grpc.RpcError) as caught:
        heard(infer("sft_request", spk_id="ada", tts_text="Hello there."))
    assert caught.value.code().name == "INTERNAL"
    assert "memory" not in caught.value.details() or "failed" in caught.value.details()


def test_grpc_asks_for_a_key_and_is_counted(serving, cosyvoice_stubs, tmp_path):
    from parlando.serve.limits import new_key

    pb2, stubs = cosyvoice_stubs
    key = new_key(tmp_path / "keys", "ann")
    with serving(api_keys=str(tmp_path / "keys"), grpc_port=0) as running:
        with grpc.insecure_channel(f"127.0.0.1:{running.service.ports['grpc']}") as channel:
            request = pb2.Request(sft_request=pb2.sftRequest(spk_id="ada", tts_text="Hello there."))
            stub = stubs.CosyVoiceStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                heard(stub.Inference(request))
            assert caught.value.code().name == "UNAUTHENTICATED"
            assert len(heard(stub.Inference(request, metadata=[("authorization", f"Bearer {key}")]))) == THEIR_RATE
        text = httpx.get(f"{running.url}/metrics").text
        assert 'parlando_requests_total{route="/cosyvoice.CosyVoice/Inference",status="200"} 1' in text


def flac(sample_rate, seconds):
    return encode_audio(np.full(sample_rate * seconds, 0.01, np.float32), sample_rate, "flac")


BOMBS = {
    "long": (flac(8000, 61), "more than the 60 s allowed"),
    "fine": (flac(192_000, 31), "too many samples"),
    "coarse": (encode_audio(whisper(20.0, 100), 100), "no speech"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_recording_that_costs_more_than_a_voice_is_refused_through_every_door(obedient, cosyvoice_stubs, bomb):
    audio, said = BOMBS[bomb]
    data = base64.b64encode(audio).decode()
    clip = {"type": "input_audio", "input_audio": {"data": data}}
    messages = [{"role": "user", "content": ["What is said.", "Hello."][turn]} for turn in (0, 1)]
    messages.insert(1, {"role": "assistant", "content": [clip]})
    fields = {"tts_text": "Hello.", "prompt_text": "What is said."}
    http = obedient.http
    for response in (
        http.post("/v1/audio/speech", json={"input": "Hello.", "ref_audio": data, "ref_text": "What is said."}),
        http.post("/v1/chat/completions", json={"messages": messages}),
        http.post("/tts", json={"text": "Hello.", "prompt_audio": data, "prompt_text": "What is said."}),
        http.post("/inference_zero_shot", data=fields, files={"prompt_wav": audio}),
    ):
        assert (response.status_code, said in response.text) == (400, True), response.text
    if bomb == "long":
        pb2, stubs = cosyvoice_stubs
        request = pb2.Request(
            zero_shot_request=pb2.zeroshotRequest(
                tts_text="Hello.", prompt_text="What is said.", prompt_audio=bytes(2 * 16_000 * 61)
            )
        )
        address = f"127.0.0.1:{obedient.service.ports['grpc']}"
        with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError, match=said):
            list(stubs.CosyVoiceStub(channel).Inference(request, timeout=HANG_SECONDS))


def test_a_grpc_reader_who_stalls_is_let_go(serving, cosyvoice_stubs):
    pb2, stubs = cosyvoice_stubs
    request = pb2.Request(sft_request=pb2.sftRequest(spk_id="ada", tts_text=" ".join(["A long one."] * 30)))
    with serving(grpc_port=0, limits={"stall_seconds": 0.5}) as running:
        with grpc.insecure_channel(f"127.0.0.1:{running.service.ports['grpc']}") as channel:
            answers = stubs.CosyVoiceStub(channel).Inference(request, timeout=HANG_SECONDS)
            assert next(answers).tts_audio
            running.wait_until(running.idle)
            with pytest.raises(grpc.RpcError, match="nobody read the answer") as told:
                list(answers)
        assert told.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert running.say().status_code == 200


@pytest.mark.parametrize(("rate", "samples"), [(16000, 16000), (0, 24000)])
def test_the_rate_of_their_clients_can_be_chosen(serving, cosyvoice_stubs, rate, samples):
    pb2, stubs = cosyvoice_stubs
    with serving(grpc_port=0, cosyvoice_rate=rate) as running:
        response, wave = form(running, "GET", "/inference_sft", tts_text="Hello there.", spk_id="bob")
        assert (len(wave), response.headers["x-sample-rate"]) == (samples, str(samples))
        with grpc.insecure_channel(f"127.0.0.1:{running.service.ports['grpc']}") as channel:
            request = pb2.Request(sft_request=pb2.sftRequest(spk_id="ada", tts_text="Hello there."))
            answers = stubs.CosyVoiceStub(channel).Inference(request, metadata=[("x-seed", "-1")])
            assert len(heard(answers)) == samples


def test_more_grpc_calls_at_once_than_allowed_are_refused(serving, cosyvoice_stubs):
    pb2, stubs = cosyvoice_stubs
    request = pb2.Request(sft_request=pb2.sftRequest(spk_id="ada", tts_text="A long one."))
    with serving(grpc_port=0, grpc_max_concurrent=1) as running:
        with grpc.insecure_channel(f"127.0.0.1:{running.service.ports['grpc']}") as channel:
            stub = stubs.CosyVoiceStub(channel)
            running.model.lm.step_seconds = 0.02
            first = stub.Inference(request)
            next(first)
            with pytest.raises(grpc.RpcError) as caught:
                next(stub.Inference(request))
            first.cancel()
        assert caught.value.code().name == "RESOURCE_EXHAUSTED"
        running.model.lm.step_seconds = 0.0
        running.wait_until(running.idle)


@pytest.mark.parametrize("path", ["/tts"])
@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": "Hi.", "speaker": "nobody"}])
def test_a_failed_tts_says_so_in_status_and_error(stub, path, body):
    answer = stub.http.post(path, json=body)
    assert answer.status_code in (400, 404)
    assert (answer.json()["status"], answer.json()["error"]) == ("error", answer.json()["detail"])


def test_their_own_text_on_a_model_that_cannot_read_it_names_one_that_can(obedient, infer, monkeypatch):
    def build(sentence, voice):
        raise TextError("nothing to pronounce; this model speaks English")

    monkeypatch.setattr(obedient.model, "build", build)
    said = "cannot speak this Chinese text .* --model FunAudioLLM/CosyVoice2-0.5B"
    theirs = {"tts_text": "你好，我是语音大模型，请问有什么可以帮您的吗？", "spk_id": "中文女"}
    response = obedient.http.post("/inference_sft", data=theirs)
    assert response.status_code == 400
    assert re.search(said, response.json()["detail"])
    with pytest.raises(grpc.RpcError, match=said):
        heard(infer("sft_request", **theirs))
