"""Chat completions with audio, whole and streamed, with recordings in the messages, by the official client."""

from __future__ import annotations

import base64

import openai
import pytest

from parlando.audio.files import encode_audio, read_audio
from whisper import whisper


def clip(seed=0):
    return base64.b64encode(encode_audio(whisper(2.0, seed=seed), 24000)).decode()


def said_by(content, text="Please speak."):
    return [{"role": "user", "content": text}, {"role": "assistant", "content": content}]


def heard(seed=0):
    return [{"type": "input_audio", "input_audio": {"data": clip(seed), "format": "wav"}}]


ASK = {"role": "user", "content": "Hello."}


def test_a_whole_answer_carries_a_wav_and_the_words(stub):
    answer = stub.openai().chat.completions.create(
        model="gpt-audio", messages=[ASK], modalities=["text", "audio"], audio={"voice": "onyx", "format": "wav"}
    )
    audio = answer.choices[0].message.audio
    assert read_audio(base64.b64decode(audio.data)).duration_seconds == pytest.approx(1.0)
    assert (audio.transcript, answer.choices[0].message.content) == ("Hello.", "Hello.")
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("stop", 25)
    assert stub.model.asked[-1][1].name == "bob"


def test_a_streamed_answer_is_16_bit_pcm_as_it_is_made(stub):
    stream = stub.openai().chat.completions.create(
        model="stub",
        messages=[ASK],
        modalities=["text", "audio"],
        stream=True,
        stream_options={"include_usage": True},
        stop=["<|eot_id|>", "<|end_of_text|>", "<|audio_eos|>"],
        max_completion_tokens=1000,
        extra_body={"top_k": 50},
    )
    *chunks, last = stream
    deltas = [chunk.choices[0].delta for chunk in chunks]
    data = b"".join(base64.b64decode(delta.audio.data) for delta in deltas if getattr(delta, "audio", None))
    assert len(data) == 2 * 24000
    assert (deltas[0].role, deltas[0].audio.transcript) == ("assistant", "Hello.")
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert (last.choices, last.usage.total_tokens) == ([], 28)


def test_a_recording_of_the_assistant_is_followed_with_the_words_before_it(stub):
    messages = [{"role": "system", "content": "Generate audio."}, *said_by(heard(), "Its very words."), ASK]
    stub.openai().chat.completions.create(model="stub", messages=messages)
    voice = stub.model.asked[-1][1]
    assert [reference.text for reference in voice.references] == ["Its very words."]
    assert voice.scene is None, "instructions are for models that follow them"


def test_a_data_url_beside_its_words_is_followed_too(stub):
    part = {"type": "audio_url", "audio_url": {"url": f"data:audio/wav;base64,{clip()}"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "Beside."}, part]}, ASK]
    stub.openai().chat.completions.create(model="stub", messages=messages)
    assert stub.model.asked[-1][1].references[0].text == "Beside."


def test_speakers_take_their_recordings_and_the_others_a_voice_each(stub):
    script = {"role": "user", "content": "[SPEAKER0] A. [SPEAKER1] B. [SPEAKER2] C."}
    messages = [*said_by(heard(), "[SPEAKER1] One speaks."), script]
    create = stub.openai().chat.completions.create
    answer = create(model="stub", messages=messages, audio={"voice": "bob", "format": "wav"})
    said = dict(stub.model.asked)
    zero, one, two = (said[text] for text in ("A.", "B.", "C."))
    assert (zero.name, two.name) == ("bob", "ada")
    assert one.references[0].text == "One speaks."
    assert answer.usage.completion_tokens == 75


def test_lines_with_speakers_names_are_turns_and_the_names_are_not_said(stub):
    script = {"role": "user", "content": "Speaker A: First one.\nSpeaker B: Second one."}
    stub.openai().chat.completions.create(model="stub", messages=[script], audio={"voice": "bob", "format": "wav"})
    (first, one), (second, two) = stub.model.asked[-2:]
    assert (first, one.name, second, two.name) == ("First one.", "bob", "Second one.", "ada")


