from __future__ import annotations

import base64
import io
import json

import pytest
import soundfile

from fake_judges import LoudMos, PitchAsr, tone
from openai_stub import service
from parlando.core.errors import ConfigError
from parlando.evaluate.judges.http import Service, ServiceError
from parlando.evaluate.judges.pairwise import AudioModelJudge, FigureJudge, Verdict, parse_verdict
from parlando.evaluate.judges.transcription import TranscriptionService


def test_a_transcription_service_gets_a_wav_and_its_language():
    seen = []

    def answer(path, body, headers):
        seen.append((path, body, headers["Authorization"]))
        return 200, b'{"text": "hello"}', None

    with service(answer) as url:
        assert TranscriptionService(Service(url + "/v1/", "secret"), "w").hear(tone(200), "fr") == "hello"
    ((path, body, key),) = seen
    assert (path, key) == ("/v1/audio/transcriptions", "Bearer secret")
    assert b'name="language"\r\n\r\nfr\r\n' in body
    assert b'name="model"\r\n\r\nw\r\n' in body
    start = body.index(b"RIFF")
    assert soundfile.info(io.BytesIO(body[start : body.rindex(b"\r\n--")])).frames == 8000


def test_words_with_times_come_from_the_verbose_answer():
    words = {"text": "a b", "words": [{"word": "a", "start": 0, "end": 0.5}, {"word": "b", "start": 0.5, "end": 1}]}
    with service(lambda *_: (200, json.dumps(words).encode(), None)) as url:
        heard = TranscriptionService(Service(url)).hear_words(tone(200), "en")
    assert [(w.text, w.end_seconds) for w in heard] == [("a", 0.5), ("b", 1.0)]


@pytest.mark.parametrize(
    ("status", "data", "claimed", "message"),
    [
        (500, b'{"error":  "too\\n hot"}', None, r"answered 500: .*too"),
        (200, b"<html>", None, "not JSON"),
        (200, b"{}", None, "without a text"),
        (200, b"[]", None, "without a text"),
        (200, b'{"text": "half', 500, "127.0.0.1"),
    ],
)
def test_a_service_that_fails_is_told_with_its_url(status, data, claimed, message):
    with service(lambda *_: (status, data, claimed)) as url, pytest.raises(ServiceError, match=message):
        TranscriptionService(Service(url)).hear(tone(200), "en")


def test_nobody_at_an_address_is_told():
    with pytest.raises(ServiceError, match=r"http://127\.0\.0\.1:9/v1"):
        TranscriptionService(Service("http://127.0.0.1:9", timeout_seconds=2)).hear(tone(200), "en")


@pytest.mark.parametrize("url", ["ftp://host", "localhost:80", "http://"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ConfigError, match="not a valid URL"):
        Service(url)


def test_an_audio_model_gets_both_recordings_in_order_and_the_dimension():
    seen = []

    def answer(path, body, headers):
        seen.append(json.loads(body))
        verdict = 'Sure:\n{"first": "ok", "differences": "pause", "winner": 2}'
        return 200, json.dumps({"choices": [{"message": {"content": verdict}}]}).encode(), None

    with service(answer) as url:
        verdict = AudioModelJudge(Service(url), "ears").compare("Who?", "questions", tone(200), tone(400, 2.0))
    assert verdict == Verdict(2, "pause")
    (body,) = seen
    content = body["messages"][0]["content"]
    assert (body["model"], body["temperature"]) == ("ears", 0)
    assert "the melody of questions" in content[0]["text"]
    waves = [base64.b64decode(part["input_audio"]["data"]) for part in content if part["type"] == "input_audio"]
    assert [soundfile.info(io.BytesIO(wave)).duration for wave in waves] == [1.0, 2.0]


@pytest.mark.parametrize("answer", ["no json", '{"winner": 3}', '{"first": ""}', '{"winner": "first"}', "{broken"])
def test_an_answer_that_is_no_verdict_is_refused(answer):
    with pytest.raises(ServiceError, match="verdict|winner"):
        parse_verdict(answer)


def test_by_figures_errors_come_first_and_then_marks():
    words = {200: "one two", 400: "one two", 600: "one"}
    judge = FigureJudge(PitchAsr(words), LoudMos())
    assert judge.compare("One two.", "", tone(200), tone(600)).winner == 1
    assert judge.compare("One two.", "", tone(600), tone(400)).winner == 2
    loud = tone(400)
    louder = type(loud)(loud.samples * 3, loud.sample_rate)
    assert judge.compare("One two.", "", tone(200), louder).winner == 2
    assert judge.compare("One two.", "", louder, tone(200)).winner == 1
    assert judge.compare("One two.", "", tone(200), tone(400)).winner == 0
