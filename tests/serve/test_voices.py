"""The voices door: upload, use, versions, restart, deletion; and nothing outside its folder."""

from __future__ import annotations

import base64
import json
import unicodedata
from types import SimpleNamespace
from urllib.parse import quote

import numpy as np
import openai
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from parlando.audio.files import encode_audio
from parlando.core.errors import ConfigError, FileMissingError
from parlando.core.types import Voice
from parlando.core.voicefile import write_voice
from parlando.serve.app import check_start
from parlando.serve.config import ServeConfig
from parlando.serve.limits import new_key
from waiting import HANG_SECONDS
from whisper import whisper

WORDS = {"text": "What is said.", "consent": "Ann Speaker, 2026-11-21"}


def recording(seed=0, seconds=2.0, format="wav"):
    return encode_audio(whisper(seconds, seed=seed), 24000, format)


def upload(running, name="ann", audio=None, headers=None, **fields):
    files = {"audio_sample": ("../../evil.wav", recording() if audio is None else audio, "audio/wav")}
    return running.http.post("/v1/audio/voices", data={"name": name, **WORDS, **fields}, files=files, headers=headers)


KEYS = ("ann", "bob", "admin")


@pytest.fixture
def keyed(serving, home, tmp_path):
    """Start servers with keys, and the headers of who has one."""
    keys = tmp_path / "keys.txt"
    headers = {name: {"authorization": f"Bearer {new_key(keys, name)}"} for name in KEYS}

    def start(**config):
        return serving(voice_folder=str(home), api_keys=str(keys), **config)

    return start, headers


def says(running, voice, headers):
    body = {"input": "Hello.", "voice": voice, "response_format": "pcm"}
    return running.http.post("/v1/audio/speech", json=body, headers=headers).status_code


def names(running, headers):
    return {each["name"] for each in running.http.get("/v1/audio/voices", headers=headers).json()["voices"]}


def test_a_voice_is_its_keys_own(keyed, home):
    start, headers = keyed
    path = "/v1/audio/voices/mia"
    with start() as running:
        assert upload(running, "mia", headers=headers["ann"]).json()["owner"] == "ann"
        assert says(running, "mia", headers["ann"]) == 200
        assert "mia" in names(running, headers["ann"])
        for stranger in ("bob", None):
            theirs = headers.get(stranger, {})
            assert running.http.delete(path, headers=theirs).status_code == (404 if stranger else 401)
        assert says(running, "mia", headers["bob"]) == 404
        assert "mia" not in names(running, headers["bob"])
        assert running.http.get(path, headers=headers["bob"]).status_code == 404
        theirs = running.http.get("/v1/voices", headers=headers["bob"]).json()["voices"]
        assert "mia" not in {each["voice_id"] for each in theirs}
        assert running.http.get("/v1/voices/mia", headers=headers["bob"]).status_code == 404
        assert upload(running, "mia", text="What Bob says.", headers=headers["bob"]).json()["version"] == 1
        says(running, "mia", headers["ann"])
        assert running.model.asked[-1][1].references[0].text == WORDS["text"], "nobody else's words are in her voice"
        says(running, "mia", headers["bob"])
        assert running.model.asked[-1][1].references[0].text == "What Bob says."
        assert running.http.delete(path, headers=headers["bob"]).status_code == 200
        assert running.http.delete(path, headers=headers["bob"]).status_code == 404
    with start() as running:
        assert says(running, "mia", headers["ann"]) == 200
        assert says(running, "mia", headers["bob"]) == 404
        assert running.http.delete(path, headers=headers["admin"]).status_code == 200
        assert every_file(home) == []


def test_what_the_admin_makes_is_the_servers(keyed):
    start, headers = keyed
    with start() as running:
        assert upload(running, "hall", headers=headers["admin"]).json()["owner"] is None
        assert says(running, "hall", headers["bob"]) == 200
        response = running.http.delete("/v1/audio/voices/hall", headers=headers["bob"])
        assert (response.status_code, response.json()["error"]["code"]) == (403, "not_yours")
        assert says(running, "hall", headers["ann"]) == 200
        assert running.http.delete("/v1/audio/voices/hall", headers=headers["admin"]).status_code == 200


