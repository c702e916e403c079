"""OpenAI's speech route, as the official client and others use it, in every format, while it streams."""

from __future__ import annotations

import base64
import io
import json

import av
import numpy as np
import openai
import pytest

from parlando.audio.files import encode_audio, read_audio
from parlando.serve.names import FEMININE, MASCULINE, OPENAI_MODELS
from whisper import whisper

COMPRESSED = {"mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav"}


def decoded(data):
    """Samples of a file by ffmpeg's decoders."""
    with av.open(io.BytesIO(data)) as container:
        blocks = [frame.to_ndarray().astype(np.float64).mean(axis=0) for frame in container.decode(audio=0)]
    return np.concatenate(blocks)


def decoded_so_far(data):
    """Samples of the beginning of a file; where it is cut, decoding ends."""
    blocks = []
    try:
        with av.open(io.BytesIO(data)) as container:
            for frame in container.decode(audio=0):
                blocks.append(frame.to_ndarray().astype(np.float64).mean(axis=0))
    except (av.FFmpegError, EOFError):
        pass
    return np.concatenate(blocks) if blocks else np.zeros(0)


# It takes many chunks, so that no client finds all of them at once.
LONG = "The quick brown fox jumps over the lazy dog by the river."


@pytest.fixture(scope="module")
def expected_seconds(spoken):
    return len(spoken.say(LONG, voice="onyx", seed=1).content) / 2 / spoken.host.synthesizer.sample_rate


