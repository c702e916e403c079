"""ElevenLabs' routes and WebSockets, as the official client uses them."""

from __future__ import annotations

import base64
import io
import json
from contextlib import suppress

import httpx
import numpy as np
import pytest
import soundfile
from elevenlabs.client import ElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.types import VoiceSettings
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from parlando.serve.elevenlabs import OUTPUTS
from waiting import HANG_SECONDS


@pytest.fixture(scope="module")
def theirs(patient):
    with httpx.Client() as http:
        yield ElevenLabs(base_url=patient.url, api_key="none", httpx_client=http)


def talk(running, path, messages):
    """Everything said to a client that sends these messages, until the server hangs up."""
    with connect(f"{running.url.replace('http', 'ws')}/v1/text-to-speech/{path}", max_size=None) as wire:
        for message in messages:
            wire.send(message if isinstance(message, str) else json.dumps(message))
        got = []
        with suppress(ConnectionClosedError):
            for each in wire:
                got.append(json.loads(each))
        return got, wire.protocol.close_code


def samples(messages, context=None):
    data = [m["audio"] for m in messages if m.get("audio") and m.get("contextId") == context]
    return np.frombuffer(b"".join(map(base64.b64decode, data)), "<i2")


@pytest.mark.parametrize("name", ["mp3_44100_128", "mp3_22050_32", "opus_48000_64", "wav_24000", "wav_8000"])
def test_compressed_formats_decode_at_their_rate(theirs, decoded, name):
    data = b"".join(theirs.text_to_speech.convert("ada", text="Hello there.", output_format=name))
    wave, rate = decoded(data)
    assert rate == int(name.split("_")[1])
    assert len(wave) / rate == pytest.approx(1.0, abs=0.1)
    assert np.abs(wave).max() > (0.2 if np.abs(wave).max() <= 2 else 6000)


@pytest.mark.parametrize("name", ["pcm_8000", "pcm_16000", "pcm_48000", "ulaw_8000", "alaw_8000"])
def test_pcm_and_telephony_play_the_tone(theirs, name):
    data = b"".join(theirs.text_to_speech.stream("ada", text="Hello there.", output_format=name, seed=1))
    codec, rate = name.split("_")
    subtype = {"pcm": "PCM_16", "ulaw": "ULAW", "alaw": "ALAW"}[codec]
    wave, _ = soundfile.read(io.BytesIO(data), format="RAW", samplerate=int(rate), channels=1, subtype=subtype)
    assert len(wave) == int(rate)
    assert np.abs(np.fft.rfft(wave)).argmax() == pytest.approx(220, abs=2)
    assert np.abs(wave).max() == pytest.approx(0.3, abs=0.05)


def test_every_output_that_is_listed_answers(stub):
    for name in OUTPUTS:
        answer = stub.http.post(f"/v1/text-to-speech/ada?output_format={name}", json={"text": "Hi there."})
        assert (answer.status_code, len(answer.content) > 500) == (200, True), name


def test_settings_are_heeded_or_passed_over(theirs, stub):
    settings = VoiceSettings(stability=0.1, similarity_boost=0.2, style=0.3, use_speaker_boost=True, speed=2.0)
    data = theirs.text_to_speech.convert(
        "bob", text="Hello.", model_id="eleven_flash_v2_5", output_format="pcm_24000", voice_settings=settings,
        language_code="en", previous_text="Before.", apply_text_normalization="off", seed=4,
    )  # fmt: skip
    assert len(b"".join(data)) == pytest.approx(24000, abs=100)
    assert stub.model.asked[-1][1].name == "bob"


def test_their_clients_find_voices_and_models_and_openais_still_find_theirs(theirs, stub):
    assert {voice.voice_id for voice in theirs.voices.get_all().voices} == {"ada", "bob"}
    assert [voice.name for voice in theirs.voices.search(search="BOB").voices] == ["bob"]
    assert theirs.voices.get("ada").category == "premade"
    assert theirs.voices.get("ada").name == "Ada Lake", "what people are shown"
    (model,) = theirs.models.list()
    assert (model.model_id, model.can_do_text_to_speech) == ("stub", True)
    assert stub.openai().models.list().data[0].id == "stub"
    assert stub.http.get("/v1/models").json()["object"] == "list"


