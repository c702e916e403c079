from __future__ import annotations

import numpy as np
import pytest

from fake_judges import PitchAsr, ToneSystem, tone
from parlando.audio.files import write_audio
from parlando.core.errors import GenerationError
from parlando.evaluate.protocols.seed_tts import run_seed_tts
from parlando.evaluate.suite.items import Item, Sample

PITCH = {"a": 200.0, "b": 300.0, "c": GenerationError("nothing came")}


@pytest.fixture
def items(tmp_path):
    write_audio(tmp_path / "p.wav", tone(200).samples, 8000)
    sample = Sample(tmp_path / "p.wav", "Prompt.")
    return [
        Item("a", "cats dogs", sample=sample),
        Item("b", "red green", sample=sample),
        Item("c", "x y z", sample=sample),
    ]


def test_both_modes_stand_side_by_side_and_a_missing_output_counts_in_one(run, listed, judged, figures, items):
    asr = PitchAsr({200: "Cats, dogs.", 300: "red"})
    system = ToneSystem("tones", lambda item: PITCH[item.id])
    report = run_seed_tts(run, [system], listed(*items), judged(asr), "here")
    (ours,) = report.systems
    found = figures(ours.figures)
    assert (ours.asked, ours.said) == (3, 2)
    assert found["WER seed-tts"].value == pytest.approx(25.0)  # 0 and 1/2, the missing one skipped
    assert found["WER strict"].value == pytest.approx(100 * 4 / 7)  # one word and three that were not said
    similarities = [1.0, np.cos(0.1 * np.pi / 2)]
    assert found["SIM"].value == pytest.approx(np.mean(similarities), abs=1e-5)
    assert found["MOS"].value == pytest.approx(1 + 4 * 0.3, abs=0.01)
    assert found["MOS signal"].value == 3.0
    assert found["RTF"].value == 0.25
    assert found["first audio"].value == 125.0
    assert [p.where for p in report.problems] == ["tones, c"]
    assert report.judges == ("pitch 1 (words 2)", "pitch voice 1", "loudness 1")


def test_an_output_that_the_judge_failed_on_is_not_the_system_s_error(run, listed, judged, figures, items):
    asr = PitchAsr({200: RuntimeError("broken"), 300: "red green"})
    system = ToneSystem("tones", lambda item: PITCH[item.id])
    report = run_seed_tts(run, [system], listed(*items[:2]), judged(asr), "here")
    found = figures(report.systems[0].figures)
    assert (found["WER strict"].value, found["WER strict"].count) == (0.0, 1)
    assert len(report.problems) == 1


def test_what_nobody_judges_is_left_out(run, listed, judged, figures):
    system = ToneSystem("tones", lambda item: 200.0)
    report = run_seed_tts(run, [system], listed(Item("a", "one")), judged(mos=None), "here")
    assert set(figures(report.systems[0].figures)) == {"RTF", "first audio"}
