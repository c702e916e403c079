"""The published interface of CosyVoice2: names, arguments, results, and what the published snippets do."""

from __future__ import annotations

import inspect
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import parlando.cosyvoice as torchaudio
from parlando.audio.files import read_audio, write_audio
from parlando.core.errors import (
    AudioError,
    CheckpointError,
    ConfigError,
    FileMissingError,
    ParlandoError,
    TextError,
    VoiceNotFoundError,
)
from parlando.cosyvoice import AutoModel, CosyVoice2, load_wav
from parlando.cosyvoice.arguments import engine_arguments

TEXT, WORDS = "Hello there.", "Good morning."
FRAME = 960


@pytest.fixture(scope="module")
def folder(tiny_cosyvoice_folder, tmp_path_factory):
    return shutil.copytree(tiny_cosyvoice_folder, tmp_path_factory.mktemp("pretrained") / "CosyVoice2-0.5B")


@pytest.fixture(scope="module")
def cosyvoice(folder):
    return CosyVoice2(str(folder))


@pytest.fixture(scope="module")
def prompt(tmp_path_factory):
    return str(tone(tmp_path_factory.mktemp("asset") / "zero_shot_prompt.wav"))


def tone(path, seconds=2.0, rate=16_000):
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * 200 * time) * (1 + np.sin(2 * np.pi * 3 * time)) / 2
    write_audio(path, wave.astype(np.float32), rate)
    return path


def pieces():
    yield from ("Hello ", "there, ", "good ", "friend. ", "It is late.")


def checked(made):
    """The items of a generator, each as the published ones are."""
    items = list(made)
    assert items
    for item in items:
        assert item.keys() == {"tts_speech"}
        assert (item["tts_speech"].dtype, item["tts_speech"].ndim, len(item["tts_speech"])) == (torch.float32, 2, 1)
        assert item["tts_speech"].numel()
    return [item["tts_speech"] for item in items]