@pytest.mark.parametrize(("format", "media_type"), COMPRESSED.items())
def test_each_format_streams_and_decodes_to_the_speech_itself(spoken, expected_seconds, format, media_type):
    client = spoken.openai()
    asked = {"model": "gpt-4o-mini-tts", "voice": "onyx", "input": LONG, "extra_body": {"seed": 1}}
    with client.audio.speech.with_streaming_response.create(**asked, response_format=format) as response:
        assert response.headers["content-type"] == media_type
        assert response.headers["transfer-encoding"] == "chunked"
        parts = list(response.iter_bytes())
    whole = decoded(b"".join(parts))
    assert len(parts) >= 2
    assert len(decoded_so_far(b"".join(parts[: len(parts) // 2 + 1]))) > 0
    seconds = len(whole) / int(response.headers["x-sample-rate"])
    assert seconds == pytest.approx(expected_seconds, abs=0.2) or format == "opus"
    loud = np.abs(whole).max()
    assert loud > (0.05 if loud <= 2 else 1000)


def test_pcm_is_the_stream_of_the_library_sample_for_sample(spoken):
    expected = np.concatenate([c.samples for c in spoken.host.synthesizer.stream("One.", "slt", seed=3)])
    response = spoken.say("One.", voice="slt", seed=3)
    got = np.frombuffer(response.content, "<i2") / 32767
    np.testing.assert_allclose(got, expected, atol=1 / 32767)


@pytest.mark.parametrize("format", ["mp3", "opus", "pcm"])
def test_sse_carries_the_same_bytes_and_ends_with_usage(stub, format):
    asked = {"model": "tts-1", "voice": "nova", "input": "Hello.", "response_format": format}
    client = stub.openai()
    plain = client.audio.speech.create(**asked).content
    with client.audio.speech.with_streaming_response.create(**asked, stream_format="sse") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line.removeprefix("data: ")) for line in response.iter_lines() if line]
    assert {e["type"] for e in events[:-1]} == {"speech.audio.delta"}
    carried = b"".join(base64.b64decode(e["audio"]) for e in events[:-1])
    # Ogg streams are numbered at random.
    assert carried == plain or (format == "opus" and len(carried) == len(plain))
    assert events[-1] == {
        "type": "speech.audio.done",
        "usage": {"input_tokens": 3, "output_tokens": 25, "total_tokens": 28},
    }


def test_the_first_sound_comes_long_before_the_last(stub):
    stub.model.lm.step_seconds = 0.01
    with stub.http.stream("POST", "/v1/audio/speech", json={"input": "A long one.", "response_format": "mp3"}) as got:
        received = got.iter_raw()
        assert len(next(received)) > 0
        assert not stub.idle()
    stub.wait_until(stub.idle)


def test_all_of_openais_voices_and_models_answer_and_men_differ_from_women(stub):
    for name in (*FEMININE, *MASCULINE):
        assert stub.say(voice=name).status_code == 200
        assert stub.model.asked[-1][1].name == ("ada" if name in FEMININE else "bob")
    assert stub.say(voice={"id": "bob"}).status_code == 200
    assert stub.model.asked[-1][1].name == "bob"
    listed = [model.id for model in stub.openai().models.list()]
    assert set(OPENAI_MODELS) < set(listed)
    assert listed[0] == "stub"
    assert stub.openai().models.retrieve("tts-1").id == "tts-1"


def test_configured_names_lead_where_the_configuration_says(serving):
    with serving(voices={"nova": "bob", "boss": "bob"}, models={"mine": "stub"}) as running:
        for name in ("nova", "boss"):
            assert running.say(voice=name, model="mine").status_code == 200
            assert running.model.asked[-1][1].name == "bob"


@pytest.mark.parametrize(("speed", "seconds"), [(0.5, 2.0), (1.0, 1.0), (4.0, 0.25)])
def test_speed_and_sample_rate(stub, speed, seconds):
    response = stub.say(speed=speed, sample_rate=8000)
    assert response.headers["content-type"] == "audio/pcm;rate=8000"
    assert len(response.content) == pytest.approx(2 * 8000 * seconds, abs=16)


def test_sampling_options_reach_the_model_and_the_seed_is_told(stub, monkeypatch):
    seen, run = [], stub.host.run
    monkeypatch.setattr(stub.host, "run", lambda text, request: (seen.append(request), run(text, request))[1])
    response = stub.say(seed=7, temperature=0.2, top_k=0, top_p=0.5)
    assert response.headers["x-seed"] == "7"
    sampling = seen[0].sampling
    assert (sampling.temperature, sampling.top_k, sampling.top_p) == (0.2, None, 0.5)


def test_a_reference_recording_is_followed(stub):
    before = stub.model.encodings
    encoded = base64.b64encode(encode_audio(whisper(2.0), 24000)).decode()
    for audio in (encoded, f"data:audio/wav;base64,{encoded}"):
        response = stub.say(ref_audio=audio, ref_text="What is said.")
        assert response.status_code == 200, response.text
        assert stub.model.asked[-1][1].references[0].text == "What is said."
    assert stub.model.encodings - before <= 2, "a sweep at most, and one recording, encoded once"


WRONG = [
    ({"input": "..."}, 400, "invalid_text"),
    ({"input": ""}, 400, "invalid_text"),
    ({"input": "Hi.", "voice": "nobody"}, 404, "voice_not_found"),
    ({"input": "Hi.", "voice": "../../etc/passwd"}, 404, "voice_not_found"),
    ({"input": "Hi.", "model": "gpt-99"}, 404, "model_not_found"),
    ({"input": "Hi.", "speed": 9}, 400, "invalid_value"),
    ({"input": "Hi.", "seed": -2}, 400, "invalid_value"),
    ({"input": "Hi.", "sample_rate": 1}, 400, "invalid_value"),
    ({"input": "Hi.", "language": "xx"}, 400, "invalid_value"),
    ({"input": "Hi.", "response_format": "exe"}, 400, "invalid_value"),
    ({"input": "Hi.", "volume": 11, "strict": True}, 400, "invalid_value"),
    ({"input": ["Hi."]}, 400, "invalid_value"),
    ({"inputs": "Hi."}, 400, "invalid_value"),
    ({"input": "Hi.", "ref_audio": "aGVsbG8="}, 400, "invalid_audio"),
    ({"input": "Hi.", "ref_audio": "!!!", "ref_text": "x"}, 400, "invalid_audio"),
    ({"input": "Hi.", "ref_audio": "aGVsbG8=", "ref_text": "x"}, 400, "invalid_audio"),
    ({"input": "Hi.", "ref_audio": "http://localhost/x.wav", "ref_text": "x"}, 400, "invalid_audio"),
    ({"input": "Hi.", "ref_audio": "file:///etc/passwd", "ref_text": "x"}, 400, "invalid_audio"),
    ({"input": "a " * 10_000}, 413, "too_large"),
]


@pytest.mark.parametrize(("body", "status", "code"), WRONG, ids=lambda value: str(value)[:30])
def test_a_wrong_request_is_refused_in_openais_shape(patient, body, status, code):
    response = patient.http.post("/v1/audio/speech", json=body)
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["code"] == code
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    patient.wait_until(patient.idle)


def test_the_official_client_raises_its_own_errors(patient):
    client = patient.openai()
    with pytest.raises(openai.NotFoundError, match="no voice named 'nob'; there are: ada, bob. Did you mean 'bob'?"):
        client.audio.speech.create(model="tts-1", voice="nob", input="Hi.")
    with pytest.raises(openai.BadRequestError, match="give at least one word"):
        client.audio.speech.create(model="tts-1", voice="ada", input="?!")


def test_wav_is_readable_by_the_library(patient):
    clip = read_audio(patient.say(response_format="wav").content)
    assert (clip.sample_rate, clip.duration_seconds) == (24000, pytest.approx(1.0))


def test_a_recording_without_its_words_is_told_in_the_words_of_a_request(patient):
    encoded = base64.b64encode(encode_audio(whisper(2.0), 24000)).decode()
    message = patient.say(ref_audio=encoded).json()["error"]["message"]
    assert "ref_text" in message
    assert "--" not in message
