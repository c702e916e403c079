"""The whole pipeline on a small folder: what is kept, what is lost and why, and that nothing is done twice."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

import fake_listeners as fakes
from fake_listeners import HIGH, LOW, SPOKEN, make_raw, models, pause, voice
from parlando.annotate.config import AnnotateConfig
from parlando.annotate.filters import Filters, TextFilters
from parlando.annotate.plan import steps_of
from parlando.annotate.run import Where, annotate
from parlando.annotate.workspace import WORK, Workspace
from parlando.audio.files import read_audio, write_audio
from parlando.core.errors import FileMissingError, InputError
from parlando.data.manifest import read_manifest

HERE = Where(workers=0)
CONFIG = AnnotateConfig(sample_rate=16_000)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def contents(folder):
    """Every file of a corpus but those it is resumed by."""
    paths = [path for path in folder.rglob("*") if path.is_file() and WORK not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def raw(tmp_path):
    make_raw(tmp_path / "raw")
    return tmp_path / "raw"


def test_a_dialogue_becomes_its_speakers_segments_and_the_rest_is_told_why(raw, tmp_path):
    out = tmp_path / "out"
    outcome = annotate(Workspace(raw, out), steps_of(CONFIG, models()), HERE)
    kept = lines(out / "annotations.jsonl")
    assert [row["facts"]["spoken"] for row in kept] == [SPOKEN[LOW], SPOKEN[HIGH], SPOKEN[LOW]]
    assert [row["facts"]["speaker"][-2:] for row in kept] == ["S0", "S1", "S0"]
    assert [row["facts"]["start"] for row in kept] == pytest.approx([0.34, 3.34, 6.74])
    reasons = Counter(
        (row["source"], row["rejected"]["step"], row["rejected"]["reason"]) for row in lines(out / "rejected.jsonl")
    )
    assert set(reasons) == {
        ("dialogue.wav", "scan", "duplicate"),
        ("copy.wav", "cut", "pauses"),
        ("foreign.flac", "screen", "wrong language"),
        ("foreign.flac", "cut", "pauses"),
        ("music.flac", "speech", "music"),
        ("silent.wav", "decode", "silent"),
        ("empty.mp3", "decode", "empty"),
        ("text.wav", "decode", "not audio"),
    }
    told = json.loads((out / "yield.json").read_text())
    assert told["recordings"] == 7
    assert told["hours_in"] == pytest.approx((9.0 + 4.2 + 3.0 + 1.0) / 3600, abs=2e-4)
    assert told["hours_out"] + sum(loss["hours"] for loss in told["lost"]) == pytest.approx(told["hours_in"], abs=3e-4)
    assert outcome.losses.segments == 3


def test_the_corpus_is_what_trainings_read(raw, tmp_path):
    out = tmp_path / "out"
    annotate(Workspace(raw, out), steps_of(CONFIG, models()), HERE)
    utterances = list(read_manifest(out / "manifest.jsonl"))
    assert [u.text for u in utterances] == [fakes.WORDS[LOW], fakes.WORDS[HIGH], fakes.WORDS[LOW]]
    for u in utterances:
        clip = read_audio(out / u.audio)
        assert clip.duration_seconds == pytest.approx(u.seconds, abs=1e-3)
        assert 0.1 < abs(clip.samples).max() <= 0.96
    (first, *_) = lines(out / "samples.jsonl")
    assert [message["role"] for message in first["messages"]] == ["system", "user", "assistant"]
    assert "<|scene_desc_start|>\nAudio is recorded" in first["messages"][0]["content"]
    assert "SPEAKER0: masculine" in first["messages"][0]["content"]
    assert (out / first["messages"][2]["content"][0]["audio_url"]).is_file()


def test_every_field_says_which_step_found_it_out(raw, tmp_path):
    out = tmp_path / "out"
    annotate(Workspace(raw, out), steps_of(CONFIG, models()), HERE)
    known = json.loads((out / "steps.json").read_text())
    for row in lines(out / "annotations.jsonl"):
        assert set(row["provenance"]) == set(row["facts"])
        assert set(row["provenance"].values()) <= set(known)
        assert row["provenance"]["agreement"].startswith("transcribe 1 ")
        assert row["provenance"]["language"].startswith("transcribe") or row["provenance"]["language"].startswith(
            "language"
        )


def test_a_second_run_does_no_work_and_leaves_the_same(raw, tmp_path):
    work, steps = Workspace(raw, tmp_path / "out"), steps_of(CONFIG, models())
    first = annotate(work, steps, HERE)
    before = contents(work.out)
    again = annotate(work, steps, HERE)
    assert (again.tally.done, again.tally.reused) == (0, first.tally.done)
    assert contents(work.out) == before


def test_another_threshold_repeats_only_what_depends_on_it(raw, tmp_path):
    work = Workspace(raw, tmp_path / "out")
    annotate(work, steps_of(CONFIG, models()), HERE)
    strict = replace(CONFIG, filters=Filters(text=TextFilters(fewest_words=4)))
    again = annotate(work, steps_of(strict, models()), HERE)
    # Three segments are selected anew; what comes after the filter was done for the one that still passes.
    assert again.tally.done == 3
    assert again.losses.segments == 1
    assert len(list((work.out / "clips").rglob("*.flac"))) == 1


def test_audio_that_somebody_tidied_away_is_made_again(raw, tmp_path):
    work, steps = Workspace(raw, tmp_path / "out"), steps_of(CONFIG, models())
    annotate(work, steps, HERE)
    before = contents(work.out)
    for path in (*(work.out / "clips").rglob("*.flac"), *(work.out / WORK / "audio").rglob("*.flac")):
        path.unlink()
    annotate(work, steps, HERE)
    assert contents(work.out) == before


def test_a_model_that_crashes_loses_its_row_and_is_asked_again(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    write_audio(raw / "a.wav", voice(LOW, 2.0), fakes.RATE)
    write_audio(raw / "b.wav", voice(fakes.FAULTY, 2.0), fakes.RATE)
    work, steps = Workspace(raw, tmp_path / "out"), steps_of(CONFIG, models())
    outcome = annotate(work, steps, HERE)
    assert outcome.losses.segments == 1
    lost = [row["rejected"] for row in lines(work.out / "rejected.jsonl") if row["rejected"]["step"] == "transcribe"]
    assert lost == [{"step": "transcribe", "reason": "crashed", "detail": "RuntimeError: no such pitch"}]
    assert annotate(work, steps, HERE).tally.done == 1


def test_opus_clips_are_the_same_in_every_run(raw, tmp_path):
    steps = steps_of(replace(CONFIG, format="opus"), models())
    for name in ("one", "two"):
        annotate(Workspace(raw, tmp_path / name), steps, HERE)
    one, two = (contents(tmp_path / name) for name in ("one", "two"))
    clips = [name for name in one if name.endswith(".opus")]
    assert len(clips) == 3
    assert [one[name] for name in clips] == [two[name] for name in clips]


def test_the_page_needs_no_network_and_lets_every_reason_be_heard(raw, tmp_path):
    out = tmp_path / "out"
    annotate(Workspace(raw, out), steps_of(CONFIG, models()), HERE)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "http" not in page
    for reason in ("duplicate", "wrong language", "music", "silent", "empty", "not audio", "pauses"):
        assert f"<td>{reason}</td>" in page
    assert page.count("<audio ") >= 4
    assert page.count("<img ") == 1


def test_folders_that_cannot_be(tmp_path):
    raw = tmp_path / "raw"
    steps = steps_of(CONFIG, models())
    with pytest.raises(FileMissingError, match="no folder of recordings"):
        annotate(Workspace(raw, tmp_path / "out"), steps, HERE)
    raw.mkdir()
    with pytest.raises(InputError, match="holds no recordings"):
        annotate(Workspace(raw, tmp_path / "out"), steps, HERE)
    write_audio(raw / "a.wav", pause(1.0), fakes.RATE)
    with pytest.raises(InputError, match="would be annotated next time"):
        annotate(Workspace(raw, raw / "out"), steps, HERE)
    with pytest.raises(FileMissingError, match="no folder at"):
        annotate(Workspace(raw, tmp_path / "no" / "out"), steps, HERE)
