"""What the page asks beside the routes of everybody: samples, sentences, what models can do, conversion, and files."""

from __future__ import annotations

import json

import numpy as np
import pytest

import parlando
from cosyvoice_tiny import tiny_cosyvoice
from parlando.audio.clip import Clip
from parlando.audio.files import encode_audio
from parlando.core.errors import TextError
from parlando.serve.limits import new_key
from parlando.speech import Synthesizer
from whisper import whisper


def test_a_sample_is_the_same_each_time_and_not_sent_twice(fresh, decoded):
    first = fresh.http.get("/v1/audio/voices/bob/sample")
    assert (first.status_code, first.headers["content-type"]) == (200, "audio/mpeg")
    samples, rate = decoded(first.content)
    assert rate == 24000
    assert len(samples) / rate == pytest.approx(2 * 1 + 0.3, abs=1.2), "three sentences of the stub at most"
    sentence, voice = fresh.model.asked[-1]
    assert (voice.name, sentence) == ("bob", "What would you like to hear?")
    assert fresh.http.get("/v1/audio/voices/bob/sample").content == first.content
    asked = len(fresh.model.asked)
    again = fresh.http.get("/v1/audio/voices/bob/sample", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content, len(fresh.model.asked)) == (304, b"", asked)
    missing = fresh.http.get("/v1/audio/voices/nobody/sample")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "voice_not_found")


def test_a_new_version_of_a_voice_has_a_sample_of_its_own(fresh):
    def upload(seed):
        files = {"audio_sample": ("a.wav", encode_audio(whisper(2.0, seed=seed), 24000))}
        words = {"name": "ann", "text": "What is said.", "consent": "Ann"}
        assert fresh.http.post("/v1/audio/voices", data=words, files=files).status_code == 201
        return fresh.http.get("/v1/audio/voices/ann/sample").headers["etag"]

    first = upload(1)
    second = upload(2)
    assert fresh.http.delete("/v1/audio/voices/ann").status_code == 200
    assert len({first, second, upload(2)}) == 3, "made again, it is another one"


def test_events_tell_of_sentences_only_if_asked(stub):
    def events(**more):
        body = {
            "input": "The first one is here.\n\nThe second one is next.",
            "response_format": "pcm",
            "stream_format": "sse",
            **more,
        }
        lines = stub.http.post("/v1/audio/speech", json=body).text.splitlines()
        return [json.loads(line[6:]) for line in lines if line]

    plain, told = events(), events(sentences=True)
    assert {each["type"] for each in plain} == {"speech.audio.delta", "speech.audio.done"}
    marks = [each for each in told if each["type"].startswith("speech.sentence")]
    places = [(each["sentence"], each.get("start_seconds", each.get("end_seconds"))) for each in marks]
    pause_seconds = places[2][1] - 1.0
    assert 0 < pause_seconds < 1
    assert places == [(0, 0.0), (0, 1.0), (1, 1.0 + pause_seconds), (1, 2.0 + pause_seconds)]
    assert [each["text"] for each in marks[::2]] == ["The first one is here.", "The second one is next."]
    assert [each["finish"] for each in marks[1::2]] == ["end", "end"]
    audio = ["".join(each["audio"] for each in found if "audio" in each) for found in (plain, told)]
    assert len(audio[0]) == len(audio[1]) > 96000


def test_events_tell_when_each_word_of_the_text_is_heard_if_asked(stub):
    text = "Its price is $3, \N{GRINNING FACE} all in. The fourth word **begins** here."
    body = {"input": text, "response_format": "pcm", "stream_format": "sse", "words": True, "speed": 0.5}
    lines = stub.http.post("/v1/audio/speech", json=body).text.splitlines()
    told = [json.loads(line[6:]) for line in lines if line]
    assert {each["type"] for each in told} == {"speech.audio.delta", "speech.word", "speech.audio.done"}
    words = [each for each in told if each["type"] == "speech.word"]
    said = ["Its", "price", "is", "$3", "all", "in", "The", "fourth", "word", "begins", "here"]
    assert [each["text"] for each in words] == said
    assert [text[each["start"] : each["stop"]] for each in words] == said
    assert {each["source"] for each in words} == {"attention"}
    starts = [each["start_seconds"] for each in words]
    # Its price is three dollars, all in: seven words in two seconds of 50 frames.
    assert starts[:5] == pytest.approx([2 * word / 7 for word in (0, 1, 2, 3, 5)], abs=0.081)
    pause_seconds = starts[6] - 2.0
    assert 0 < pause_seconds < 1
    assert np.diff(starts[6:]) == pytest.approx([0.4] * 4, abs=0.001)
    assert words[-1]["end_seconds"] == pytest.approx(4 + pause_seconds)
    kinds = [each["type"] for each in told]
    assert kinds.index("speech.word") < len(kinds) - 1 - kinds[::-1].index("speech.audio.delta"), "while it is spoken"


