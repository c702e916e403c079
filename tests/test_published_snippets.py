"""What people paste from articles: the same calls and arguments with other words, on models of random weights."""

from __future__ import annotations

import io
import logging
from itertools import islice

import numpy as np
import pytest
import torch

import parlando.cosyvoice as torchaudio
from parlando.audio.files import read_audio, write_audio
from parlando.core.errors import CheckpointError, ConfigError, TextError
from parlando.cosyvoice import CosyVoice2, load_wav
from parlando.cosyvoice.arguments import ALIASES, EngineArguments, any_name, without_emotion_tags
from parlando.cosyvoice.sound import as_prompt

TEXT = "Good day."


@pytest.fixture(scope="module")
def cosyvoice(tiny_cosyvoice_folder):
    return CosyVoice2(str(tiny_cosyvoice_folder), load_jit=False, load_trt=False, fp16=False)


def voiced(seconds, rate=16_000):
    time = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * 200 * time) * (1 + np.sin(2 * np.pi * 3 * time)) / 2).astype(np.float32)


@pytest.fixture(scope="module")
def prompt(tmp_path_factory):
    path = tmp_path_factory.mktemp("prompt") / "prompt.wav"
    write_audio(path, voiced(2.0), 16_000)
    return load_wav(str(path), 16_000)


def made(items):
    samples = [item["tts_speech"] for item in items]
    assert samples
    assert all(piece.numel() for piece in samples)
    return torch.cat(samples, dim=1)


@pytest.mark.parametrize("name", ["prompt_speech", "prompt_speech_16k", "prompt_wav", "prompt_audio"])
@pytest.mark.parametrize(
    ("method", "others"),
    [
        ("inference_zero_shot", {"prompt_text": "Good morning."}),
        ("inference_zero_shot", {}),
        ("inference_cross_lingual", {}),
        ("inference_instruct2", {"instruction": "Speak slowly."}),
    ],
)
def test_a_prompt_may_have_any_of_its_names_in_every_mode(cosyvoice, prompt, method, others, name):
    call = getattr(cosyvoice, method)
    made(islice(call(text=TEXT, **others, **{name: prompt}, stream=True), 1))


def test_the_modes_speak_by_the_names_that_articles_use(cosyvoice, prompt):
    made(cosyvoice.inference_zero_shot(text=TEXT, prompt_speech=prompt, stream=True))
    made(cosyvoice.inference_cross_lingual(text="He laughed [laughter] and went.", prompt_speech=prompt, stream=False))
    made(cosyvoice.inference_instruct2(text=TEXT, instruction="Speak slowly.", prompt_speech=prompt))
    made(cosyvoice.inference_sft(text=TEXT, speaker="bert", style="Speak slowly."))
    made(cosyvoice.inference_vc(source_speech_16k=prompt, prompt_speech_16k=prompt))


def test_every_alias_is_another_name_of_a_published_argument():
    @any_name
    def call(tts_text="", prompt_text="", prompt_wav="", instruct_text="", spk_id="", source_wav=""):
        return locals()

    for alias, name in ALIASES.items():
        assert call(**{alias: "x"})[name] == "x"
    with pytest.raises(ConfigError, match="'text' is another name of 'tts_text', which is given too"):
        call(tts_text="a", text="b")
    with pytest.raises(TypeError, match="txt"):
        call(txt="a")


WITHOUT_EFFECT = {
    "load_jit": True, "load_trt": True, "load_vllm": True, "trt_engine": True, "trt_concurrent": 2,
    "buffer_size": 2048, "enable_kv_cache": False,
}  # fmt: skip


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_an_option_without_effect_says_what_is_done_instead(name, caplog):
    EngineArguments().warn()
    assert caplog.text == ""
    EngineArguments(**{name: WITHOUT_EFFECT[name]}).warn()
    assert f"{name} is not used here: " in caplog.text
    assert len(caplog.records) == 1