def test_the_published_snippet_runs(folder, prompt, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cosyvoice = CosyVoice2(str(folder), load_jit=False, load_trt=False, load_vllm=False, fp16=False)

    prompt_speech_16k = load_wav(prompt, 16000)
    for i, j in enumerate(
        cosyvoice.inference_zero_shot("Hello, my old friend.", "Good morning.", prompt_speech_16k, stream=False)
    ):
        torchaudio.save(f"zero_shot_{i}.wav", j["tts_speech"], cosyvoice.sample_rate)

    assert cosyvoice.add_zero_shot_spk("Good morning.", prompt_speech_16k, "my_zero_shot_spk") is True
    for i, j in enumerate(
        cosyvoice.inference_zero_shot("Hello again.", "", "", zero_shot_spk_id="my_zero_shot_spk", stream=False)
    ):
        torchaudio.save(f"saved_{i}.wav", j["tts_speech"], cosyvoice.sample_rate)
    cosyvoice.save_spkinfo()

    for i, j in enumerate(
        cosyvoice.inference_cross_lingual("Then, [laughter] he <strong>stopped</strong>.", prompt_speech_16k)
    ):
        torchaudio.save(f"fine_grained_control_{i}.wav", j["tts_speech"], cosyvoice.sample_rate)

    for i, j in enumerate(
        cosyvoice.inference_instruct2("Hello there.", "Speak slowly.<|endofprompt|>", prompt_speech_16k, stream=False)
    ):
        torchaudio.save(f"instruct_{i}.wav", j["tts_speech"], cosyvoice.sample_rate)

    def text_generator():
        yield "Hello, "
        yield "my old friend, "
        yield "it is late."

    for i, j in enumerate(
        cosyvoice.inference_zero_shot(text_generator(), "Good morning.", prompt_speech_16k, stream=False)
    ):
        torchaudio.save(f"bistream_{i}.wav", j["tts_speech"], cosyvoice.sample_rate)

    for name in ("zero_shot", "saved", "fine_grained_control", "instruct", "bistream"):
        assert read_audio(tmp_path / f"{name}_0.wav").sample_rate == cosyvoice.sample_rate == 24_000


def test_names_arguments_and_defaults_are_the_published_ones():
    common = {"stream": False, "speed": 1.0, "text_frontend": True}
    none = inspect.Parameter.empty
    published = {
        "list_available_spks": {},
        "add_zero_shot_spk": {"prompt_text": none, "prompt_wav": none, "zero_shot_spk_id": none},
        "save_spkinfo": {},
        "inference_sft": {"tts_text": none, "spk_id": none, **common, "instruct_text": ""},
        "inference_zero_shot": {
            "tts_text": none, "prompt_text": "", "prompt_wav": "", "zero_shot_spk_id": "", **common,
        },
        "inference_cross_lingual": {"tts_text": none, "prompt_wav": none, "zero_shot_spk_id": "", **common},
        "inference_instruct2": {
            "tts_text": none, "instruct_text": none, "prompt_wav": none, "zero_shot_spk_id": "", **common,
        },
        "inference_vc": {"source_wav": none, "prompt_wav": none, "stream": False, "speed": 1.0},
    }  # fmt: skip
    for name, arguments in published.items():
        found = dict(inspect.signature(getattr(CosyVoice2, name)).parameters)
        del found["self"]
        assert {key: parameter.default for key, parameter in found.items()} == arguments, name
        assert list(found) == list(arguments)
    loaded = inspect.signature(load_wav).parameters
    assert {key: parameter.default for key, parameter in loaded.items()} == {
        "wav": none, "target_sr": none, "min_sr": 16_000,
    }  # fmt: skip
    assert torchaudio.__all__ == ["AutoModel", "CosyVoice2", "load_wav", "save"]


def test_constructor_options_by_position_are_in_the_published_order():
    names = ["load_jit", "load_trt", "load_vllm", "fp16", "trt_concurrent"]
    for count, name in enumerate(names):
        given = [*[False] * count, 2 if name == "trt_concurrent" else True]
        assert getattr(engine_arguments(given, {}), name) == given[-1]
    for positional, named, message in (
        ([True], {"load_jit": True}, "load_jit is given twice"),
        ([False] * 4 + [1, 1], {}, "is given twice"),
        ([], {"chunksize": 3}, "unknown key 'chunksize'. Did you mean 'chunk_size'"),
        ([], {"chunk_size": "3"}, "chunk_size: expected int, got '3'"),
    ):
        with pytest.raises(ConfigError, match=message):
            engine_arguments(positional, named)


METHODS = {
    "sft": lambda model, text, wav, **rest: model.inference_sft(text, "bert", **rest),
    "zero_shot": lambda model, text, wav, **rest: model.inference_zero_shot(text, WORDS, wav, **rest),
    "cross_lingual": lambda model, text, wav, **rest: model.inference_cross_lingual(text, wav, **rest),
    "instruct2": lambda model, text, wav, **rest: model.inference_instruct2(text, "Speak slowly.", wav, **rest),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("text", [TEXT, pieces], ids=["string", "generator"])
def test_every_method_speaks_whole_and_streamed(cosyvoice, prompt, method, text):
    for stream in (False, True):
        checked(METHODS[method](cosyvoice, text if isinstance(text, str) else text(), prompt, stream=stream))
        assert cosyvoice._synthesizer.engine.free_rows == 8


def test_a_sentence_is_an_item_and_a_stream_has_smaller_ones(cosyvoice, prompt):
    text = "This is the first of them. This is the second one."
    assert len(checked(cosyvoice.inference_sft(text, "bert"))) == 2
    source = tone_clip(4.0)
    assert len(checked(cosyvoice.inference_vc(source, prompt, stream=False))) == 1
    streamed = checked(cosyvoice.inference_vc(source, prompt, stream=True))
    assert len(streamed) > 1


def tone_clip(seconds, rate=16_000):
    time = np.arange(round(seconds * rate)) / rate
    return torch.from_numpy((0.3 * np.sin(2 * np.pi * 200 * time)).astype(np.float32))[None]


def test_conversion_keeps_the_length_and_streams_exactly(cosyvoice, prompt):
    source = tone_clip(3.0)
    (whole,) = checked(cosyvoice.inference_vc(source, prompt))
    streamed = torch.cat(checked(cosyvoice.inference_vc(source, prompt, stream=True)), dim=1)
    assert whole.shape[1] == 3 * 24_000
    assert (whole - streamed).abs().max() < 1e-5
    (faster,) = checked(cosyvoice.inference_vc(source, prompt, speed=2.0))
    assert faster.shape[1] == pytest.approx(whole.shape[1] / 2, abs=2 * FRAME)


def test_a_recording_may_be_a_path_a_file_object_or_a_tensor(cosyvoice, prompt, tmp_path):
    source = tone_clip(1.5)
    expected = cosyvoice.inference_vc(source, prompt)
    first = next(expected)["tts_speech"]
    with open(prompt, "rb") as file:
        given = [
            file,
            file,
            io.BytesIO(Path(prompt).read_bytes()),
            load_wav(prompt, 16_000),
            load_wav(prompt, 16_000)[0],
        ]
        for recording in given:
            made = next(cosyvoice.inference_vc(source, recording))["tts_speech"]
            assert (made - first).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("recording", "error", "message"),
    [
        (torch.zeros(2, 16_000), AudioError, r"shape \[2, 16000\]; give \[1, sample\] at 16000 Hz"),
        (torch.zeros(1, 16_000), AudioError, "silent"),
        ("none.wav", FileMissingError, "none.wav"),
        (io.BytesIO(b"no audio"), AudioError, "cannot be read"),
    ],
)
def test_a_recording_that_cannot_serve_is_refused_at_the_call(cosyvoice, recording, error, message):
    with pytest.raises(error, match=message):
        cosyvoice.inference_zero_shot(TEXT, WORDS, recording)
    assert cosyvoice._synthesizer.engine.free_rows == 8


def test_load_wav_resamples_mixes_down_and_refuses_low_rates(tmp_path):
    import soundfile

    left = np.sin(np.arange(48_000) / 50).astype(np.float32) / 2
    soundfile.write(tmp_path / "stereo.wav", np.stack([left, -left / 2], axis=1), 48_000)
    wave = load_wav(tmp_path / "stereo.wav", 16_000)
    assert (wave.shape, wave.dtype) == ((1, 16_000), torch.float32)
    assert wave.abs().max() < 0.2
    tone(tmp_path / "low.wav", rate=8_000)
    with pytest.raises(AudioError, match="recorded at 8000 Hz; at least 16000 Hz"):
        load_wav(str(tmp_path / "low.wav"), 16_000)
    assert load_wav(str(tmp_path / "low.wav"), 16_000, min_sr=8_000).shape == (1, 32_000)


def test_saved_speakers_come_back_with_the_model_and_sound_the_same(tiny_cosyvoice_folder, prompt, tmp_path):
    folder = shutil.copytree(tiny_cosyvoice_folder, tmp_path / "model")
    model = CosyVoice2(folder)
    assert model.list_available_spks() == ["anna", "bert"]
    model.add_zero_shot_spk(WORDS, prompt, "me")
    before = model._voices["me"]
    model.save_spkinfo()
    again = CosyVoice2(folder)
    assert again.list_available_spks() == ["anna", "bert", "me"]
    (kept,) = again._voices["me"].references
    (made,) = before.references
    assert kept.text == made.text == WORDS
    assert all(np.array_equal(kept.features[name], values) for name, values in made.features.items())
    checked(again.inference_sft(TEXT, "me"))
    with pytest.raises(ConfigError, match="name the speaker"):
        model.add_zero_shot_spk(WORDS, prompt, "")


def test_an_instruction_counts_for_a_saved_speaker_too_and_is_closed_by_the_model(cosyvoice, prompt):
    cosyvoice.add_zero_shot_spk(WORDS, prompt, "you")
    voice = cosyvoice._voices["you"]
    prompts = cosyvoice._model.prompts
    asked = []
    original = cosyvoice._synthesizer.run
    cosyvoice._synthesizer.run = lambda text, request: asked.append(request) or original(text, request)
    try:
        for instruction in ("Speak slowly.", "Speak slowly.<|endofprompt|>"):
            checked(cosyvoice.inference_instruct2(TEXT, instruction, "", zero_shot_spk_id="you"))
    finally:
        del cosyvoice._synthesizer.run
    tokens = [prompts.build(TEXT, request.voice).tokens for request in asked]
    assert tokens[0] == tokens[1] != prompts.build(TEXT, voice).tokens
    assert tokens[0].count(prompts.tokenizer.end_of_prompt) == 1


def test_text_frontend_false_leaves_the_text_as_it_is_written(cosyvoice):
    requests = []
    original = cosyvoice._synthesizer.run
    cosyvoice._synthesizer.run = lambda text, request: requests.append(request) or original(text, request)
    try:
        checked(cosyvoice.inference_sft("It is 5.", "bert"))
        checked(cosyvoice.inference_sft("It is five.", "bert", text_frontend=False))
    finally:
        del cosyvoice._synthesizer.run
    assert [request.reading.say("It is 5.") for request in requests] == ["It is five.", "It is 5."]


def test_accelerations_are_answered_with_a_warning_each(folder, caplog):
    CosyVoice2(
        folder, load_jit=True, load_trt=True, load_vllm=True, fp16=not torch.cuda.is_available(), trt_concurrent=2
    )
    for name in ("load_jit", "load_trt", "load_vllm", "trt_concurrent"):
        assert f"{name} is not used here" in caplog.text
    if not torch.cuda.is_available():
        assert "fp16 is for GPUs" in caplog.text
    caplog.clear()
    CosyVoice2(folder)
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["cosyvoice.yaml", "cosyvoice3.yaml"])
def test_other_generations_are_refused(tmp_path, name):
    (tmp_path / name).touch()
    for load in (CosyVoice2, lambda folder: AutoModel(model_dir=folder)):
        with pytest.raises(CheckpointError, match=rf"{name}.*not supported"):
            load(tmp_path)


