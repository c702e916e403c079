from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from parlando.audio.clip import Clip
from parlando.evaluate import protocol
from parlando.evaluate.protocol import Plan, length_prior, run_wer, say_all, spoken_seconds
from parlando.evaluate.report import markdown_table, save_json
from parlando.evaluate.wer_report import plot_wer, wer_markdown

TEXTS = ("the first sentence of four", "a second one follows here", "then comes the third of them", "and now the last")


@pytest.fixture
def hearing(monkeypatch):
    """A recogniser that hears what it is told, per label."""
    told: dict[str, list[str]] = {}
    monkeypatch.setattr(protocol, "recognise", lambda clips, label: told.get(label, list(TEXTS))[: len(clips)])
    return told


def test_every_sentence_has_a_seed_of_its_own(fake_speaker, tmp_path):
    speaker = fake_speaker()
    takes = list(say_all(speaker, Plan(TEXTS, tmp_path, voice="ann", seed=7)))
    assert speaker.calls == [(text, "ann", 7 + i) for i, text in enumerate(TEXTS)]
    assert [t.audio[:4] for t in takes] == [f"{i:03d}-" for i in range(4)]
    assert all((tmp_path / t.audio).is_file() for t in takes)


def test_an_interrupted_run_goes_on_where_it_stopped(fake_speaker, tmp_path):
    plan = Plan(TEXTS, tmp_path)
    first = say_all(fake_speaker(), plan)
    done = [next(first), next(first)]
    speaker = fake_speaker()
    assert list(say_all(speaker, plan))[:2] == done
    assert [text for text, _, _ in speaker.calls] == list(TEXTS[2:])


def test_a_lost_file_another_seed_and_another_model_are_said_again(fake_speaker, tmp_path):
    list(say_all(fake_speaker(), Plan(TEXTS, tmp_path)))
    next(tmp_path.glob("001-*.wav")).unlink()
    for plan, count in (
        (Plan(TEXTS, tmp_path), 1),
        (Plan(TEXTS, tmp_path, seed=9), 4),
        (Plan(TEXTS, tmp_path, "m"), 4),
    ):
        speaker = fake_speaker()
        list(say_all(speaker, plan))
        assert len(speaker.calls) == count


def test_difference_is_in_points_of_the_reference(fake_speaker, clip_of, hearing, tmp_path):
    hearing["recognise the model"] = ["the first sentence of floor", *TEXTS[1:3], "and now"]
    hearing["recognise ann"] = ["the first sentence of for", *TEXTS[1:]]
    report = run_wer(fake_speaker(), Plan(TEXTS, tmp_path), ("ann", [clip_of(t) for t in TEXTS]))
    words = sum(len(t.split()) for t in TEXTS)
    assert report.model_rates.wer == pytest.approx(3 / words)
    assert report.difference_points == pytest.approx(200 / words)
    assert report.rows[3].wer == 0.5
    assert (report.ended_by_themselves, report.ended_in_bounds, report.retried) == (4, 4, 0)
    assert report.median_ratio == pytest.approx(1.0, abs=0.02)
    assert report.real_time_factor == pytest.approx(0.25, abs=0.01)


def test_a_runaway_and_a_slow_sentence_are_out_of_bounds(fake_speaker, clip_of, hearing, tmp_path):
    speaker = fake_speaker(slow=frozenset({TEXTS[0]}), endless=frozenset({TEXTS[1]}))
    report = run_wer(speaker, Plan(TEXTS, tmp_path), ("ann", [clip_of(t) for t in TEXTS]))
    assert (report.ended_by_themselves, report.ended_in_bounds, report.retried) == (3, 2, 1)
    assert report.rows[0].ratio == pytest.approx(3.0, rel=0.05)
    assert report.rows[1].finish == "length"


def test_without_a_reference_there_is_no_difference(fake_speaker, hearing, tmp_path):
    report = run_wer(fake_speaker(), Plan(TEXTS, tmp_path))
    assert (report.reference_rates, report.difference_points, report.median_ratio) == (None, None, None)
    assert report.ended_in_bounds == 4
    assert "no reference length" in wer_markdown(report)


def test_without_a_reference_the_length_prior_bounds(fake_speaker, hearing, tmp_path):
    seconds = {text: 0.02 * len(text) for text in TEXTS} | {TEXTS[2]: 5.0}
    report = run_wer(fake_speaker(), Plan(TEXTS, tmp_path), prior=seconds.__getitem__)
    assert report.ended_in_bounds == 3
    assert report.rows[2].ratio < 0.2
    assert "length prior" in wer_markdown(report)


def test_length_prior_counts_the_frames_that_prompts_expect():
    class Prompts:
        def build(self, sentence, voice):
            assert voice == "a voice"
            return SimpleNamespace(expected_frames=float(len(sentence.split())))

    model = SimpleNamespace(prompts=Prompts(), frame_rate=10.0, voices={"ann": "a voice"}, default_voice="ann")
    prior = length_prior(SimpleNamespace(model=model))
    assert prior("One two three. Four five!") == pytest.approx(0.5)


def test_spoken_length_leaves_out_silence_at_both_ends(clip_of):
    clip = clip_of(TEXTS[0])
    quiet = np.zeros(4 * clip.sample_rate, np.float32)
    padded = Clip(np.concatenate([quiet, clip.samples, quiet]), clip.sample_rate)
    assert spoken_seconds(padded) == pytest.approx(spoken_seconds(clip), abs=0.2)
    assert spoken_seconds(Clip(quiet, clip.sample_rate)) == 0


def test_reports_for_people_and_programs(fake_speaker, clip_of, hearing, tmp_path):
    hearing["recognise the model"] = [*TEXTS[:3], "something else"]
    report = run_wer(fake_speaker(), Plan(TEXTS, tmp_path, "tiny", "ann"), ("kathleen", [clip_of(t) for t in TEXTS]))
    text = wer_markdown(report)
    assert "tiny, voice ann" in text
    assert "WER of kathleen" in text
    assert text.splitlines()[-4].startswith("| 100%  | and now the last")
    save_json(report, tmp_path / "deep" / "report.json")
    assert json.loads((tmp_path / "deep" / "report.json").read_text())["rows"][3]["heard"] == "something else"
    plot_wer(report, tmp_path / "report.png")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


def test_table_columns_are_as_wide_as_their_widest_cell():
    assert markdown_table(("a", "long"), [("wide cell", 1)]).splitlines() == [
        "| a         | long |",
        "|-----------|------|",
        "| wide cell | 1    |",
    ]
