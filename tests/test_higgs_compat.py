"""The published interface: names, arguments, result fields, and what the published snippets do."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import inspect
import io

import numpy as np
import pytest
import torch

import parlando.higgs as torchaudio
from parlando.audio.files import encode_audio, read_audio
from parlando.core.errors import (
    AudioError,
    CheckpointError,
    ConfigError,
    FileMissingError,
    GenerationError,
    InputError,
    TextError,
)
from parlando.core.types import Frame, Voice
from parlando.higgs import (
    AudioContent,
    ChatMLSample,
    HiggsAudioResponse,
    HiggsAudioServeEngine,
    HiggsAudioStreamerDelta,
    Message,
    TextContent,
)
from parlando.higgs.arguments import GenerateArguments
from parlando.higgs.conversation import Conversation, SpokenTurn, cast, read_conversation, spoken_turns
from parlando.higgs.reply import Call, chat_reply
from parlando.models.higgs.build import new_model
from parlando.models.higgs.parts.delay import Undelay
from parlando.nn.quantized import is_quantized
from parlando.request import WHOLE_SENTENCES
from parlando.speech import Synthesizer

SYSTEM = (
    "Generate audio following instruction.\n\n"
    "<|scene_desc_start|>\nAudio is recorded from a quiet room.\n<|scene_desc_end|>"
)


@pytest.fixture(scope="module")
def engine(tiny_folder):
    with_engine = HiggsAudioServeEngine(tiny_folder, tiny_folder, device="cpu")
    yield with_engine
    with_engine.close()


def clip_bytes(seconds=1.0):
    time = np.arange(round(seconds * 24_000)) / 24_000
    return encode_audio((0.3 * np.sin(2 * np.pi * 200 * time)).astype(np.float32), 24_000)


def clip_content():
    return AudioContent(audio_url="placeholder", raw_audio=base64.b64encode(clip_bytes()).decode())


def sample(*messages):
    return ChatMLSample(messages=list(messages))


def test_the_published_snippet_runs(engine, tmp_path):
    serve_engine = engine
    messages = [
        Message(role="system", content=SYSTEM),
        Message(role="user", content="The sun rises in the east and sets in the west."),
    ]
    output: HiggsAudioResponse = serve_engine.generate(
        chat_ml_sample=ChatMLSample(messages=messages),
        max_new_tokens=1024,
        temperature=0.3,
        top_p=0.95,
        top_k=50,
        stop_strings=["<|end_of_text|>", "<|eot_id|>"],
    )
    torchaudio.save(str(tmp_path / "output.wav"), torch.from_numpy(output.audio)[None, :], output.sampling_rate)
    assert read_audio(tmp_path / "output.wav").sample_rate == output.sampling_rate == 24_000
    assert output.audio.dtype == np.float32
    assert output.audio.ndim == 1


def test_argument_names_order_and_defaults_are_the_published_ones():
    published = {
        "chat_ml_sample": inspect.Parameter.empty,
        "max_new_tokens": inspect.Parameter.empty,
        "temperature": 0.7,
        "top_k": None,
        "top_p": 0.95,
        "stop_strings": None,
        "force_audio_gen": False,
        "ras_win_len": 7,
        "ras_win_max_num_repeat": 2,
        "seed": None,
    }
    for method in (HiggsAudioServeEngine.generate, HiggsAudioServeEngine.generate_delta_stream):
        parameters = dict(inspect.signature(method).parameters)
        del parameters["self"]
        assert {name: parameter.default for name, parameter in parameters.items()} == published
        assert method.__doc__
    constructor = list(inspect.signature(HiggsAudioServeEngine).parameters)
    assert constructor == [
        "model_name_or_path",
        "audio_tokenizer_name_or_path",
        "tokenizer_name_or_path",
        "device",
        "torch_dtype",
        "kv_cache_lengths",
        "torch_compile",
        "load_in_8bit",
    ]


def test_result_and_message_fields_are_the_published_ones():
    def names(kind):
        return [field.name for field in dataclasses.fields(kind)]

    assert names(HiggsAudioResponse) == [
        "audio",
        "generated_audio_tokens",
        "sampling_rate",
        "generated_text",
        "generated_text_tokens",
        "usage",
    ]
    assert names(HiggsAudioStreamerDelta)[:4] == ["text", "text_tokens", "audio_tokens", "finish_reason"]
    assert names(ChatMLSample) == ["messages", "start_index", "misc", "speaker"]
    assert names(Message) == ["role", "content", "recipient"]
    assert names(AudioContent) == ["audio_url", "raw_audio", "offset", "duration", "row_id", "type"]
    assert names(TextContent) == ["text", "type"]


def test_a_seed_repeats_and_tokens_decode_to_the_audio(engine):
    messages = sample(Message("user", "The sun rises in the east."))
    first = engine.generate(messages, max_new_tokens=400, seed=3)
    again = engine.generate(messages, max_new_tokens=400, seed=3)
    other = engine.generate(messages, max_new_tokens=400, seed=4)
    assert np.array_equal(first.audio, again.audio)
    assert not np.array_equal(first.audio, other.audio)
    codes = Undelay(3, 256, 257).push_all(first.generated_audio_tokens.T.tolist())
    assert codes.shape[0] == 3
    assert abs(codes.shape[1] * 960 - len(first.audio)) <= 960


def test_usage_counts_the_prompt_and_every_frame(engine):
    usage = engine.generate(sample(Message("user", "Hello there.")), max_new_tokens=400, seed=3).usage
    assert usage["prompt_tokens"] > 5
    assert usage["completion_tokens"] > 5
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["cached_tokens"] == 0


def test_max_new_tokens_is_kept(engine):
    text = "One sentence that is long enough. Another sentence that is long enough. And a third one follows them."
    response = engine.generate(sample(Message("user", text)), max_new_tokens=20, seed=3)
    assert response.usage["completion_tokens"] <= 20
    assert len(response.audio) <= 20 * 960


def test_a_dialogue_has_a_voice_per_speaker(engine):
    text = "[SPEAKER0] Good morning to you.\n[SPEAKER1] Good morning, how are you?"
    response = engine.generate(sample(Message("system", SYSTEM), Message("user", text)), max_new_tokens=900, seed=3)
    assert len(response.audio) > 0
    assert response.generated_audio_tokens.shape[0] == 3


@pytest.mark.parametrize("where", ["system", "user", "turn"])
def test_reference_audio_counts_wherever_it_stands(engine, where):
    """In the published engine, clips in system and user messages are dropped without a word."""
    plain = sample(Message("user", "Hello there."))
    with_clip = {
        "system": sample(Message("system", ["SPEAKER0: ", clip_content()]), Message("user", "Hello there.")),
        "user": sample(Message("user", [clip_content(), TextContent("Hello there.")])),
        "turn": sample(
            Message("user", "Good day."), Message("assistant", clip_content()), Message("user", "Hello there.")
        ),
    }[where]
    without = engine.generate(plain, max_new_tokens=300, seed=5)
    cloned = engine.generate(with_clip, max_new_tokens=300, seed=5)
    assert cloned.usage["prompt_tokens"] >= without.usage["prompt_tokens"] + 25
    assert not np.array_equal(without.audio, cloned.audio)


def test_a_clip_may_be_a_path_and_be_cut(engine, tmp_path):
    (tmp_path / "ref.wav").write_bytes(clip_bytes(2.0))
    whole = AudioContent(audio_url=str(tmp_path / "ref.wav"))
    part = AudioContent(audio_url=str(tmp_path / "ref.wav"), offset=0.5, duration=1.0)
    counts = [
        engine.generate(
            sample(Message("user", "Hi."), Message("assistant", content), Message("user", "Hello.")), 50, seed=1
        ).usage["prompt_tokens"]
        for content in (whole, part)
    ]
    assert counts[0] - counts[1] == 25


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (AudioContent(), AudioError, "neither a path"),
        (AudioContent(raw_audio="###"), AudioError, "not base64"),
        (
            AudioContent(raw_audio=base64.b64encode(encode_audio(np.zeros(24_000), 24_000)).decode()),
            AudioError,
            "silent",
        ),
        (AudioContent(audio_url="https://example.org/a.wav"), AudioError, "download it"),
        (AudioContent(audio_url="none.wav"), FileMissingError, r"none\.wav"),
    ],
)
def test_a_bad_clip_is_explained(engine, content, error, message):
    with pytest.raises(error, match=message):
        engine.generate(sample(Message("user", [content, "Hello."])), max_new_tokens=20)


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([], InputError),
        ([Message("system", SYSTEM)], InputError),
        ([Message("user", "  ")], InputError),
        ([Message("user", "?!")], TextError),
    ],
)
def test_a_conversation_without_words_is_refused(engine, messages, error):
    with pytest.raises(error):
        engine.generate(sample(*messages), max_new_tokens=20)


async def collect(stream, most=None):
    deltas = []
    async for delta in stream:
        deltas.append(delta)
        if most is not None and len(deltas) == most:
            break
    await stream.aclose()
    return deltas


def test_the_delta_stream_carries_the_tokens_and_audio_of_generate(engine):
    messages = sample(Message("user", "The sun rises in the east."))
    deltas = asyncio.run(collect(engine.generate_delta_stream(messages, max_new_tokens=400, seed=4)))
    frames = [delta.audio_tokens for delta in deltas if delta.audio_tokens is not None]
    assert frames[0].tolist() == [256, 256, 256]
    assert all(frame.shape == (3,) for frame in frames)
    assert [delta.finish_reason for delta in deltas][-1] == "stop"
    audio = np.concatenate([delta.audio for delta in deltas])
    response = engine.generate(messages, max_new_tokens=400, seed=4)
    if len(frames) == response.usage["completion_tokens"]:
        assert np.abs(audio - response.audio).max() < 1e-5


def test_leaving_the_delta_stream_frees_the_row(engine):
    messages = sample(Message("user", "The sun rises in the east."))
    deltas = asyncio.run(collect(engine.generate_delta_stream(messages, max_new_tokens=400, seed=3), most=2))
    assert len(deltas) == 2
    assert engine._synthesizer.engine.free_rows == 8


def test_an_error_reaches_the_consumer_of_the_delta_stream(engine):
    with pytest.raises(TextError):
        asyncio.run(collect(engine.generate_delta_stream(sample(Message("user", "?!")), max_new_tokens=20)))


def test_dtype_and_device_may_be_torch_values(tiny_folder):
    engine = HiggsAudioServeEngine(tiny_folder, device=torch.device("cpu"), torch_dtype=torch.bfloat16)
    assert engine._model.parts.lm.norm.weight.dtype == torch.bfloat16
    engine.close()


def test_save_wants_one_channel(tmp_path):
    with pytest.raises(AudioError, match="mono"):
        torchaudio.save(tmp_path / "a.wav", torch.zeros(2, 10), 24_000)
    assert list(tmp_path.iterdir()) == []


def test_cache_rows_are_as_long_as_was_asked(tiny_folder):
    for lengths, positions in (([64, 256, 128], 256), ([10**9], 600), (None, 600)):
        engine = HiggsAudioServeEngine(tiny_folder, device="cpu", kv_cache_lengths=lengths)
        assert engine._synthesizer.engine.length == positions
        engine.close()
    with pytest.raises(ConfigError, match=r"kv_cache_lengths: \[1\] leave no room"):
        HiggsAudioServeEngine(tiny_folder, device="cpu", kv_cache_lengths=[1])


def test_an_option_that_has_no_effect_says_what_is_done_instead(tiny_folder, caplog):
    HiggsAudioServeEngine(tiny_folder, device="cpu", torch_compile=True).close()
    assert "torch_compile is not used here: small models step in a compiled kernel" in caplog.text
    assert len(caplog.records) == 1


def test_load_in_8bit_keeps_the_language_model_in_int8(tiny_folder, caplog):
    engine = HiggsAudioServeEngine(tiny_folder, device="cpu", load_in_8bit=True)
    assert engine._model.config.quantize == "int8"
    assert is_quantized(engine._model.parts.lm)
    assert engine.generate(sample(Message("user", "Good morning.")), max_new_tokens=12, seed=1).audio is not None
    engine.close()
    assert caplog.text == ""


def test_a_model_of_the_other_family_names_the_class_for_it(tiny_cosyvoice_folder):
    with pytest.raises(CheckpointError, match=r"family 'cosyvoice'.*use parlando\.cosyvoice\.CosyVoice2"):
        HiggsAudioServeEngine(tiny_cosyvoice_folder)


def test_a_waveform_goes_into_a_buffer_as_the_published_server_wants_it():
    buffer = io.BytesIO()
    torchaudio.save(buffer, torch.full((1, 2400), 0.5), 24_000, format="wav")
    assert len(read_audio(io.BytesIO(buffer.getvalue())).samples) == 2400


def test_lines_of_named_speakers_are_turns_and_their_names_are_not_read():
    assert spoken_turns("Speaker A: Good day.\nSpeaker B: And to you.\nSpeaker A: How are you?") == [
        SpokenTurn(0, "Good day."),
        SpokenTurn(1, "And to you."),
        SpokenTurn(0, "How are you?"),
    ]
    assert spoken_turns("The speaker B: is not a name here.") == [SpokenTurn(0, "The speaker B: is not a name here.")]


def test_turns_and_markup():
    assert spoken_turns("Hi. [SPEAKER1] You <SE>[Laughter]</SE> too.<|eot_id|>") == [
        SpokenTurn(0, "Hi."),
        SpokenTurn(1, "You   too."),
    ]


def test_descriptions_and_references_are_read_per_speaker():
    codes = [np.full((3, 4), number) for number in range(3)]
    system = ["<|scene_desc_start|>\nSPEAKER0: feminine\nSPEAKER1: ", AudioContent(), "\n<|scene_desc_end|>"]
    conversation = read_conversation(
        [
            Message("system", system),
            Message("user", "[SPEAKER2] A reference."),
            Message("assistant", AudioContent()),
            Message("user", "[SPEAKER0] One. [SPEAKER1] Two. [SPEAKER2] Three."),
        ],
        codes,
    )
    assert conversation.descriptions == {0: "feminine"}
    assert conversation.references[1][0].codes is codes[0]
    assert (conversation.references[2][0].codes is codes[1], conversation.references[2][0].text) == (
        True,
        "A reference.",
    )
    assert [turn.speaker for turn in conversation.turns] == [0, 1, 2]


VOICES = {
    name: Voice(name, description)
    for name, description in [
        ("ada", "a mature American woman"),
        ("bob", "an American man"),
        ("cleo", "a young woman"),
        ("dan", "a Scottish man"),
    ]
}


@pytest.mark.parametrize(
    ("descriptions", "speakers", "names"),
    [
        ({}, [0], ["ada"]),
        ({}, [0, 1, 2, 3], ["ada", "bob", "cleo", "dan"]),
        ({0: "masculine", 1: "feminine"}, [0, 1], ["bob", "ada"]),
        ({0: "a Scottish man"}, [0], ["dan"]),
        ({0: "cleo"}, [0], ["cleo"]),
        ({0: "he has a low voice", 1: "a man as well"}, [0, 1], ["bob", "dan"]),
    ],
)
def test_speakers_get_the_voices_they_are_described_as(descriptions, speakers, names):
    conversation = Conversation([SpokenTurn(speaker, "Hi.") for speaker in speakers], descriptions)
    chosen = cast(conversation, VOICES, "ada")
    assert [chosen[speaker].name for speaker in speakers] == names


@pytest.fixture(scope="module")
def talker(tiny_model):
    """The tiny model with a text head, so that it can answer in words."""
    lm = dataclasses.replace(tiny_model.config.lm, text_head=True)
    return new_model(dataclasses.replace(tiny_model.config, lm=lm), tiny_model.voices, "cpu")


def reply(model, **arguments):
    given = GenerateArguments(sample(Message("user", "Hello.")), **{"max_new_tokens": 60, "seed": 1, **arguments})
    with Synthesizer(model) as synthesizer:
        return list(chat_reply(synthesizer, model, Call(given.chat_ml_sample.messages, (), given), WHOLE_SENTENCES))


def test_a_conversation_is_answered_in_audio_when_that_is_forced(talker):
    steps = reply(talker, force_audio_gen=True)
    assert steps[0].frame.codes == (256, 256, 256)
    assert sum(len(step.samples) for step in steps) > 0
    assert steps[-1].frame is None
    assert steps[-1].finish in ("stop", "length")


def test_without_force_the_model_may_answer_in_words_and_stop_at_a_string(talker):
    steps = reply(talker, max_new_tokens=12, seed=2)
    assert steps[0].frame.codes == ()
    first = talker.tokenizer.decode([steps[0].frame.token])
    stopped = reply(talker, max_new_tokens=12, seed=2, stop_strings=[first])
    assert len([step for step in stopped if step.frame]) == 1
    assert stopped[-1].finish == "stop"


def test_no_audio_is_none_and_not_a_crash(tiny_folder):
    engine = HiggsAudioServeEngine(tiny_folder, device="cpu")
    call = Call([Message("user", "Hi.")], (), GenerateArguments(sample(Message("user", "Hi.")), 5))
    response = engine._response(call, [])
    assert response.audio is None
    assert response.generated_audio_tokens is None
    assert response.usage["completion_tokens"] == 0
    engine.close()


def test_only_the_first_clip_of_a_conversation_is_returned_as_tokens(talker, tiny_folder):
    engine = HiggsAudioServeEngine(tiny_folder, device="cpu")
    engine._model = talker
    frames = [Frame(0, (256, 256, 256)), Frame(0, (1, 256, 256)), Frame(0, (256, 256, 256)), Frame(0, (2, 256, 256))]
    talker_codes = engine._first_clip([frame.codes for frame in frames])
    assert talker_codes.shape[0] == 3
    engine.close()


def test_a_model_failure_is_a_generation_error(engine, monkeypatch):
    monkeypatch.setattr(type(engine._model.lm), "step", lambda *_: (_ for _ in ()).throw(RuntimeError("out of memory")))
    with pytest.raises(GenerationError, match="out of memory"):
        engine.generate(sample(Message("user", "Hello.")), max_new_tokens=20)
