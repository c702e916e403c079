"""Scenes: pure functions of their numbers, whose truth is what was put into them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from tiny_corpus import no_processes, write_corpus

from parlando.core.errors import ConfigError
from parlando.data.scenes.scene import CLEAN, SILENCE, Director, SceneConfig
from parlando.data.scenes.sources import EMOTIONS_FILE, Speech, transcript
from parlando.data.shards import PHONES, PackedCorpus, pack
from parlando.text.answer import HeardSpeaker, Turn

RATE = 16_000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    with pytest.MonkeyPatch.context() as patch:
        no_processes(patch)
        pack([write_corpus(folder / "source", ("slt", "rms", "awb"))], folder / "corpus")
    return PackedCorpus(folder / "corpus")


@pytest.fixture
def speech(corpus):
    return Speech(corpus, (), 10.0)


def director(speech, **changes):
    return Director(speech, replace(SceneConfig(), **changes), RATE)


def test_a_scene_is_a_function_of_its_number(speech):
    stage, other_stage = director(speech), director(speech)
    plans = [stage.plan(speech.train, 0, number) for number in range(30)]
    assert plans == [other_stage.plan(speech.train, 0, number) for number in range(30)]
    assert len({plan.seed for plan in plans}) == 30
    one, other = (each.scene(plans[3]) for each in (stage, other_stage))
    assert np.array_equal(one.samples, other.samples)
    assert one.samples.dtype == np.float32
    assert np.abs(one.samples).max() < 1


def test_shares_and_places_are_as_asked_for(speech):
    stage = director(speech)
    drawn = [stage.plan(speech.train, 0, number) for number in range(600)]
    counts = Counter(len(plan.entries) for plan in drawn)
    assert 5 < counts[0] < 40
    assert 60 < counts[2] < 150
    assert all(len({entry.speaker for entry in plan.entries}) == len(plan.entries) for plan in drawn)
    places = Counter(plan.place for plan in drawn)
    assert 150 < places["quiet"] < 250
    assert min(places[name] for name in ("room", "hall", "telephone", "noisy")) > 60
    assert 60 < sum("music" in plan.events for plan in drawn) < 125


def test_the_truth_is_what_was_put_in(speech):
    stage = director(speech, two_speakers=1.0, speechless=0.0)
    plan = next(p for n in range(20) if len((p := stage.plan(speech.train, 0, n)).entries) == 2)
    answer = stage.answer(plan)
    assert [turn.speaker for turn in answer.turns] == [0, 1]
    assert answer.turns[0].text == plan.entries[0].text.lower()
    assert len(answer.speakers) == 2
    assert answer.emotion is None
    scene = stage.scene(plan)
    phones = [PHONES[label] for label in scene.labels]
    assert phones[0] == phones[-1] == "pau"
    assert phones.count("iy") > 5
    assert len(scene.labels) * stage.label_seconds == pytest.approx(len(scene.samples) / RATE, abs=0.01)


def test_a_clean_scene_is_the_utterance_between_short_pauses(speech):
    stage = Director(speech, CLEAN, RATE)
    plan = stage.plan(speech.train, 5)
    scene = stage.scene(plan)
    (entry,) = plan.entries
    loud = np.flatnonzero(np.abs(scene.samples) > 0.01)
    assert (loud[-1] - loud[0]) / RATE == pytest.approx(entry.samples / 24_000, abs=0.12)
    assert scene.answer.turns == (Turn(0, speech.text(entry)),)


def test_nobody_speaks_in_a_speechless_scene(speech):
    stage = director(speech, speechless=1.0, event=0.0, music=0.0)
    scene = stage.scene(stage.plan(speech.train, 0))
    assert scene.answer.speakers == scene.answer.turns == ()
    assert set(scene.labels) == {SILENCE}


def test_events_and_noise_are_heard(speech):
    base = {"two_speakers": 0.0, "speechless": 0.0, "warped": 0.0, "music": 0.0}
    loud = {"loudest_behind_db": 1.0, "softest_behind_db": 2.0, "loudest_noise_db": 1.0, "softest_noise_db": 2.0}
    plain = director(speech, places={"quiet": 1.0}, event=0.0, **base, **loud)
    noisy = director(speech, places={"noisy": 1.0}, event=1.0, **base, **loud)
    quiet, full = (stage.scene(stage.plan(speech.train, 1)) for stage in (plain, noisy))
    assert len(full.answer.events) == 1
    assert full.answer.place == "noisy"
    levels = [np.square(scene.samples).mean() / np.square(scene.samples).max() for scene in (quiet, full)]
    assert levels[0] != levels[1]


def test_speakers_are_described_by_their_pitch(speech):
    assert speech.speaker("slt") == HeardSpeaker("feminine", "low") or speech.speaker("slt").gender == "feminine"
    assert speech.speaker("awb").pitch == "high"


def test_held_out_speakers_and_their_sentences_are_not_learned_from(corpus):
    with pytest.raises(ConfigError, match="is left to learn from"):
        Speech(corpus, ("slt",), 10.0)  # all speakers say the same sentences
    speech = Speech(corpus, (), 0.82)
    assert all(entry.samples <= 0.82 * 24_000 for entry in speech.train)


def test_mistakes_are_told(corpus):
    with pytest.raises(ConfigError, match="nobody in '.*' is named bob"):
        Speech(corpus, ("bob",), 10.0)
    with pytest.raises(ConfigError, match="places: moon is none of quiet"):
        SceneConfig({"moon": 1.0})
    with pytest.raises(ConfigError, match="at least one needs a weight"):
        SceneConfig({"quiet": 0.0})


def test_emotions_are_those_of_a_file_beside_the_corpus(corpus):
    path = corpus.folder / EMOTIONS_FILE
    try:
        path.write_text(json.dumps({entry.id: "happy" for entry in corpus.entries}), encoding="utf-8")
        speech = Speech(corpus, (), 10.0)
        stage = director(speech, speechless=0.0)
        assert stage.answer(stage.plan(speech.train, 0)).emotion == "happy"
        path.write_text('{"x": "bored"}', encoding="utf-8")
        with pytest.raises(ConfigError, match="bored is none of neutral"):
            Speech(corpus, (), 10.0).emotions  # noqa: B018
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("It’s 5 o'clock; really!", "en", "it's five o'clock, really."),
        ("“Well” - said Ann", "en", "well, said ann"),
        ("Guten Tag", "xx", "guten tag"),
    ],
)
def test_transcripts_are_as_they_are_heard(text, language, expected):
    assert transcript(text, language) == expected
