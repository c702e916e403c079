"""The voices door: upload, use, versions, restart, deletion; and nothing outside its folder."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace

import numpy as np
import openai
import pytest

from parlando.audio.files import encode_audio
from parlando.core.errors import ConfigError, FileMissingError
from parlando.core.types import Voice
from parlando.core.voicefile import write_voice
from parlando.serve.app import check_start
from parlando.serve.config import ServeConfig
from whisper import whisper

WORDS = {"text": "What is said.", "consent": "Ann Speaker, 2026-11-21"}


def recording(seed=0, seconds=2.0, format="wav"):
    return encode_audio(whisper(seconds, seed=seed), 24000, format)


def upload(running, name="ann", audio=None, **fields):
    files = {"audio_sample": ("../../evil.wav", recording() if audio is None else audio, "audio/wav")}
    return running.http.post("/v1/audio/voices", data={"name": name, **WORDS, **fields}, files=files)


def every_file(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def home(tmp_path):
    return tmp_path / "voices"


def test_an_uploaded_voice_speaks_is_listed_and_outlives_the_server(serving, home):
    with serving(voice_folder=str(home)) as running:
        response = upload(running, language="en", description="a calm voice")
        assert response.status_code == 201, response.text
        card = response.json()
        assert (card["name"], card["version"], card["consent"]) == ("ann", 1, WORDS["consent"])
        assert card["seconds"] == pytest.approx(2.0, abs=0.1)
        assert running.say(voice="ann").status_code == 200
        assert running.model.asked[-1][1].references[0].text == WORDS["text"]
        codes = next(name for name in every_file(home) if name.endswith(".codes.json"))
        assert every_file(home) == sorted([codes, "ann/1/recording.flac", "ann/1/voice.json"])
    with serving(voice_folder=str(home)) as running:
        assert running.say(voice="ann").status_code == 200
        assert running.model.encodings == 1, "only the sweep that names the model's codes"
        listed = {voice["name"]: voice for voice in running.http.get("/v1/audio/voices").json()["voices"]}
        assert (listed["ann"]["origin"], listed["ada"]["origin"], listed["nova"]["stands_for"]) == (
            "uploaded",
            "model",
            "ada",
        )
        assert [listed[name]["display_name"] for name in ("ada", "bob", "ann")] == ["Ada Lake", None, None]
        assert running.http.get("/v1/audio/voices/ann").json() == listed["ann"]
        assert running.http.delete("/v1/audio/voices/ann").json()["deleted"] is True
        assert every_file(home) == []
        assert running.say(voice="ann").status_code == 404
        assert running.http.delete("/v1/audio/voices/ann").status_code == 404


def test_the_same_name_again_is_a_new_version(serving, home):
    with serving(voice_folder=str(home)) as running:
        upload(running)
        assert upload(running, text="Other words.").json()["version"] == 2
        running.say(voice="ann")
        assert running.model.asked[-1][1].references[0].text == "Other words."
    assert {"ann/1/voice.json", "ann/2/voice.json"} < set(every_file(home))


@pytest.mark.parametrize(
    "name", ["../x", "..", ".", "", "a/b", "a\\b", "/etc/passwd", "a\x00b", "-x", "x" * 65, "é", "a."]
)
def test_a_name_that_is_a_path_trick_is_refused_and_writes_nothing(serving, tmp_path, home, name):
    with serving(voice_folder=str(home)) as running:
        response = upload(running, name)
        assert response.status_code == 400, response.text
        assert response.json()["error"]["message"]
    assert every_file(tmp_path) == []


BAD = [
    ({"consent": " "}, 400),
    ({"text": "..."}, 400),
    ({"text": ""}, 400),
    ({"type": "prompt"}, 400),
    ({"name": "ada"}, 400),
    ({"language": "klingon"}, 400),
    ({"foo": "bar", "strict": "true"}, 400),
    ({"text": "a" * 4097}, 400),
    ({"text": "a" * 3_000_000}, 413),
    ({"audio": b""}, 400),
    ({"audio": b"MZ not audio"}, 400),
    ({"audio": recording(seconds=0.3)}, 400),
    ({"audio": recording(seconds=61)}, 400),
    ({"audio": encode_audio(np.zeros(48000, np.float32), 24000)}, 400),
]


@pytest.mark.parametrize(("change", "status"), BAD, ids=lambda value: str(value)[:28])
def test_what_cannot_serve_is_refused_and_writes_nothing(patient, change, status):
    folder = patient.service.shelf.store.folder
    response = upload(patient, **change)
    assert response.status_code == status, response.text
    assert response.json()["error"]["message"]
    assert every_file(folder) == []


def test_a_missing_field_is_named(patient):
    response = patient.http.post("/v1/audio/voices", data={"name": "x"}, files={"audio_sample": recording()})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "consent"
    assert patient.http.post("/v1/audio/voices", content=b"x").status_code == 400


def test_a_models_own_voice_stays(patient):
    response = patient.http.delete("/v1/audio/voices/ada")
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_input")


def test_more_voices_than_allowed_are_refused(serving):
    with serving(limits={"max_voices": 1}) as running:
        assert upload(running).status_code == 201
        assert upload(running, "bea").status_code == 413
        assert upload(running).status_code == 201, "a new version of one that is there"


def test_presets_come_from_a_folder(serving, tmp_path):
    (tmp_path / "carl.wav").write_bytes(recording())
    with pytest.raises(ConfigError, match=r"carl.txt"), serving(preset_folder=str(tmp_path)):
        pass
    (tmp_path / "carl.txt").write_text("What Carl says.\n")
    (tmp_path / "ada.wav").write_bytes(b"MZ not audio")
    (tmp_path / "ada.txt").write_text("What Ada says.\n")
    with pytest.raises(ConfigError, match=r"ada.wav"):
        check_start(ServeConfig(preset_folder=str(tmp_path), voice_folder=str(tmp_path / "voices")))
    (tmp_path / "ada.wav").write_bytes(recording())
    with pytest.raises(ConfigError, match="'stub' has a voice of that name"), serving(preset_folder=str(tmp_path)):
        pass
    (tmp_path / "ada.wav").rename(tmp_path / "carl.flac")
    with pytest.raises(ConfigError, match="carl.flac' and 'carl.wav' are presets of one name"):
        check_start(ServeConfig(preset_folder=str(tmp_path), voice_folder=str(tmp_path / "voices")))
    (tmp_path / "carl.flac").unlink()
    write_voice(tmp_path / "dora.json", Voice("dora", "a young woman"))
    with serving(preset_folder=str(tmp_path), voices={"boss": "carl"}) as running:
        for name in ("carl", "boss", "dora"):
            assert running.say(voice=name).status_code == 200
        assert running.model.asked[-2][1].references[0].text == "What Carl says."
        assert running.model.asked[-1][1].description == "a young woman"
        origins = {voice["name"]: voice["origin"] for voice in running.http.get("/v1/audio/voices").json()["voices"]}
        assert (origins["carl"], origins["dora"], origins["boss"]) == ("preset", "preset", "alias")
    with pytest.raises(FileMissingError, match="folder of presets"), serving(preset_folder=str(tmp_path / "none")):
        pass


def test_a_card_that_was_moved_is_noticed(serving, home):
    with serving(voice_folder=str(home)) as running:
        upload(running)
    (home / "ann").rename(home / "eve")
    with pytest.raises(ConfigError, match="it describes 'ann'"), serving(voice_folder=str(home)):
        pass
    card = home / "eve" / "1" / "voice.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "name": "eve"}))
    with serving(voice_folder=str(home)) as running:
        assert running.say(voice="eve").status_code == 200


def test_the_packaged_model_follows_an_uploaded_recording(spoken):
    clip = spoken.http.post(
        "/v1/audio/speech",
        json={"input": "The quick brown fox jumps over.", "voice": "awb", "response_format": "mp3", "seed": 1},
    ).content
    response = upload(spoken, "follower", clip, text="The quick brown fox jumps over.")
    assert response.status_code == 201, response.text
    said = np.frombuffer(spoken.say("Hello.", voice="follower", seed=1).content, "<i2") / 32767
    assert len(said) > 24000 * 0.2
    assert np.abs(said).max() > 0.05


def created(running, **more):
    """As OpenAI's client makes a voice, which knows no words of a recording."""
    client = running.openai()
    sample = ("me.wav", recording(), "audio/wav")
    return client.audio.voices.create(name="ann", audio_sample=sample, consent="Ann, today", **more)


