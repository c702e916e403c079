"""OpenAI's Realtime protocol over real sockets: its events as published, in both dialects, and what goes wrong."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from websockets.sync.client import connect

from parlando.audio.clip import to_pcm
from parlando.converse.partner import Phrases
from parlando.converse.patience import Patience, PatientModel
from talk_parts import DyingMind, Ears, HangingMind, Mind, question, silence, vowels
from waiting import HANG_SECONDS

PATH = "/v1/realtime?model=gpt-realtime"
LONG = "This is an endless one. And so on, "
BETA = {"OpenAI-Beta": "realtime=v1"}


class Client:
    """A client by hand: sends events, keeps all that it is told."""

    def __init__(self, running, **options):
        self.opening = connect(running.url.replace("http", "ws") + PATH, max_size=None, **options)
        self.told = []

    def __enter__(self):
        self.wire = self.opening.__enter__()
        self.session = self.next()["session"]
        return self

    def __exit__(self, *error):
        self.opening.__exit__(*error)

    def send(self, type, **more):
        self.wire.send(json.dumps({"type": type, **more}))

    def say(self, samples, data=None):
        data = to_pcm(samples).tobytes() if data is None else data
        self.send("input_audio_buffer.append", audio=base64.b64encode(data).decode())

    def write(self, text):
        content = [{"type": "input_text", "text": text}]
        self.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})

    def next(self):
        self.told.append(json.loads(self.wire.recv(timeout=HANG_SECONDS)))
        return self.told[-1]

    def until(self, type):
        """All events up to the first of that type."""
        got = [self.next()]
        while got[-1]["type"] != type:
            assert got[-1]["type"] != "error" or type == "response.done", got[-1]
            got.append(self.next())
        return got

    def refused(self):
        return self.until_error()["error"]

    def until_error(self):
        while (event := self.next())["type"] != "error":
            pass
        return event


def types(events):
    return [event["type"] for event in events]


def audio(events, name="response.output_audio.delta"):
    return b"".join(base64.b64decode(event["delta"]) for event in events if event["type"] == name)


@contextmanager
def talking(running, *, mind=None, ears=None, **options):
    """A client of a server whose partner has this mind and these ears."""
    usual = running.service.partner
    patience = Patience(HANG_SECONDS, HANG_SECONDS)
    running.service.partner = replace(
        usual,
        text_model=PatientModel(mind or Mind(), patience),
        recogniser=ears or Ears(),
        phrases=Phrases("What?", "Sorry."),
    )
    try:
        with Client(running, **options) as client:
            yield client
    finally:
        running.service.partner = usual


def test_a_spoken_question_is_heard_and_answered_aloud(sound):
    mind, ears = Mind("It is ", "noon."), Ears("What is the time?")
    with talking(sound, mind=mind, ears=ears) as client:
        client.say(question(1.2))
        got = client.until("response.done")
    assert types(got) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        *[kind for kind in types(got) if kind.endswith("delta")],
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    assert len(audio(got)) == 2 * 24_000
    assert got[0]["audio_start_ms"] == pytest.approx(300, abs=120)
    assert got[1]["audio_end_ms"] == pytest.approx(600 + 1200 + 500, abs=150)
    assert got[0]["item_id"] == got[2]["item_id"] == got[3]["item"]["id"]
    assert [m.content for m in mind.asked[0]][1:] == ["What is the time?"]
    assert mind.asked[0][0].role == "system"
    assert got[-1]["response"]["status"] == "completed"
    assert got[-1]["response"]["output"][0]["content"] == [{"type": "output_audio", "transcript": "It is noon."}]
    assert got[-1]["response"]["usage"]["output_tokens"] == 25
    (clip,) = [clip for clip, _ in ears.clips]
    assert clip.duration_seconds == pytest.approx(0.3 + 1.2 + 0.2, abs=0.15), "heard at the pause, not at the end of it"


def test_what_is_said_after_a_pause_is_heard_too(sound):
    ears = Ears("What is", "What is the time?")
    with talking(sound, ears=ears) as client:
        client.say(np.concatenate([silence(0.6), vowels(0.6), silence(0.3), vowels(0.6), silence(1.0)]))
        got = client.until("response.done")
        client.send("conversation.item.retrieve", item_id=got[0]["item_id"])
        item = client.until("conversation.item.retrieved")[-1]["item"]
    assert [kind for kind in types(got) if kind.startswith("input_audio_buffer")] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
    ]
    assert item["content"][0]["transcript"] == "What is the time?"
    assert ears.clips[-1][0].duration_seconds > ears.clips[0][0].duration_seconds + 0.6


def test_the_recogniser_is_woken_once_somebody_connects(serving, monkeypatch):
    ears = Ears("")
    monkeypatch.setattr("parlando.serve.voices.open_recogniser", lambda name: ears)
    with serving(recogniser="any") as running:
        with Client(running):
            running.wait_until(lambda: ears.clips)
        with Client(running) as client:
            client.write("Hello?")
            client.until("conversation.item.done")
    assert len(ears.clips) == 1, "once is enough"


def test_the_beta_dialect_has_its_own_names(sound):
    with talking(sound, additional_headers=BETA) as client:
        assert client.session["modalities"] == ["text", "audio"]
        assert client.session["input_audio_format"] == "pcm16"
        client.send("session.update", session={"input_audio_transcription": {"model": "whisper-1"}})
        client.until("session.updated")
        client.say(question(1.0))
        got = client.until("response.done")
    kinds = types(got)
    assert {"conversation.item.created", "response.audio.delta", "response.audio_transcript.done"} <= set(kinds)
    assert not {kind for kind in kinds if "output_audio" in kind or kind.endswith(("item.added", "item.done"))} - {
        "response.output_item.added",
        "response.output_item.done",
    }
    assert len(audio(got, "response.audio.delta")) == 48_000
    (heard,) = [each for each in client.told if each["type"].endswith("transcription.completed")]
    assert heard["transcript"] == "What is the time?"


def test_talking_over_an_answer_silences_it_and_asks_anew(stub):
    stub.model.lm.step_seconds = 0.02
    mind = Mind(LONG)
    with talking(stub, mind=mind) as client:
        client.write("Go on.")
        client.send("response.create")
        client.until("response.output_audio.delta")
        mind.pieces = ("Fine.",)
        client.say(question(1.0))
        got = client.until("input_audio_buffer.speech_started")
        after = client.until("response.done")
        assert audio(after) == b""
        assert after[-1]["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        sent = sum(len(audio([each])) for each in client.told)
        rest = client.until("response.done")
        assert len(audio(rest)) == 48_000
    assert sent < 2 * 24_000 * 20, "an endless answer was cut"
    assert got[-1]["type"] == "input_audio_buffer.speech_started"
    stub.wait_until(stub.idle)


def test_a_cancelled_answer_sends_no_sample_more_and_frees_all(stub):
    stub.model.lm.step_seconds = 0.02
    with talking(stub, mind=Mind(LONG)) as client:
        client.write("Go on.")
        client.send("response.create")
        client.until("response.output_audio.delta")
        client.send("response.cancel")
        got = client.until("response.output_audio.done")
        client.until("response.done")
        assert client.told[-1]["response"]["status_details"]["reason"] == "client_cancelled"
        stub.wait_until(stub.idle)
        client.send("response.cancel")
        assert client.refused()["code"] == "response_cancel_not_active"
    assert sum(each["type"].endswith("audio.delta") for each in got) <= 1, "what was being sent when it came"


def test_without_detection_the_client_commits_and_asks(sound):
    with talking(sound) as client:
        client.send("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
        assert client.until("session.updated")[-1]["session"]["audio"]["input"]["turn_detection"] is None
        client.say(question(1.0))
        client.send("input_audio_buffer.commit")
        got = client.until("conversation.item.done")
        assert types(got)[0] == "input_audio_buffer.committed"
        client.send("response.create")
        assert len(audio(client.until("response.done"))) == 48_000
        client.send("input_audio_buffer.commit")
        assert client.refused()["code"] == "input_audio_buffer_commit_empty"
        client.say(silence(0.5))
        client.send("input_audio_buffer.clear")
        assert client.next()["type"] == "input_audio_buffer.cleared"
        client.send("input_audio_buffer.commit")
        assert client.refused()["type"] == "invalid_request_error"


@pytest.mark.parametrize(("format", "beta"), [("audio/pcmu", "g711_ulaw"), ("audio/pcma", "g711_alaw")])
def test_telephony_in_and_out(sound, format, beta):
    from parlando.audio.containers import open_encoder

    encoder = open_encoder(beta.removeprefix("g711_"), 8000)
    spoken = encoder.feed(question(1.0, 8000)) + encoder.close()
    with talking(sound) as client:
        both = {"input": {"format": {"type": format}}, "output": {"format": {"type": format}}}
        client.send("session.update", session={"type": "realtime", "audio": both})
        client.until("session.updated")
        client.say(None, spoken)
        assert len(audio(client.until("response.done"))) == 8000
    with talking(sound, additional_headers=BETA) as client:
        client.send("session.update", session={"input_audio_format": beta, "output_audio_format": beta})
        assert client.until("session.updated")[-1]["session"]["output_audio_format"] == beta


def test_words_alone_where_words_are_asked_for(sound):
    with talking(sound) as client:
        client.write("What is the time?")
        client.send("response.create", response={"output_modalities": ["text"]})
        got = client.until("response.done")
    assert audio(got) == b""
    assert [each["delta"] for each in got if each["type"] == "response.output_text.delta"] == ["It is ", "noon."]
    assert got[-1]["response"]["output"][0]["content"] == [{"type": "output_text", "text": "It is noon."}]


def test_an_answer_ends_about_where_its_tokens_do(sound):
    with talking(sound, mind=Mind(*["word "] * 100)) as client:
        client.write("Go on.")
        client.send("response.create", response={"output_modalities": ["text"], "max_output_tokens": 5})
        done = client.until("response.done")[-1]["response"]
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert done["output"][0]["content"][0]["text"] == "word " * 4


def test_recordings_that_wait_to_be_written_down_are_few(sound):
    waits = threading.Event()
    ears = Ears()
    ears.hear = lambda clip, language: waits.wait(HANG_SECONDS) and "Hello."
    with talking(sound, ears=ears) as client:
        client.send("session.update", session={"turn_detection": None})
        client.until("session.updated")
        for _ in range(9):
            client.say(vowels(0.5))
            client.send("input_audio_buffer.commit")
        assert client.refused()["code"] == "too_large"
        waits.set()
        client.send("response.create")
        client.until("response.done")


def test_a_response_of_its_own_leaves_the_conversation_alone(sound):
    mind = Mind()
    with talking(sound, mind=mind) as client:
        client.write("Never mind.")
        client.until("conversation.item.done")
        other = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And this?"}]}]
        asked = {"input": other, "conversation": "none", "output_modalities": ["text"], "instructions": "Be brief."}
        client.send("response.create", response=asked)
        got = client.until("response.done")
    assert [m.content.splitlines()[0] for m in mind.asked[0]] == ["Be brief.", "And this?"]
    assert "conversation.item.added" not in types(got)


def test_a_truncated_answer_is_remembered_as_far_as_it_was_heard(sound):
    mind = Mind("One two three four.")
    with talking(sound, mind=mind) as client:
        client.write("Count.")
        client.send("response.create")
        got = client.until("response.done")
        (item,) = got[-1]["response"]["output"]
        for far in (10**6, 500):
            client.send("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=far)
        assert "past the end, 1000 ms" in client.refused()["message"]
        assert client.until("conversation.item.truncated")[-1]["audio_end_ms"] == 500
        client.write("And?")
        client.send("response.create")
        client.until("response.done")
        client.send("conversation.item.delete", item_id=item["id"])
        client.until("conversation.item.deleted")
        client.send("conversation.item.retrieve", item_id=item["id"])
        assert "there is no item" in client.refused()["message"]
    assert [m.content for m in mind.asked[1]][1:] == ["Count.", "One two", "And?"]


def test_noise_and_silence_are_not_answered_and_what_is_not_understood_once(sound):
    noise = np.random.default_rng(0).normal(0, 0.1, 72_000).astype(np.float32)
    with talking(sound, ears=Ears("")) as client:
        client.say(np.concatenate([silence(1.0), noise, silence(1.0)]))
        client.say(question(0.8))
        first = client.until("response.done")
        client.say(question(0.8))
        second = client.until("response.done")
    assert types(first)[0] == "input_audio_buffer.speech_started"
    assert first[-1]["response"]["output"][0]["content"][0]["transcript"] == "What?"
    assert len(audio(first)) == 48_000
    assert second[-1]["response"]["output"] == []
    assert audio(second) == b""


@pytest.mark.parametrize("mind", [DyingMind(), DyingMind("Well, "), Mind("")], ids=["dead", "dies", "wordless"])
def test_a_text_model_that_fails_is_heard_and_told(sound, mind):
    with talking(sound, mind=mind) as client:
        client.say(question(0.8))
        got = client.until("response.done")
    assert len(audio(got)) >= 48_000, "somebody says that something is wrong"
    assert got[-1]["response"]["status"] == "failed"
    assert got[-1]["response"]["status_details"]["error"]["code"] == "text_model_failed"
    assert [each["error"]["code"] for each in got if each["type"] == "error"] == ["text_model_failed"]


def test_a_text_model_that_hangs_is_heard_and_leaves_no_thread(sound):
    mind = HangingMind("Well, ")
    with talking(sound) as client:
        sound.service.partner = replace(
            sound.service.partner, text_model=PatientModel(mind, Patience(HANG_SECONDS, 0.05))
        )
        client.write("Hello?")
        client.send("response.create")
        got = client.until("response.done")
    assert got[-1]["response"]["status"] == "failed"
    assert len(audio(got)) >= 48_000
    assert mind.left.wait(HANG_SECONDS)


def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(sound):
    mind = HangingMind("Well, I ")
    with talking(sound, mind=mind) as client:
        client.say(question(0.8))
        client.until("response.output_audio_transcript.delta")
    assert mind.left.wait(HANG_SECONDS)
    sound.wait_until(lambda: not [t for t in threading.enumerate() if t.name == "parlando-reply"])


def test_a_voice_that_fails_is_an_alarm_and_an_error(sound):
    sound.model.lm.failures = [RuntimeError("out of memory")] * 20
    with talking(sound) as client:
        client.write("Hello?")
        client.send("response.create")
        got = client.until("response.done")
    assert got[-1]["response"]["status"] == "failed"
    assert len(audio(got)) == 2 * 12_000, "two tones of a quarter of a second"


def test_a_recogniser_that_breaks_is_heard_and_told(sound):
    with talking(sound, ears=Ears(failure=RuntimeError("no memory"))) as client:
        client.send("session.update", session={"input_audio_transcription": {"model": "whisper-1"}})
        client.until("session.updated")
        client.say(question(0.8))
        got = client.until("response.done")
        kinds = types(client.told)
    assert "conversation.item.input_audio_transcription.failed" in kinds
    assert got[-1]["response"]["status"] == "failed"
    assert len(audio(got)) == 2 * 12_000, "two tones"


def test_without_a_recogniser_that_is_said(sound):
    with Client(sound) as client:
        client.say(question(0.8))
        error = client.refused()
    assert "give a recogniser" in error["message"]


def test_errors_are_as_published_and_the_connection_goes_on(sound):
    with talking(sound) as client:
        client.send("response.create", event_id="mine", response={"output_modalities": ["smell"]})
        error = client.until_error()
        assert error["event_id"].startswith("event_")
        assert set(error["error"]) == {"type", "code", "message", "param", "event_id"}
        assert (error["error"]["event_id"], error["error"]["type"]) == ("mine", "invalid_request_error")
        for event in (
            {"type": "no.such.event"},
            {"type": "input_audio_buffer.append", "audio": "not base64!"},
            {"type": "input_audio_buffer.append", "audio": base64.b64encode(b"odd").decode()},
            {"type": "session.update", "session": {"audio": {"output": {"voice": "nobody"}}}},
            {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "x"}},
            {"type": "conversation.item.truncate", "item_id": "x", "content_index": 0, "audio_end_ms": 0},
        ):
            client.wire.send(json.dumps(event))
            assert client.refused()["message"]
        client.wire.send("{")
        assert "not JSON" in client.refused()["message"]
        client.write("Still there?")
        client.send("response.create")
        client.send("response.create")
        assert client.refused()["code"] == "conversation_already_has_active_response"
        while client.next()["type"] != "response.done":
            pass


def test_an_unknown_model_is_refused_and_keys_come_by_subprotocol(serving, sound, tmp_path):
    from parlando.serve.limits import new_key

    with connect(sound.url.replace("http", "ws") + "/v1/realtime?model=nothing") as wire:
        assert json.loads(wire.recv(timeout=HANG_SECONDS))["error"]["code"] == "model_not_found"
    keys = tmp_path / "keys.txt"
    key = new_key(keys, "me")
    with serving(api_keys=str(keys)) as running:
        protocols = ["realtime", f"openai-insecure-api-key.{key}", "openai-beta.realtime-v1"]
        with Client(running, subprotocols=protocols) as client:
            assert client.wire.subprotocol == "realtime"
            assert "modalities" in client.session


def test_vowels_are_what_the_detector_takes_for_speech(sound):
    with talking(sound) as client:
        client.send("session.update", session={"turn_detection": {"type": "server_vad", "create_response": False}})
        client.until("session.updated")
        client.say(np.concatenate([vowels(1.0), silence(1.0)]))
        client.until("conversation.item.done")
        client.send("session.update", session={"turn_detection": {"type": "semantic_vad", "eagerness": "high"}})
        told = client.until("session.updated")[-1]["session"]["audio"]["input"]["turn_detection"]
    assert (told["type"], told["eagerness"], told["create_response"]) == ("semantic_vad", "high", True)


def test_how_lively_somebody_speaks_is_heard_and_told(serving):
    mind = Mind()
    with serving(feelings="arousal") as running, talking(running, mind=mind) as client:
        for voice in ({"pitch_hz": 110.0, "level": 0.1}, {"pitch_hz": 190.0, "level": 0.9}):
            client.say(question(1.0, **voice))
            client.until("response.done")
    assert ["excited" in asked[0].content for asked in mind.asked] == [False, True]
