"""The official client talks with the server: questions in, audible answers out, and silence when talked over."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from dataclasses import replace

import pytest

from parlando.audio.clip import to_pcm
from parlando.converse.patience import Patience, PatientModel
from talk_parts import Ears, Mind, question
from waiting import HANG_SECONDS

openai = pytest.importorskip("openai")
# Of the client's own way to connect, which its WebSocket library would rather have changed.
pytestmark = pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning")
PIECE_SAMPLES = 2400


@contextmanager
def connected(running, mind, beta=False):
    usual = running.service.partner
    model = PatientModel(mind, Patience(HANG_SECONDS, HANG_SECONDS))
    running.service.partner = replace(usual, text_model=model, recogniser=Ears())
    sockets = running.url.replace("http", "ws") + "/v1"  # its beta would take wss by itself
    client = openai.OpenAI(base_url=f"{running.url}/v1", websocket_base_url=sockets, api_key="none")
    try:
        realtime = client.beta.realtime if beta else client.realtime
        with realtime.connect(model="gpt-realtime") as connection:
            yield connection
    finally:
        running.service.partner = usual
        client.close()


def ask(connection, samples):
    data = to_pcm(samples).tobytes()
    for at in range(0, len(data), 2 * PIECE_SAMPLES):
        connection.input_audio_buffer.append(audio=base64.b64encode(data[at : at + 2 * PIECE_SAMPLES]).decode())


def until(connection, type):
    """Events up to the first of that type, each as the client's own class."""
    got = []
    while not got or got[-1].type != type:
        got.append(connection.recv())
        assert got[-1].type != "error", got[-1]
    return got


def audio(events):
    return b"".join(base64.b64decode(each.delta) for each in events if each.type.endswith("audio.delta"))


@pytest.mark.parametrize("beta", [False, True], ids=["general", "beta"])
def test_a_recorded_question_is_answered_aloud(sound, beta):
    mind = Mind("It is noon.")
    with connected(sound, mind, beta) as connection:
        assert connection.recv().type == "session.created"
        if beta:
            session = {"modalities": ["text", "audio"], "input_audio_transcription": {"model": "whisper-1"}}
        else:
            listening = {"transcription": {"model": "whisper-1"}, "turn_detection": {"type": "server_vad"}}
            session = {"type": "realtime", "audio": {"input": listening, "output": {"voice": "bob"}}}
        connection.session.update(session=session)
        updated = until(connection, "session.updated")[-1]
        if not beta:
            assert updated.session.audio.output.voice == "bob"
            assert updated.session.audio.input.format.rate == 24_000
        ask(connection, question(1.2))
        got = until(connection, "response.done")
    assert len(audio(got)) == 48_000
    (heard,) = [each for each in got if each.type.endswith("transcription.completed")] or [None]
    assert heard is None or heard.transcript == "What is the time?"
    assert got[-1].response.status == "completed"
    assert got[-1].response.output[0].content[0].transcript == "It is noon."


def test_talking_over_an_answer_stops_its_samples(sound):
    sound.model.lm.step_seconds = 0.02
    with connected(sound, Mind("This is an endless one. And so on, ")) as connection:
        message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Go on."}]}
        connection.conversation.item.create(item=message)
        connection.response.create()
        before = until(connection, "response.output_audio.delta")
        ask(connection, question(1.2))
        before += until(connection, "input_audio_buffer.speech_started")
        after = until(connection, "response.done")
        assert after[-1].response.status_details.reason == "turn_detected"
        assert len(audio(before)) > 0
        assert len(audio(after)) == 0
        item = after[-1].response.output[0]
        connection.conversation.item.truncate(item_id=item.id, content_index=0, audio_end_ms=10)
        until(connection, "conversation.item.truncated")