def test_openais_client_makes_a_voice_where_a_recogniser_hears_the_words(serving, monkeypatch):
    said = SimpleNamespace(transcribe=lambda clip, language: f"{clip.duration_seconds:.0f} seconds in {language}")
    monkeypatch.setattr("parlando.serve.voices.open_recogniser", lambda name: said)
    with serving(recogniser="pocketsphinx") as running:
        voice = created(running)
        assert (voice.id, voice.name, voice.object, voice.type) == ("ann", "ann", "audio.voice", "audio_sample")
        assert isinstance(voice.created_at, int)
        client = running.openai()
        assert len(client.audio.speech.create(model="tts-1", voice={"id": voice.id}, input="Hello.").content) > 1000
        assert running.model.asked[-1][1].references[0].text == "2 seconds in en"
        audio = base64.b64encode(recording(3)).decode()
        assert running.say(ref_audio=audio).status_code == 200
        assert running.model.asked[-1][1].references[0].text == "2 seconds in auto"
        assert client.audio.voices.delete("ann").deleted is True


def test_openais_client_makes_a_voice_without_words_where_the_model_needs_none(serving):
    with serving() as running:
        running.model.needs_transcript = False
        created(running)
        assert running.say(voice="ann").status_code == 200
        assert running.model.asked[-1][1].references[0].text == ""


def test_openais_client_is_told_what_to_do_where_words_are_needed(patient):
    with pytest.raises(openai.BadRequestError, match="needs the words .* no --recogniser.* cosyvoice-mini"):
        created(patient)
    with pytest.raises(openai.BadRequestError, match="from recordings here, not from descriptions"):
        created(patient, extra_body={"type": "prompt"})
    assert every_file(patient.service.shelf.store.folder) == []