def test_instructions_become_the_scene_where_the_model_follows_them(serving):
    with serving(instructions=True) as running:
        messages = [{"role": "system", "content": "A quiet room."}, ASK]
        running.openai().chat.completions.create(model="stub", messages=messages)
        assert running.model.asked[-1][1].scene == "A quiet room."
        running.say(instructions="Whisper.")
        assert running.model.asked[-1][1].scene == "Whisper."


def test_a_part_that_is_no_recording_is_named(patient):
    content = [{"type": "text", "text": "Look."}, {"type": "image_url", "image_url": {"url": "x"}}]
    with pytest.raises(openai.BadRequestError, match="image_url.*input_audio") as refused:
        patient.openai().chat.completions.create(model="stub", messages=[{"role": "user", "content": content}])
    assert refused.value.param == "messages.0.content.1"


def test_a_chat_that_wants_no_audio_is_refused(patient):
    with pytest.raises(openai.BadRequestError, match="audio only") as refused:
        patient.openai().chat.completions.create(model="stub", messages=[ASK], modalities=["text"])
    assert refused.value.param == "modalities"


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([], "invalid_value"),
        ([{"role": "user", "content": ""}], "invalid_input"),
        ([{"role": "assistant", "content": "Hello."}], "invalid_input"),
        ([{"role": "user"}], "invalid_input"),
        ([{"role": "nobody", "content": "Hello."}], "invalid_value"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}], "invalid_value"),
        ([*said_by([{"type": "input_audio", "input_audio": {"data": "@@"}}]), ASK], "invalid_audio"),
        ([*said_by([{"type": "audio_url", "audio_url": {"url": "file:///etc/passwd"}}]), ASK], "invalid_audio"),
        ([*said_by([{"type": "input_audio", "input_audio": {"data": "aGVsbG8="}}]), ASK], "invalid_audio"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_messages_that_say_nothing_are_refused(patient, messages, code):
    with pytest.raises(openai.BadRequestError) as refused:
        patient.openai().chat.completions.create(model="stub", messages=messages)
    assert refused.value.code == code
    patient.wait_until(patient.idle)


def test_a_dialogue_has_a_voice_for_each_speaker_and_names_are_not_read(stub):
    script = {"role": "user", "content": "Speaker A: Hello there.\nSpeaker B: And to you.\nSpeaker A: Bye."}
    answer = stub.openai().chat.completions.create(model="stub", messages=[script])
    said = [(sentence, voice.name) for sentence, voice in stub.model.asked[-3:]]
    assert said == [("Hello there.", "ada"), ("And to you.", "bob"), ("Bye.", "ada")]
    assert answer.choices[0].message.audio.transcript == "Hello there. And to you. Bye."


def test_a_dialogue_of_names_takes_voices_of_these_names_and_recordings_in_order(stub):
    script = {"role": "user", "content": "Bob: Hello.\nZoe: Hi."}
    stub.openai().chat.completions.create(model="stub", messages=[script])
    assert [voice.name for _, voice in stub.model.asked[-2:]] == ["bob", "ada"]
    messages = [*said_by(heard(), "[SPEAKER1] One speaks."), {"role": "user", "content": "Ann: Hello.\nZoe: Hi."}]
    stub.openai().chat.completions.create(model="stub", messages=messages)
    assert [len(voice.references) for _, voice in stub.model.asked[-2:]] == [0, 1]


def test_an_answer_says_that_it_is_the_question_read_aloud(stub):
    for stream in (False, True):
        answer = stub.http.post("/v1/chat/completions", json={"messages": [ASK], "stream": stream})
        assert "read aloud" in answer.headers["x-parlando-note"]
    assert "read aloud" in stub.http.post("/v1/chat/completions", json={"messages": [ASK]}).json()["note"]