def test_voices_come_page_by_page(stub, theirs):
    first = theirs.voices.search(page_size=1)
    assert (len(first.voices), first.has_more, first.total_count) == (1, True, 2)
    second = theirs.voices.search(page_size=1, next_page_token=first.next_page_token)
    assert (len(second.voices), second.has_more, second.next_page_token) == (1, False, None)
    assert {voice.voice_id for voice in (*first.voices, *second.voices)} == {"ada", "bob"}
    assert stub.http.get("/v2/voices?next_page_token=99").json()["voices"] == []
    for wrong in ("page_size=101", "page_size=0", "next_page_token=x"):
        refused = stub.http.get(f"/v2/voices?{wrong}")
        assert (refused.status_code, refused.json()["detail"]["status"]) == (400, "invalid_value"), wrong


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"voice_id": "nobody"}, 404, "voice_not_found"),
        ({"output_format": "mp3_1_2"}, 400, "invalid_value"),
        ({"text": "..."}, 400, "invalid_text"),
        ({"model_id": "gpt-99"}, 404, "model_not_found"),
        ({"seed": -2}, 400, "invalid_value"),
        ({"language_code": "xx"}, 400, "invalid_value"),
        ({"text": "a " * 10_000}, 413, "too_large"),
    ],
    ids=str,
)
def test_errors_have_their_shape(theirs, change, status, code):
    with pytest.raises(ApiError) as caught:
        list(theirs.text_to_speech.convert(**{"voice_id": "ada", "text": "Hi.", **change}))
    assert caught.value.status_code == status
    assert caught.value.body["detail"]["status"] == code
    assert caught.value.body["detail"]["message"]


def test_a_model_that_fails_has_their_shape_and_a_missing_key_too(stub, serving, tmp_path):
    from parlando.serve.limits import new_key

    stub.model.lm.failures = [RuntimeError("out of memory")]
    answer = stub.http.post("/v1/text-to-speech/ada", json={"text": "Hello there."})
    assert (answer.status_code, answer.json()["detail"]["status"]) == (500, "generation_failed")
    key = new_key(tmp_path / "keys", "ann")
    with serving(api_keys=str(tmp_path / "keys")) as running, httpx.Client() as http:
        for given, good in (("wrong", False), (key, True)):
            client = ElevenLabs(base_url=running.url, api_key=given, httpx_client=http)
            if good:
                assert client.voices.get_all().voices
                continue
            with pytest.raises(ApiError) as caught:
                client.voices.get_all()
            assert (caught.value.status_code, caught.value.body["detail"]["status"]) == (401, "invalid_api_key")


@pytest.mark.filterwarnings("ignore:ConnectionClosed:DeprecationWarning")
def test_the_official_client_speaks_over_the_websocket(theirs, stub, monkeypatch):
    # It makes wss:// of any address; there is no TLS on this socket.
    monkeypatch.setattr(theirs.text_to_speech, "_ws_base_url", stub.url.replace("http", "ws"))
    said = ["Hello", " there, you.", " And", " now the rest."]
    data = b"".join(theirs.text_to_speech.convert_realtime("ada", text=iter(said), output_format="pcm_24000"))
    assert len(data) == pytest.approx(2 * 24000 * 2.1, abs=400)
    with pytest.raises(ApiError, match="nobody"):
        list(theirs.text_to_speech.convert_realtime("nobody", text=iter(said), output_format="pcm_24000"))


def test_stream_input_ends_with_the_last_audio(stub, decoded):
    begin = {"text": " ", "voice_settings": {"stability": 0.5, "speed": 2.0}, "xi_api_key": "x"}
    said = [begin, {"text": "Hello there. ", "try_trigger_generation": True}, {"text": "Bye now ", "flush": True}]
    got, code = talk(stub, "ada/stream-input?output_format=pcm_24000&model_id=eleven_v3", [*said, {"text": ""}])
    assert len(samples(got)) == pytest.approx(24000 * 2.1 / 2, abs=100)
    assert (got[-1]["isFinal"], got[-1]["audio"], code) == (True, None, 1000)
    got, _ = talk(stub, "ada/stream-input", [*said[1:], {"text": ""}])
    wave, rate = decoded(b"".join(base64.b64decode(m["audio"]) for m in got if m["audio"]))
    assert (rate, len(wave) / rate) == (44100, pytest.approx(2.1, abs=0.1))
    assert [m["isFinal"] for m in talk(stub, "ada/stream-input", [begin, {"text": ""}])[0]] == [True]