def test_no_upload_stands_where_a_model_has_a_voice(keyed, several_stubs):
    start, headers = keyed
    first, second = several_stubs("first", "second")
    second.model.voices = {"slt": Voice("slt", "a woman")}
    second.model.default_voice = "slt"
    with start(synthesizer=[first, second]) as running:
        assert upload(running, "slt", headers=headers["bob"]).status_code == 400, "the second model has one"
        voices, body = running.service.voices, {"input": "Hello.", "model": "second", "voice": "alloy"}
        voices._taken = frozenset()  # as with a voice from before the second model was served
        assert upload(running, "slt", headers=headers["bob"]).status_code == 201
        assert running.http.post("/v1/audio/speech", json=body, headers=headers["ann"]).status_code == 200
        assert second.model.asked[-1][1] is second.model.voices["slt"]


def test_a_name_is_given_to_the_servers_voices_only(keyed):
    start, headers = keyed
    with start() as running:
        for key in ("ann", "bob"):
            assert upload(running, "brand", headers=headers[key]).status_code == 201
    with pytest.raises(ConfigError, match=r"narrator: there is no 'brand'"), start(voices={"narrator": "brand"}):
        pass
    with start() as running:
        assert upload(running, "brand", text="What is ours.", headers=headers["admin"]).status_code == 201
    with start(voices={"narrator": "brand"}) as running:
        for key in KEYS:
            assert says(running, "narrator", headers[key]) == 200
            assert running.model.asked[-1][1].references[0].text == "What is ours."


def test_voices_from_before_there_were_keys_are_the_servers(keyed, serving, home):
    start, headers = keyed
    with serving(voice_folder=str(home)) as running:
        upload(running, "old")
    card = home / "old" / "1" / "voice.json"
    known = json.loads(card.read_text())
    del known["owner"]
    card.write_text(json.dumps(known))
    with start() as running:
        assert says(running, "old", headers["bob"]) == 200
        assert running.http.delete("/v1/audio/voices/old", headers=headers["bob"]).status_code == 403
        assert upload(running, "new", headers=headers["bob"]).status_code == 201
    with serving(voice_folder=str(home)) as running:
        assert says(running, "new", {}) == 200, "without keys all voices are everybody's"
        assert running.http.delete("/v1/audio/voices/new").status_code == 200


@pytest.mark.parametrize("door", ["live", "elevenlabs"])
def test_sockets_know_the_key_as_well(keyed, door):
    start, headers = keyed
    with start() as running:
        upload(running, "mia", headers=headers["ann"])
        path = "/v1/audio/speech/stream" if door == "live" else "/v1/text-to-speech/mia/stream-input"
        heard = {}
        for name in ("ann", "bob"):
            messages = [{"text": "Hello. "}, {"text": ""}]
            if door == "live":
                words = {"type": "text", "text": "Hello."}
                messages = [{"type": "start", "voice": "mia"}, words, {"type": "end"}]
            with connect(f"ws://127.0.0.1:{running.port}{path}", additional_headers=headers[name]) as wire:
                try:
                    for message in messages:
                        wire.send(json.dumps(message))
                    heard[name] = wire.recv(timeout=HANG_SECONDS)
                except ConnectionClosed as closed:
                    heard[name] = str(closed)
        assert "no voice named" not in heard["ann"]
        assert "no voice named 'mia'" in heard["bob"]


@pytest.mark.parametrize(
    "name", ["alloy", "Echo", "MARIN", "ｎｏｖａ", "verse", "中文女", "boss", "ADA", "Bob", "belinda", "En_Woman"]
)
def test_a_name_that_means_somebody_cannot_be_taken(untouched, name):
    untouched.say(voice="alloy")
    before = untouched.model.asked[-1][1]
    response = upload(untouched, name)
    assert response.status_code == 400
    assert "means a voice of this server already; choose another name" in response.json()["error"]["message"]
    untouched.say(voice="alloy")
    assert untouched.model.asked[-1][1] == before
    assert every_file(untouched.service.voices.store.folder) == []


