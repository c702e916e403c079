"""Every family × every promise of `core/stages`: one sentence through each stage, by what it promises the next."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from torch import nn

from parlando.core.errors import AudioError, PromptTooLongError, TextError
from parlando.core.types import Frame, Notation, Prompt, SamplingOptions, Voice
from parlando.engine.chunking import HopSchedule, chunked
from parlando.engine.engine import Engine
from parlando.engine.prefixes import PrefixCounts, Prefixes
from parlando.models.registry import FAMILIES, load_model
from parlando.speech import Synthesizer
from parlando.text.words import word_spans

# What it runs is counted elsewhere: watched line by line it takes nearly twice as long.
pytestmark = pytest.mark.no_cover

SENTENCE = "The sun rises in the east and sets in the west."
OPTIONS = SamplingOptions(temperature=1.0, seed=1, max_frames=60)
SCHEDULES = [HopSchedule.fixed(1), HopSchedule.fixed(3), HopSchedule.fixed(10), HopSchedule.fixed(25), HopSchedule()]


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def model(request, tiny_folder, tiny_cosyvoice_folder):
    folders = {"higgs": tiny_folder, "cosyvoice": tiny_cosyvoice_folder}
    return load_model(folders[request.param], "cpu")


@pytest.fixture(scope="module")
def prompt(model):
    return model.prompts.build(SENTENCE, model.voices[model.default_voice])


@pytest.fixture(scope="module")
def frames(model, prompt):
    return generated(model, prompt, OPTIONS)


@pytest.fixture(scope="module")
def offline(model, prompt, frames):
    return model.decoder.open(prompt).push(frames, True)


@pytest.fixture(scope="module")
def said(model):
    """A seed with which the sentence ends by itself, and its samples."""
    with Synthesizer(model) as synthesizer:
        results = ((seed, synthesizer.say(SENTENCE, seed=seed)) for seed in range(20))
        seed, result = next(each for each in results if _ends_at_once(each[1].report.sentences[0]))
    return seed, result.samples


def generated(model, prompt, options, rows=1):
    with Engine(model.lm, rows) as engine:
        return list(engine.submit(prompt, model.new_sampler(prompt, options), options.max_frames))


def decoded(model, prompt, frames, schedule):
    stream = model.decoder.open(prompt)
    return np.concatenate([stream.push(chunk, final) for chunk, final in chunked(frames, schedule)])


def test_a_model_says_what_it_is(model):
    assert model.family in FAMILIES
    assert model.default_voice in model.voices
    assert model.frame_rate == pytest.approx(model.sample_rate / model.decoder.samples_per_frame)
    assert model.sample_rate == model.decoder.sample_rate
    assert isinstance(model.sampling, SamplingOptions)
    assert isinstance(model.needs_transcript, bool)
    assert isinstance(model.notation, Notation)


def test_prompts_are_plain_data_and_pure(model, prompt):
    again = model.prompts.build(SENTENCE, model.voices[model.default_voice])
    assert isinstance(prompt, Prompt)
    assert prompt.tokens == again.tokens
    assert len(prompt.audio_mask) == len(prompt)
    assert prompt.audio_mask.sum() == len(prompt.codes)
    assert 0 < len(prompt) < model.lm.context_length
    assert 20 < prompt.expected_frames < 200


def test_every_word_of_a_sentence_has_tokens_in_their_order(model):
    spans = [span for span in model.prompts.spans(SENTENCE) if span[0] < span[1]]
    assert spans == sorted(spans)
    for start, stop in word_spans(SENTENCE):
        assert any(first < stop and start < last for first, last in spans), SENTENCE[start:stop]


def test_prompts_grow_with_a_reference(model, prompt):
    wave = 0.3 * np.sin(2 * np.pi * 200 * np.arange(2 * model.sample_rate) / model.sample_rate)
    reference = model.refer("Hello there.", wave.astype(np.float32), model.sample_rate)
    codes, cloned = reference.codes, Voice("clone", references=(reference,))
    longer = model.prompts.build(SENTENCE, cloned)
    assert codes.shape[1] == round(2 * model.frame_rate)
    assert longer.audio_mask.sum() >= codes.shape[1]
    assert len(longer) > codes.shape[1]
    assert prompt.audio_mask.sum() < longer.audio_mask.sum()


def test_prompts_refuse_what_cannot_be_spoken_or_does_not_fit(model):
    voice = model.voices[model.default_voice]
    with pytest.raises(TextError):
        model.prompts.build("?!", voice)
    with pytest.raises(PromptTooLongError):
        model.prompts.build("word " * 2000, voice)


def test_frames_end_and_repeat_with_their_seed(model, prompt, frames):
    assert 1 <= len(frames) <= OPTIONS.max_frames
    assert all(isinstance(frame, Frame) for frame in frames)
    assert generated(model, prompt, OPTIONS) == frames
    assert generated(model, prompt, dataclasses.replace(OPTIONS, seed=12)) != frames


def test_frames_do_not_depend_on_company_in_the_batch(model, prompt, frames):
    other = model.prompts.build("Something else entirely is said here.", model.voices[model.default_voice])
    with Engine(model.lm, 3) as engine:
        sessions = [
            engine.submit(each, model.new_sampler(each, dataclasses.replace(OPTIONS, seed=seed)), OPTIONS.max_frames)
            for each, seed in ((other, 5), (prompt, OPTIONS.seed), (other, 6))
        ]
        results = [list(session) for session in sessions]
    assert results[1] == frames
    assert results[0] != results[2]


def test_a_voice_is_read_once_and_its_frames_are_the_same(model):
    """Bit by bit, whether its part of the prompt was kept, was not, or belonged to a voice of the same name before."""
    wave = 0.3 * np.sin(2 * np.pi * 200 * np.arange(2 * model.sample_rate) / model.sample_rate)
    clip = model.refer("Hello there, and how are you?", wave.astype(np.float32), model.sample_rate)
    changed = dataclasses.replace(clip, codes=clip.codes[:, ::-1], text=f"{clip.text} Well?")
    prompts = [
        model.prompts.build(sentence, Voice("clone", references=(each,)))
        for each in (clip, changed, clip)
        for sentence in (SENTENCE, "Something else.")
    ]
    assert all(8 <= each.voice_positions < len(each) for each in prompts)
    alone = [generated(model, each, OPTIONS) for each in prompts]
    with Engine(model.lm, 3) as engine:
        sessions = [engine.submit(each, model.new_sampler(each, OPTIONS), OPTIONS.max_frames) for each in prompts]
        assert [list(session) for session in sessions] == alone
        counts = engine.metrics().prefixes
        assert (counts.hits, counts.misses) == (4, 2)
        assert counts.held_bytes > 0
        engine._runner.prefixes = Prefixes(0, 1)
        for each, frames in zip(prompts, alone, strict=True):
            assert list(engine.submit(each, model.new_sampler(each, OPTIONS), OPTIONS.max_frames)) == frames
        assert engine.metrics().prefixes == PrefixCounts(0, len(prompts), 0)


def test_greedy_frames_are_the_same_for_every_seed(model, prompt):
    greedy = SamplingOptions(temperature=0.0, repetition_window=None, max_frames=20)
    runs = [generated(model, prompt, dataclasses.replace(greedy, seed=seed)) for seed in (1, 2)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("speed", [1.0, 0.8, 1.3])
def test_a_stream_knows_how_many_frames_it_takes_until_so_many_sound(model, prompt, frames, speed):
    """Whoever starts to play with too little is soon interrupted, so a decoder that holds back must say so."""
    stream, sounding, place = model.decoder.open(prompt, speed), 0, 0
    for wanted in (1, 3, 8):
        until = stream.frames_until(wanted)
        before = len(stream.push(frames[place : place + until - 1], False))
        samples = before + len(stream.push(frames[place + until - 1 : place + until], False))
        place, sounding = place + until, sounding + samples
        assert samples >= wanted * model.decoder.samples_per_frame / speed
        assert speed != 1.0 or before < wanted * model.decoder.samples_per_frame
    assert place < len(frames), "the frames must not have ended"


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: f"{schedule.first}-{schedule.largest}")
def test_streaming_equals_offline_within_1e_5(model, prompt, frames, offline, schedule):
    streamed = decoded(model, prompt, frames, schedule)
    assert offline.dtype == streamed.dtype == np.float32
    assert len(offline) == len(streamed) > 0
    assert np.abs(offline - streamed).max() < 1e-5


def test_three_interleaved_streams_equal_three_alone(model, prompt, frames, offline):
    parts = [frames, frames[: len(frames) // 2], frames[: len(frames) // 3]]
    alone = [offline, *(model.decoder.open(prompt).push(part, True) for part in parts[1:])]
    streams, pieces = [model.decoder.open(prompt) for _ in parts], [[], [], []]
    for index in range(len(frames) + 1):
        for stream, part, samples in zip(streams, parts, pieces, strict=True):
            samples.append(stream.push(part[index : index + 1], index >= len(part)))
    for samples, expected in zip(pieces, alone, strict=True):
        joined = np.concatenate(samples)
        assert len(joined) == len(expected)
        assert np.abs(joined - expected).max(initial=0.0) < 1e-5


def test_codes_go_through_the_codec_and_come_back_as_long(model, prompt):
    wave = 0.3 * np.sin(2 * np.pi * 200 * np.arange(model.sample_rate) / model.sample_rate)
    codes = model.encode(wave.astype(np.float32), model.sample_rate)
    assert codes.dtype == np.int64
    assert codes.shape[1] == round(model.frame_rate)
    with pytest.raises(AudioError):
        model.encode(np.zeros(3, np.float32), model.sample_rate)


@pytest.mark.parametrize("schedule", SCHEDULES[1:], ids=lambda schedule: f"{schedule.first}-{schedule.largest}")
def test_the_whole_pipeline_streams_what_it_says_offline(model, said, schedule):
    seed, samples = said
    with Synthesizer(model) as synthesizer:
        streamed = np.concatenate(
            [chunk.samples for chunk in synthesizer.stream(SENTENCE, seed=seed, schedule=schedule)]
        )
    assert len(samples) == len(streamed)
    assert np.abs(samples - streamed).max() < 1e-5


def _ends_at_once(report):
    return (report.attempts, report.finish) == (1, "end")


def test_a_cancelled_request_leaves_no_row_occupied(model):
    with Synthesizer(model, rows=2) as synthesizer:
        stream = synthesizer.stream(SENTENCE, seed=1, schedule=HopSchedule.fixed(1))
        next(stream)
        stream.close()
        assert synthesizer.engine.free_rows == 2


def test_weights_are_the_same_after_a_request(model):
    modules = [part for part in vars(model.parts).values() if isinstance(part, nn.Module)]
    assert len(modules) > 1
    before = [{name: tensor.clone() for name, tensor in module.state_dict().items()} for module in modules]
    attributes = set(vars(model))
    with Synthesizer(model) as synthesizer:
        synthesizer.say(SENTENCE, seed=3, max_frames=30)
    assert set(vars(model)) == attributes
    for module, kept in zip(modules, before, strict=True):
        assert all((tensor == kept[name]).all() for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("speed", [0.5, 1.3, 2.0])
def test_speed_changes_the_length_and_streams_exactly(model, prompt, frames, offline, speed):
    def stream_with(schedule):
        stream = model.decoder.open(prompt, speed)
        return np.concatenate([stream.push(chunk, final) for chunk, final in chunked(frames, schedule)])

    whole = model.decoder.open(prompt, speed).push(frames, True)
    assert len(whole) == pytest.approx(len(offline) / speed, abs=2 * model.decoder.samples_per_frame)
    streamed = stream_with(HopSchedule.fixed(3))
    assert len(whole) == len(streamed)
    assert np.abs(whole - streamed).max() < 1e-5


def test_a_converter_says_as_much_as_it_heard(model):
    if model.converter is None:
        pytest.skip("converts no voices")
    wave = 0.3 * np.sin(2 * np.pi * 200 * np.arange(2 * model.sample_rate) / model.sample_rate)
    heard = model.converter.frames(wave.astype(np.float32), model.sample_rate)
    made = model.converter.open(model.voices[model.default_voice]).push(heard, True)
    assert len(made) == len(heard) * model.decoder.samples_per_frame == len(wave)


def test_a_recoded_clip_is_as_long_whole_and_in_chunks(model):
    wave = (0.3 * np.sin(2 * np.pi * 200 * np.arange(2 * model.sample_rate) / model.sample_rate)).astype(np.float32)
    codes = model.encode(wave, model.sample_rate)
    assert len(model.codebook_sizes) == len(codes)
    assert all(row.max() < size for row, size in zip(codes, model.codebook_sizes, strict=True))
    frames, stream = model.recode(wave, model.sample_rate)
    whole = stream.push(frames, True)
    assert len(whole) == len(wave)
    _, again = model.recode(wave, model.sample_rate)
    pieces = [again.push(piece, final) for piece, final in chunked(frames, HopSchedule.fixed(7))]
    assert np.abs(np.concatenate(pieces) - whole).max() < 1e-5
