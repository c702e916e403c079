from __future__ import annotations

import pytest

from fake_judges import PitchAsr, ToneSystem, tone
from parlando.audio.files import read_audio, write_audio
from parlando.core.errors import GenerationError, MissingDependencyError
from parlando.evaluate.judges.base import Card
from parlando.evaluate.suite.items import Item, Sample
from parlando.evaluate.suite.run import Measure, Run
from parlando.evaluate.suite.systems import FolderSystem

ITEMS = (Item("a", "One.", line=4), Item("b", "Two.", line=7), Item("c", "Three."))
PITCH = {"a": 200.0, "b": 300.0, "c": 400.0}


def speaker(**changed):
    return ToneSystem("tones", lambda item: {**PITCH, **changed}[item.id])


def words(asr):
    return Measure("words", asr.card, lambda out: asr.hear(out.clip, "en"))


def test_what_was_said_is_kept_with_its_times(tmp_path):
    system = speaker()
    outputs = Run(tmp_path, seed=10).speak(system, ITEMS)
    assert system.asked == [("a", 10), ("b", 11), ("c", 12)]
    assert [(o.audio_seconds, o.work_seconds, o.first_audio_seconds) for o in outputs] == [(1.0, 0.25, 0.125)] * 3
    assert read_audio(outputs[0].path).sample_rate == 8000


def test_an_item_that_fails_is_counted_by_its_line_and_tried_again(tmp_path):
    run = Run(tmp_path)
    outputs = run.speak(speaker(b=GenerationError("no\n audio")), ITEMS)
    assert [o.path is None for o in outputs] == [False, True, False]
    assert [str(p) for p in run.problems] == ["tones, line 7 (b): GenerationError: no audio"]
    again = speaker()
    assert all(o.path for o in Run(tmp_path).speak(again, ITEMS))
    assert again.asked == [("b", 1)]


def test_a_run_goes_on_only_where_everything_is_the_same(tmp_path):
    Run(tmp_path).speak(speaker(), ITEMS)
    for items, seed, asked in (
        (ITEMS, 0, []),
        (ITEMS, 5, ["a", "b", "c"]),
        ((Item("a", "Another text.", line=4), *ITEMS[1:]), 0, ["a"]),
    ):
        system = speaker()
        Run(tmp_path, seed).speak(system, items)
        assert [name for name, _ in system.asked] == asked
    other = ToneSystem("others", lambda item: 500.0)
    Run(tmp_path).speak(other, ITEMS)
    assert len(other.asked) == 3


def test_another_sample_under_the_same_name_is_another_item(tmp_path):
    sample = tmp_path / "sample.wav"
    item = Item("a", "One.", sample=Sample(sample))
    for hertz, asked in ((100, 1), (100, 0), (150, 1)):
        write_audio(sample, tone(hertz).samples, 8000)
        system = speaker()
        Run(tmp_path / "run").speak(system, [item])
        assert len(system.asked) == asked


def test_a_recording_that_was_replaced_is_read_again(tmp_path):
    folder = tmp_path / "wavs"
    folder.mkdir()
    write_audio(folder / "a.wav", tone(200).samples, 8000)
    first = Run(tmp_path / "run").speak(FolderSystem(folder), ITEMS[:1])[0]
    write_audio(folder / "a.wav", tone(300, 2.0).samples, 8000)
    second = Run(tmp_path / "run").speak(FolderSystem(folder), ITEMS[:1])[0]
    assert (first.audio_seconds, second.audio_seconds) == (1.0, 2.0)
    assert first.work_seconds is None


def test_a_judge_is_asked_once_for_each_output(tmp_path):
    asr = PitchAsr({200: "one", 300: "two", 400: ""})
    for _ in range(2):
        run = Run(tmp_path)
        assert run.measure(words(asr), run.speak(speaker(), ITEMS)) == ["one", "two", ""]
    assert asr.calls == 3
    other = PitchAsr({200: "won", 300: "too", 400: "free"})
    other.card = Card("another", "1")
    run = Run(tmp_path)
    assert run.measure(words(other), run.speak(speaker(), ITEMS))[0] == "won"


def test_equal_audio_that_was_said_once_more_is_not_judged_again(tmp_path):
    asr = PitchAsr({200: "one", 300: "two", 400: ""})
    run = Run(tmp_path)
    first = run.speak(speaker(), ITEMS)
    run.measure(words(asr), first)
    (tmp_path / "said.jsonl").unlink()
    again = Run(tmp_path)
    second = again.speak(speaker(), ITEMS)
    assert [o.digest for o in first] == [o.digest for o in second]
    assert again.measure(words(asr), second) == ["one", "two", ""]
    assert asr.calls == 3


def test_a_judge_that_fails_on_one_file_is_counted_and_asked_again(tmp_path):
    run = Run(tmp_path)
    outputs = run.speak(speaker(), ITEMS)
    flaky = PitchAsr({200: "one", 300: RuntimeError("cuda"), 400: "three"})
    assert run.measure(words(flaky), outputs) == ["one", None, "three"]
    assert [str(p) for p in run.problems] == ["words of line 7 (b): RuntimeError: cuda"]
    sound = PitchAsr({200: "", 300: "two", 400: ""})
    assert Run(tmp_path).measure(words(sound), outputs) == ["one", "two", "three"]
    assert sound.calls == 1


def test_what_fails_for_everything_ends_the_run(tmp_path):
    missing = MissingDependencyError("funasr", "pip install funasr")
    with pytest.raises(MissingDependencyError):
        Run(tmp_path).speak(speaker(a=missing), ITEMS)
    run = Run(tmp_path)
    with pytest.raises(MissingDependencyError):
        run.measure(words(PitchAsr({200: missing})), run.speak(speaker(), ITEMS))


def test_a_missing_output_has_nothing_to_measure(tmp_path):
    run = Run(tmp_path)
    outputs = run.speak(speaker(a=GenerationError("x"), b=GenerationError("x"), c=GenerationError("x")), ITEMS)
    assert run.measure(words(PitchAsr({})), outputs) == [None, None, None]