def test_options_with_an_effect_have_it(tiny_cosyvoice_folder, caplog):
    for options, rows in (({"max_concurrent": 4}, 4), ({"max_batch_size": 2}, 2), ({}, 8)):
        assert CosyVoice2(tiny_cosyvoice_folder, **options)._synthesizer.rows == rows
    few = CosyVoice2(tiny_cosyvoice_folder, load_in_8bit=True, num_decoding_left_chunks=2, chunk_size=4)
    assert few._model.config.quantize == "int8"
    flow = few._model.config.flow
    assert (flow.encoder.left_chunks, flow.first_tokens) == (2, 4)
    model = CosyVoice2(
        tiny_cosyvoice_folder, chunk_size=50, num_decoding_left_chunks=-1, enable_kv_cache=True, fp16=False
    )
    assert caplog.text == ""
    assert (model._arguments.schedule.first, model._arguments.schedule.largest) == (50, 100)
    for wrong in ({"chunk_size": 0}, {"max_concurrent": 0}, {"max_batch_size": -1}):
        with pytest.raises(ConfigError, match=f"{next(iter(wrong))}: .* use at least 1"):
            EngineArguments(**wrong).rows, EngineArguments(**wrong).schedule


def test_emotion_tags_are_emphasis_or_a_warning(cosyvoice, caplog):
    assert without_emotion_tags("<emotion strong>Well</emotion> done.") == "<strong>Well</strong> done."
    assert caplog.text == ""
    assert without_emotion_tags("<emotion soft>Well</emotion> done.") == "Well done."
    assert "<emotion soft> is not a mark that this model knows; say it in the instruction" in caplog.text
    pieces = without_emotion_tags(iter(["<emotion strong>Well", "</emotion> done."]))
    assert "".join(pieces) == "<strong>Well</strong> done."
    whole = "One < two, <emotion strong>well</emotion> <em>done</em> <emotion soft>now</emotion> <emo"
    for size in (1, 3, 7):
        pieces = (whole[start : start + size] for start in range(0, len(whole), size))
        assert "".join(without_emotion_tags(pieces)) == "One < two, <strong>well</strong> <em>done</em> now <emo"
    made(cosyvoice.inference_sft("<emotion strong>Good day.</emotion>", "bert"))


@pytest.mark.parametrize(
    ("opener", "becomes"),
    [
        *(
            (f"<emotion{level}>", "<strong>Well</strong>")
            for level in ("=strong", ' = "Strong"', ":strong", " level='strong'")
        ),
        *((f"<emotion{level}>", "Well") for level in ("", " ", "=soft", " very soft")),
        ("<emotional>", "<emotional>Well"),
    ],
)
def test_emotion_tags_are_read_however_they_are_written(opener, becomes, caplog):
    assert without_emotion_tags(f"{opener}Well</emotion>") == becomes
    assert (f"{opener} is not a mark" in caplog.text) == (becomes == "Well")


def test_the_text_front_end_writes_numbers_out(cosyvoice):
    assert cosyvoice.text_frontend.normalize("It costs 5 dollars.") == "It costs five dollars."


def test_a_model_of_the_other_family_names_the_class_for_it(tiny_folder):
    with pytest.raises(CheckpointError, match=r"family 'higgs'.*use parlando\.higgs\.HiggsAudioServeEngine"):
        CosyVoice2(tiny_folder)


def test_of_a_long_prompt_the_best_thirty_seconds_are_used(caplog):
    quiet = np.concatenate([np.zeros(32_000, np.float32), voiced(4.0)])
    samples = np.concatenate([np.tile(quiet, 5), voiced(29.0)])
    with caplog.at_level(logging.WARNING):
        clip = as_prompt(torch.from_numpy(samples)[None])
    assert 25 < clip.duration_seconds <= 30
    assert "only" in caplog.text
    assert "prompt_text must be of that part alone" in caplog.text
    short = torch.from_numpy(voiced(3.0))[None]
    assert as_prompt(short).duration_seconds == 3.0


def test_sound_goes_into_a_buffer(cosyvoice):
    buffer = io.BytesIO()
    torchaudio.save(buffer, made(cosyvoice.inference_sft(TEXT, "bert")), cosyvoice.sample_rate, format="wav")
    assert read_audio(io.BytesIO(buffer.getvalue())).sample_rate == cosyvoice.sample_rate


def test_a_transcript_that_cannot_be_read_is_refused_and_an_unlikely_one_warned_of(cosyvoice, prompt, caplog):
    with pytest.raises(TextError, match="transcript: model 'tiny-cosy' cannot read"):
        cosyvoice.inference_zero_shot(TEXT, "안녕하세요 Hello.", prompt)
    assert caplog.text == ""
    cosyvoice.inference_zero_shot(TEXT, "These are far too many words for a clip of two seconds. " * 4, prompt)
    assert "transcript: 48 words take about" in caplog.text