def test_words_are_where_they_sound_at_another_rate(stub):
    def starts(rate):
        body = {
            "input": "The first one is here. The second one is next.",
            "response_format": "pcm",
            "sample_rate": rate,
        }
        lines = stub.http.post(
            "/v1/audio/speech", json={**body, "stream_format": "sse", "words": True}
        ).text.splitlines()
        told = [json.loads(line[6:]) for line in lines if line]
        return [each["start_seconds"] for each in told if each["type"] == "speech.word"]

    assert starts(8000) == pytest.approx(starts(24000), abs=0.001)


def test_what_models_can_do_is_found_by_asking_them(serving, several_stubs):
    one, other = several_stubs("one", "other")

    def english_only(sentence, voice, build=one.model.build):
        if not sentence.isascii():
            raise TextError("nothing to pronounce")
        return build(sentence, voice)

    one.model.build = english_only
    other.model.converter = object()
    with serving([one, other]) as running:
        found = running.http.get("/webui/models.json").json()["models"]
        assert running.http.get("/webui/models.json").json()["models"] == found
    assert found[0] == {"id": "one", "default_voice": "ada", "languages": ["en"], "converts": False}
    assert found[1]["languages"][:2] == ["en", "zh"]
    assert found[1]["converts"] is True


@pytest.mark.parametrize("name", ["higgs-mini", "cosyvoice-mini"])
def test_the_packaged_models_speak_english(serving, name):
    with serving(parlando.load(name, rows=1)) as running:
        (found,) = running.http.get("/webui/models.json").json()["models"]
        assert (found["languages"], found["converts"]) == (["en"], name == "cosyvoice-mini")


def test_a_recording_is_converted_by_a_model_that_can(serving, stub):
    recording = encode_audio(whisper(2.0), 24000)
    with serving(Synthesizer(tiny_cosyvoice())) as running:
        expected = running.host.synthesizer.convert(Clip(whisper(2.0), 24000), "bert").samples

        def ask(content=recording, **more):
            form = {"voice": "bert", "response_format": "pcm", **more}
            return running.http.post("/v1/audio/conversions", data=form, files={"file": ("a.wav", content)})

        answer = ask()
        assert (answer.status_code, answer.headers["x-sample-rate"]) == (200, str(running.host.synthesizer.sample_rate))
        assert len(answer.content) == 2 * len(expected)
        assert len(ask(speed="2").content) == pytest.approx(len(answer.content) / 2, rel=0.1)
        for content, code in ((b"not audio", "invalid_audio"), (b"", "invalid_audio")):
            refused = ask(content)
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, code), content
        assert ask(voice="nobody").status_code == 404
        told = ask(sped="2")
        assert (told.status_code, "'sped' is not a field" in told.headers["x-parlando-warnings"]) == (200, True)
        assert ask(sped="2", strict="true").status_code == 400
    refused = stub.http.post("/v1/audio/conversions", files={"file": ("a.wav", recording)})
    assert refused.status_code == 400
    assert "cannot convert recordings" in refused.json()["error"]["message"]


@pytest.mark.parametrize("format", ["mp3", "flac", "wav", "opus"])
def test_what_is_heard_becomes_a_file(stub, decoded, format):
    samples = np.round(32767 * 0.3 * np.sin(np.arange(24000) / 24000 * 2 * np.pi * 220)).astype("<i2")
    path = f"/v1/webui/encode?format={format}&sample_rate=24000"
    answer = stub.http.post(path, content=samples.tobytes())
    assert answer.status_code == 200
    found, rate = decoded(answer.content)
    assert len(found) / rate == pytest.approx(1, abs=0.1)
    for wrong in (b"", b"x"):
        assert stub.http.post(path, content=wrong).json()["error"]["code"] == "invalid_audio"


@pytest.mark.parametrize("rate", [-1, 0, 1, 7999, 48001, 10**9])
def test_a_file_has_a_rate_that_sound_has(stub, rate):
    for format in ("mp3", "opus", "wav"):
        refused = stub.http.post(f"/v1/webui/encode?format={format}&sample_rate={rate}", content=bytes(4000))
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "sample_rate")


def test_a_file_is_no_longer_than_what_may_be_said(serving):
    with serving(limits={"max_audio_seconds": 1.0}) as running:
        path = "/v1/webui/encode?format=wav&sample_rate=8000"
        assert running.http.post(path, content=bytes(16000)).status_code == 200
        assert running.http.post(path, content=bytes(16002)).status_code == 413


def test_files_are_made_for_whoever_may_speak(serving, stub, tmp_path):
    for format in ("exe", "pcm"):
        refused = stub.http.post(f"/v1/webui/encode?format={format}&sample_rate=24000", content=b"xx")
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_value")
    new_key(tmp_path / "keys.txt", "ann")
    with serving(api_keys=str(tmp_path / "keys.txt")) as running:
        for method, path in (
            ("POST", "/v1/webui/encode?format=mp3&sample_rate=24000"),
            ("GET", "/v1/audio/voices/ada/sample"),
            ("POST", "/v1/audio/conversions"),
        ):
            assert running.http.request(method, path).status_code == 401, path