def test_auto_model_takes_names_and_finds_this_model(folder):
    assert isinstance(AutoModel(model_dir=str(folder)), CosyVoice2)
    with pytest.raises(ConfigError, match="AutoModel needs model_dir"):
        AutoModel(folder=str(folder))
    with pytest.raises(ParlandoError, match="no model 'no-model'"):
        AutoModel(model_dir="no-model")


def test_the_packaged_model_is_not_written_to(folder, monkeypatch):
    monkeypatch.setattr("parlando.cosyvoice.inference.PACKAGED", folder.parent)
    with pytest.raises(ConfigError, match="part of the package; copy it"):
        CosyVoice2(folder).save_spkinfo()


def test_what_cannot_be_spoken_is_refused(cosyvoice, prompt):
    with pytest.raises(VoiceNotFoundError, match="Did you mean 'anna'"):
        cosyvoice.inference_sft(TEXT, "ana")
    with pytest.raises(VoiceNotFoundError, match="no voice named 'nobody'"):
        cosyvoice.inference_zero_shot(TEXT, "", "", zero_shot_spk_id="nobody")
    with pytest.raises(ConfigError, match="speed"):
        cosyvoice.inference_sft(TEXT, "anna", speed=9.0)
    for text in (7, b"bytes", None):
        with pytest.raises(TextError, match="give a str"):
            cosyvoice.inference_sft(text, "anna")
    for text in ("", "?!", iter([]), iter(["", "?"])):
        with pytest.raises(TextError, match="nothing to pronounce"):
            list(cosyvoice.inference_sft(text, "anna"))
    with pytest.raises(TextError, match="not closed"):
        list(cosyvoice.inference_sft("It is <strong>so.", "anna"))


def test_a_generator_that_is_left_leaves_no_row(cosyvoice):
    made = cosyvoice.inference_sft("This is a sentence that goes on for a while.", "anna", stream=True)
    next(made)
    made.close()
    assert cosyvoice._synthesizer.engine.free_rows == 8