def test_an_old_upload_under_openais_name_takes_nobodys_place(serving, home):
    with serving(voice_folder=str(home)) as running:
        upload(running, "friend")
    (home / "friend").rename(home / "nova")
    card = home / "nova" / "1" / "voice.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "name": "nova"}))
    with serving(voice_folder=str(home)) as running:
        assert running.say(voice="nova").status_code == 200
        assert running.model.asked[-1][1].name == "ada"
        assert running.http.delete("/v1/audio/voices/nova").status_code == 200
        assert every_file(home) == []


@pytest.mark.parametrize("names", [["Zoë", "李雷", "ольга", "हिन्दी", "みどり", "٣مريم", "x" * 64], ["Zoe\u0308"]])
def test_a_name_may_have_letters_of_any_script(serving, home, names):
    with serving(voice_folder=str(home)) as running:
        for name in names:
            kept = upload(running, name)
            assert kept.status_code == 201, kept.text
            assert kept.json()["name"] == unicodedata.normalize("NFC", name)
            assert running.say(voice=name).status_code == 200
    with serving(voice_folder=str(home)) as running:
        for name in names:
            assert running.say(voice=name).status_code == 200
            path = f"/v1/audio/voices/{quote(unicodedata.normalize('NFC', name))}"
            assert running.http.get(path).status_code == 200
            assert running.http.delete(f"/v1/audio/voices/{quote(name)}").status_code == 200
        assert every_file(home) == []


def every_file(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def home(tmp_path):
    return tmp_path / "voices"


@pytest.fixture(scope="module")
def untouched(serving, tmp_path_factory):
    """A server that nobody gets a voice into; its folder of voices is alone in another one."""
    with serving(voice_folder=str(tmp_path_factory.mktemp("around") / "voices"), voices={"boss": "ada"}) as running:
        yield running


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


def test_letters_in_parts_name_the_same_voice(serving, home, tmp_path):
    presets = tmp_path / "presets"
    presets.mkdir()
    write_voice(presets / f"{unicodedata.normalize('NFD', 'Noël')}.json", Voice("Noël", "a young man"))
    aliases = {unicodedata.normalize("NFD", "André"): "bob"}
    with serving(voice_folder=str(home), preset_folder=str(presets), voices=aliases) as running:
        assert upload(running, unicodedata.normalize("NFD", "Zoë")).status_code == 201
        for name in ("Zoë", "Noël", "André"):
            for written in (unicodedata.normalize(form, name) for form in ("NFC", "NFD")):
                path = f"/v1/audio/voices/{quote(written)}"
                assert running.http.get(path).json()["name"] == name
                assert running.http.get(f"{path}/sample").status_code == 200
                assert running.say(voice=written).status_code == 200
        path = f"/v1/audio/voices/{quote(unicodedata.normalize('NFD', 'André'))}"
        assert running.http.delete(path).status_code == 400


def test_the_same_name_again_is_a_new_version(serving, home):
    with serving(voice_folder=str(home)) as running:
        upload(running)
        assert upload(running, text="Other words.").json()["version"] == 2
        running.say(voice="ann")
        assert running.model.asked[-1][1].references[0].text == "Other words."
    assert {"ann/1/voice.json", "ann/2/voice.json"} < set(every_file(home))


TRICKS = ("../x", "..", ".", "", "a/b", "a\\b", "/etc/passwd", "a\x00b", "-x", "x" * 65, "a.", "@ann", "a b")


@pytest.mark.parametrize("name", [*TRICKS, "a\u200db", "\u0301a", "a\u202eb", "a\uff0fb", "⅔", "😀", "\U00020000" * 64])
def test_a_name_that_is_a_path_trick_is_refused_and_writes_nothing(untouched, name):
    response = upload(untouched, name)
    assert response.status_code == 400, response.text
    assert response.json()["error"]["message"]
    assert every_file(untouched.service.voices.store.folder.parent) == []


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
    folder = patient.service.voices.store.folder
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
    said = SimpleNamespace(hear=lambda clip, language: f"{clip.duration_seconds:.0f} seconds in {language}")
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
    with pytest.raises(
        openai.BadRequestError, match="needs the words .* no recogniser runs .* or serve a model .* cosyvoice-mini"
    ):
        created(patient)
    with pytest.raises(openai.BadRequestError, match="from recordings here, not from descriptions"):
        created(patient, extra_body={"type": "prompt"})
    assert every_file(patient.service.voices.store.folder) == []