def test_stream_input_tells_with_a_sentences_last_sound_when_its_characters_are_heard(stub):
    from elevenlabs.types import AudioOutput

    said = [{"text": "It costs $3"}, {"text": " now. Bye "}, {"text": "now", "flush": True}, {"text": " Good day."}]
    got, _ = talk(stub, "ada/stream-input?output_format=pcm_8000", [*said, {"text": ""}])
    sounds, told = [], []
    for message in got[:-1]:
        sounds.append(len(base64.b64decode(message["audio"])) / 16_000)
        if message["alignment"]:
            times, read = AudioOutput(**message).alignment, AudioOutput(**message).normalized_alignment
            assert len(times.chars) == len(times.char_start_times_ms) == len(times.char_durations_ms)
            told.append(("".join(times.chars), "".join(read.chars), sum(sounds)))
            ends = [
                begin + lasts for begin, lasts in zip(times.char_start_times_ms, times.char_durations_ms, strict=True)
            ]
            assert [0, *ends[:-1]] == times.char_start_times_ms, "from the end of the one before, without a gap"
            assert ends[-1] == pytest.approx(1000 * sum(sounds), abs=20)
            assert sum(read.char_durations_ms) == ends[-1]
            sounds = []
    assert [each[:2] for each in told] == [
        ("It costs $3 now.", "It costs three dollars now."),
        (" Bye now", " Bye now."),
        (" Good day.", " Good day."),
    ]
    assert [each[2] for each in told] == pytest.approx([1.0, 1.1, 1.0], abs=0.03)
    assert got[-1]["alignment"] is None


def test_characters_are_heard_with_their_words(stub):
    body = {"text": "It costs $3 now."}
    answer = stub.http.post("/v1/text-to-speech/ada/with-timestamps?output_format=pcm_24000", json=body).json()
    times, read = answer["alignment"], answer["normalized_alignment"]
    assert "".join(times["characters"]) == body["text"]
    assert "".join(read["characters"]) == "It costs three dollars now."
    starts, words = times["character_start_times_seconds"], ("It", "costs", "$3", "now")
    assert [starts[body["text"].index(word)] for word in words] == pytest.approx([0.0, 0.2, 0.4, 0.8])
    assert read["character_start_times_seconds"][15] == pytest.approx(0.6), "dollars"


def test_alignments_of_contexts_do_not_mix(stub):
    messages = [
        {"text": "Hello there. ", "context_id": "a"},
        {"text": "Good bye. ", "context_id": "b"},
        {"text": "All of you.", "context_id": "a", "flush": True},
        {"close_socket": True},
    ]
    got, _ = talk(stub, "ada/multi-stream-input?output_format=mp3_44100_64", messages)
    told = {"a": "", "b": ""}
    for message in got:
        if message["alignment"]:
            told[message["contextId"]] += "".join(message["alignment"]["chars"])
    assert told == {"a": "Hello there. All of you.", "b": "Good bye."}


def test_multi_stream_input_keeps_contexts_apart(stub):
    messages = [
        {"text": " ", "context_id": "a"},
        {"text": "Hello there. ", "context_id": "a"},
        {"text": "This one is interrupted. And", "context_id": "b"},
        {"text": "Good bye", "contextId": "c", "flush": True},
        {"text": "", "context_id": "c"},
        {"context_id": "c", "close_context": True},
        {"context_id": "b", "close_context": True},
        {"close_socket": True},
    ]
    stub.model.lm.step_seconds = 0.004
    got, code = talk(stub, "ada/multi-stream-input?output_format=pcm_8000", messages)
    assert (len(samples(got, "a")), len(samples(got, "c")), code) == (8000, 8000, 1000)
    assert len(samples(got, "b")) < 8000
    assert sorted(m["contextId"] for m in got if m["isFinal"]) == ["a", "b", "c"]


def test_whole_sentences_are_spoken_at_once_and_dropped_by_an_interruption(stub):
    stub.model.lm.step_seconds = 0.02
    path = f"{stub.url.replace('http', 'ws')}/v1/text-to-speech/ada/multi-stream-input?output_format=pcm_8000"
    with connect(f"{path}&auto_mode=true", max_size=None) as wire:
        wire.send(json.dumps({"text": "One short sentence.", "context_id": "a"}))
        assert json.loads(wire.recv(timeout=HANG_SECONDS))["contextId"] == "a"
        wire.send(json.dumps({"text": "An endless one.", "context_id": "a"}))
        wire.send(json.dumps({"context_id": "a", "close_context": True}))
        stub.wait_until(stub.idle)
        wire.send(json.dumps({"close_socket": True}))
        got = [json.loads(each) for each in wire]
    assert len(samples(got, "a")) < 8000
    assert got[-1]["isFinal"]


