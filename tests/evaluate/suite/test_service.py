from __future__ import annotations

import base64
import json

import pytest

from fake_judges import tone
from openai_stub import service
from parlando.audio.files import encode_audio
from parlando.core.errors import ParlandoError
from parlando.evaluate.judges.http import Service, ServiceError
from parlando.evaluate.suite.items import Item, Sample, Turn
from parlando.evaluate.suite.run import Run
from parlando.evaluate.suite.service import ServiceSystem

WAV = encode_audio(tone(200, 0.5).samples, 8000, "wav")


def test_a_service_is_asked_for_wav_and_timed():
    seen = []

    def answer(path, body, headers):
        seen.append((path, json.loads(body)))
        return 200, WAV, None

    with service(answer) as url:
        said = ServiceSystem(Service(url), "m", "eva", {"speed": 1.5}).say(Item("a", "Hello."), 9)
    assert seen == [
        (
            "/v1/audio/speech",
            {"model": "m", "input": "Hello.", "response_format": "wav", "seed": 9, "voice": "eva", "speed": 1.5},
        )
    ]
    assert said.clip.duration_seconds == 0.5
    assert 0 < said.first_audio_seconds <= said.work_seconds


def test_a_sample_is_sent_along_and_nobody_s_voice_is_the_default(tmp_path):
    (tmp_path / "p.wav").write_bytes(WAV)
    seen = []
    with service(lambda path, body, headers: seen.append(json.loads(body)) or (200, WAV, None)) as url:
        system = ServiceSystem(Service(url))
        system.say(Item("a", "Hello.", sample=Sample(tmp_path / "p.wav", "Prompt.")), 0)
        system.say(Item("b", "Hello."), 0)
    assert (base64.b64decode(seen[0]["ref_audio"]), seen[0]["ref_text"], "voice" in seen[0]) == (WAV, "Prompt.", False)
    assert (seen[1]["voice"], "ref_audio" in seen[1]) == ("alloy", False)


def test_a_dialogue_is_asked_for_turn_by_turn(tmp_path):
    (tmp_path / "a.wav").write_bytes(WAV)
    (tmp_path / "b.wav").write_bytes(WAV + b"\0\0")
    samples = (Sample(tmp_path / "a.wav", "A."), Sample(tmp_path / "b.wav", "B."))
    seen = []
    with service(lambda path, body, headers: seen.append(json.loads(body)) or (200, WAV, None)) as url:
        talk = Item("d", "Hi. Ho.", turns=(Turn(1, "Hi."), Turn(0, "Ho.")), samples=samples)
        said = ServiceSystem(Service(url)).say(talk, 4)
    assert [(each["input"], each["ref_text"], each["seed"]) for each in seen] == [("Hi.", "B.", 4), ("Ho.", "A.", 5)]
    assert said.clip.duration_seconds == pytest.approx(1.3)


@pytest.mark.parametrize(
    ("status", "data", "claimed", "message"),
    [
        (503, b"busy", None, "answered 503: busy"),
        (200, WAV[:2000], len(WAV), "broke off after 2000 bytes"),
        (200, b"", None, "without audio"),
        (200, b"not audio at all, but quite long enough to be taken for a header", None, "cannot be read as audio"),
    ],
)
def test_a_service_that_fails_costs_one_item(status, data, claimed, message):
    with service(lambda *_: (status, data, claimed)) as url, pytest.raises(ParlandoError, match=message):
        ServiceSystem(Service(url)).say(Item("a", "Hello."), 0)


def test_a_service_that_dies_half_way_is_counted_and_the_next_run_goes_on(tmp_path):
    asked = []

    def dying(path, body, headers):
        asked.append(json.loads(body)["input"])
        return (200, WAV, None) if len(asked) < 3 else (200, WAV[:900], len(WAV))

    items = [Item(str(n), f"Number {n}.", line=n + 1) for n in range(4)]
    with service(dying) as url:
        run = Run(tmp_path)
        outputs = run.speak(ServiceSystem(Service(url), "m"), items)
        assert [o.path is None for o in outputs] == [False, False, True, True]
        assert [p.where.split(", ")[1] for p in run.problems] == ["line 3 (2)", "line 4 (3)"]
        asked.clear()
        assert all(o.path for o in Run(tmp_path).speak(ServiceSystem(Service(url), "m"), items))
        assert asked == ["Number 2.", "Number 3."]


def test_nobody_at_an_address_is_an_error_of_the_item():
    with pytest.raises(ServiceError):
        ServiceSystem(Service("http://127.0.0.1:9", timeout_seconds=1)).say(Item("a", "Hello."), 0)
