"""Tokens to samples through flow and vocoder: any pieces equal the whole, in every voice and at every tempo."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cosyvoice_tiny import LM, tiny_cosyvoice, tiny_voices
from parlando.core.errors import AudioError
from parlando.core.types import Frame, Prompt, Reference, Voice
from parlando.models.cosyvoice.decoder import flow_prompt
from parlando.models.cosyvoice.voices import MEL, SPEAKER

# What it runs is counted elsewhere: watched line by line it takes nearly twice as long.
pytestmark = pytest.mark.no_cover

PER_FRAME = 960


@pytest.fixture(scope="module")
def model():
    return tiny_cosyvoice()


def frames_of(count):
    return [Frame(LM.speech_id, (int(code),)) for code in np.random.default_rng(count).integers(0, 81, count)]


def in_pieces(stream, frames, places):
    ends = sorted({place % (len(frames) + 1) for place in places})
    spans = list(itertools.pairwise([0, *ends, len(frames)]))
    return np.concatenate([stream.push(frames[a:b], index == len(spans) - 1) for index, (a, b) in enumerate(spans)])


@settings(max_examples=8, deadline=None)
@given(
    st.integers(0, 40), st.lists(st.integers(0, 40), max_size=6), st.sampled_from([1.0, 0.5, 1.3, 2.0]),
    st.sampled_from(["anna", "bert"]),
)  # fmt: skip
def test_any_pieces_equal_the_whole_within_1e_5(model, count, places, speed, voice):
    frames = frames_of(count)
    whole = model.open(model.voices[voice], speed).push(frames, True)
    streamed = in_pieces(model.open(model.voices[voice], speed), frames, places)
    assert whole.dtype == streamed.dtype == np.float32
    assert len(whole) == len(streamed) == int(2 * count / speed) * PER_FRAME // 2
    assert np.abs(whole - streamed).max(initial=0.0) < 1e-5


@pytest.mark.parametrize(
    "sizes",
    [[1] * 80, [3] * 30, [10] * 8, [15] * 5, [25] * 3, [2, 4, 8, 16, 32], [25, 50, 100]],
    ids=["1", "3", "10", "15", "25", "doubled", "25, 50, 100"],
)
def test_the_usual_schedules_equal_the_whole(model, sizes):
    frames = frames_of(sum(sizes) + 7)
    whole = model.open(model.voices["anna"]).push(frames, True)
    streamed = in_pieces(model.open(model.voices["anna"]), frames, itertools.accumulate(sizes))
    assert len(whole) == len(streamed) == len(frames) * PER_FRAME
    assert np.abs(whole - streamed).max() < 1e-5


def test_each_voice_and_code_has_a_sound_of_its_own(model):
    anna, bert = (model.open(voice).push(frames_of(20), True) for voice in model.voices.values())
    assert len(anna) == len(bert) == 20 * PER_FRAME
    assert np.abs(anna - bert).max() > 1e-4


def test_text_between_speech_is_silent_work(model):
    frames = frames_of(10)
    text = [Frame(3), Frame(4)]
    mixed = [*text, *frames[:5], *text, *frames[5:], *text]
    expected = model.open(model.voices["anna"]).push(frames, True)
    assert np.array_equal(model.open(model.voices["anna"]).push(mixed, True), expected)


def test_a_stream_that_has_ended_gives_nothing_more(model):
    stream = model.open(model.voices["anna"])
    assert len(stream.push(frames_of(10), True)) == 10 * PER_FRAME
    assert len(stream.push(frames_of(10), True)) == len(stream.push(frames_of(10), False)) == 0


def test_a_code_outside_the_vocabulary_is_an_error_not_noise(model):
    with pytest.raises(IndexError):
        model.open(model.voices["anna"]).push([Frame(LM.speech_id, (81,))], True)


@pytest.mark.parametrize(
    "voice",
    [
        Voice("ada", "a description is no sound"),
        Voice("ada", references=(Reference("Hi.", np.array([[1, 2]]), {}),)),
    ],
)
def test_a_voice_without_a_sound_is_refused_with_advice(model, voice):
    with pytest.raises(AudioError, match="voice 'ada' has no sound of its own for this model; clone it"):
        model.open(voice)


def test_a_prompt_of_another_builder_is_refused(model):
    bare = Prompt((1,), np.zeros(1, bool), np.zeros((0, 1), np.int64))
    with pytest.raises(AudioError, match="this prompt has no voice"):
        model.decoder.open(bare)


@pytest.mark.parametrize(
    "features",
    [{SPEAKER: np.ones(17, np.float32)}, {SPEAKER: np.ones(16, np.float32), MEL: np.zeros((20, 79), np.float32)}],
)
def test_a_voice_of_another_models_sizes_is_refused(model, features):
    voice = Voice("ada", references=(Reference("Hi.", np.arange(10)[None], features),))
    with pytest.raises(AudioError):
        model.open(voice)


def test_clips_of_one_voice_follow_each_other_and_their_speakers_are_averaged(model):
    (clip,) = tiny_voices()["anna"].references
    longer = Reference("", clip.codes, {**clip.features, MEL: clip.features[MEL][:17]})
    prompt = flow_prompt(Voice("two", references=(clip, longer)), model.parts.flow)
    assert len(prompt.tokens) == 18
    assert len(prompt.mel) == 36
    speaker = torch.from_numpy(clip.features[SPEAKER])
    assert torch.allclose(prompt.speaker, speaker / speaker.norm(), atol=1e-6)