@pytest.mark.parametrize(
    ("path", "messages", "said"),
    [
        ("nobody/stream-input", [], "nobody"),
        ("ada/stream-input?output_format=mp3", [], "output_format"),
        ("ada/stream-input?model_id=gpt", [], "gpt"),
        ("ada/stream-input", ["no"], "not JSON"),
        ("ada/stream-input", [{"text": 7}], "text"),
        ("ada/stream-input", [{"text": "a " * 10_000}], "flush in parts"),
        ("ada/stream-input", [{"text": "unvoiced "}, {"text": ""}], "no audio"),
        ("nobody/multi-stream-input", [], "nobody"),
    ],
)
def test_a_wrong_message_ends_the_connection_and_says_why(stub, path, messages, said):
    got, code = talk(stub, path, messages)
    assert code == 1008
    assert said in got[-1]["message"]
    stub.wait_until(stub.idle)


def in_order(alignment):
    """The text of an alignment whose times never go back."""
    starts, ends = alignment.character_start_times_seconds, alignment.character_end_times_seconds
    assert len(starts) == len(ends) == len(alignment.characters)
    assert all(start <= end for start, end in zip(starts, ends, strict=True))
    assert starts == sorted(starts)
    return "".join(alignment.characters)


TIMED_TEXT = "It cost $3 in the end. And nobody else was there to see it, as it was written."


def test_times_of_characters_come_with_the_whole_answer(theirs):
    answer = theirs.text_to_speech.convert_with_timestamps("ada", text=TIMED_TEXT, output_format="pcm_24000")
    seconds = len(base64.b64decode(answer.audio_base_64)) / 48000
    assert seconds == pytest.approx(2.1), "two sentences and a pause"
    assert in_order(answer.alignment) == TIMED_TEXT
    assert "three dollars" in in_order(answer.normalized_alignment)
    ends = answer.alignment.character_end_times_seconds
    assert ends[TIMED_TEXT.index("And") - 1] == pytest.approx(1.0)
    assert answer.alignment.character_start_times_seconds[TIMED_TEXT.index("And")] == pytest.approx(1.1)
    assert ends[-1] == pytest.approx(seconds, abs=0.01)


def test_times_of_characters_come_with_the_stream(theirs, stub):
    chunks = list(theirs.text_to_speech.stream_with_timestamps("ada", text=TIMED_TEXT, output_format="pcm_16000"))
    assert sum(len(base64.b64decode(chunk.audio_base_64)) for chunk in chunks) == pytest.approx(2.1 * 32000, abs=8)
    told = [chunk.alignment for chunk in chunks if chunk.alignment]
    assert "".join(map(in_order, told)) == TIMED_TEXT
    assert told[0].character_end_times_seconds[-1] <= told[1].character_start_times_seconds[0]
    refused = stub.http.post("/v1/text-to-speech/nobody/stream/with-timestamps", json={"text": "Hi."})
    assert (refused.status_code, refused.json()["detail"]["status"]) == (404, "voice_not_found")
    stub.wait_until(stub.idle)


def test_settings_user_and_subscription_are_what_their_clients_ask_for(theirs):
    assert theirs.voices.settings.get("ada").speed == 1.0
    assert theirs.voices.settings.get_default().stability == 0.5
    assert theirs.user.get().subscription.status == "active"
    subscription = theirs.user.subscription.get()
    assert (subscription.character_count, subscription.voice_slots_used) == (0, 0)
    assert subscription.character_limit > 10**9
    with pytest.raises(ApiError) as caught:
        theirs.voices.settings.get("nobody")
    assert caught.value.status_code == 404


@pytest.mark.parametrize("path", ["speech-to-speech/ada", "speech-to-speech/ada/stream", "voice-changer/ada"])
def test_a_model_that_cannot_convert_says_which_can(stub, path):
    answer = stub.http.post(f"/v1/{path}", files={"audio": ("a.wav", b"RIFF", "audio/wav")})
    assert (answer.status_code, answer.json()["detail"]["status"]) == (400, "invalid_input")
    assert "--model cosyvoice-mini" in answer.json()["detail"]["message"]
