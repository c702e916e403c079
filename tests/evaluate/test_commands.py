from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

import parlando.speech
from parlando.cli.app import main
from parlando.evaluate import protocol, references, similarity
from parlando.evaluate.speed import bench


@pytest.fixture
def run(capsys):
    """Run a command; its exit code, output and errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        printed = capsys.readouterr()
        return int(stopped.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture
def synthesizer(fake_speaker, monkeypatch):
    """`parlando.load` gives the fake speaker, with as much of a model as the commands look at."""

    class Loaded(fake_speaker):
        model = SimpleNamespace(
            name="tiny",
            frame_rate=25.0,
            voices={"ann": None},
            default_voice="ann",
            prompts=SimpleNamespace(build=lambda text, voice: SimpleNamespace(expected_frames=0.5 * len(text))),
        )

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def clone(self, audio, text=None, name="clone"):
            return name

    loaded = Loaded()
    monkeypatch.setattr(parlando.speech, "load", lambda model, device, dtype, rows: loaded)
    return loaded


@pytest.fixture
def perfect_hearing(monkeypatch):
    """A recogniser that hears the held-out sentences as they are written."""

    def recognise(clips, label):
        return references.held_out_sentences(len(clips))

    monkeypatch.setattr(protocol, "recognise", recognise)


@pytest.fixture
def recordings(tmp_path, clip_of):
    """Tones for the first three held-out sentences, by two speakers."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    lines = ["path\tspeaker\tlanguage\ttext\tseconds"]
    for number, text in enumerate(references.held_out_sentences(3)):
        clip = clip_of(text)
        soundfile.write(folder / f"{number}.wav", clip.samples, clip.sample_rate)
        lines.append(f"{number}.wav\t{'ab'[number % 2]}\ten\t{text}\t{clip.duration_seconds:.2f}")
    (folder / "metadata.tsv").write_text("\n".join(lines) + "\n")
    return folder


def test_wer_next_to_recordings(run, synthesizer, perfect_hearing, recordings, tmp_path):
    out = tmp_path / "report.json"
    code, printed, _ = run(
        "eval", "wer", "--reference", str(recordings), "--limit", "3", "--voice", "ann", "-o", str(out)
    )
    assert code == 0
    assert "tiny, voice ann" in printed
    report = json.loads(out.read_text())
    assert (report["sentences"], report["difference_points"], report["ended_in_bounds"]) == (3, 0.0, 3)
    assert out.with_suffix(".png").is_file()
    assert [voice for _, voice, _ in synthesizer.calls] == ["ann"] * 3


def test_wer_without_a_reference_keeps_the_audio_where_it_is_told(run, synthesizer, perfect_hearing, tmp_path):
    code, printed, _ = run("eval", "wer", "--limit", "2", "--save-audio", str(tmp_path / "kept"))
    assert code == 0
    assert "the length prior" in printed
    assert len(list((tmp_path / "kept").glob("*.wav"))) == 2


def test_wer_against_two_references_is_refused(run, synthesizer, tmp_path):
    code, _, errors = run("eval", "wer", "--reference", str(tmp_path), "--teacher", "slt")
    assert (code, errors.count("\n")) == (2, 1)
    assert "leave one of them out" in errors


def test_wer_of_recordings_that_are_not_there_is_refused(run, synthesizer, tmp_path):
    code, _, errors = run("eval", "wer", "--reference", str(tmp_path / "nowhere"))
    assert code == 2
    assert "nowhere" in errors


def test_similarity_prints_the_matrix(run, synthesizer, recordings, monkeypatch, tmp_path):
    seen = []

    def judged(cloner, model, clips, sentences):
        seen.append((sorted(clips), len(sentences)))
        return similarity.SimilarityReport(model, ("a", "b"), ((0.9, 0.5), (0.6, 0.8)), 0.85, 0.55, 0.5, 2, 4, 3)

    monkeypatch.setattr(similarity, "run_similarity", judged)
    code, printed, _ = run("eval", "similarity", str(recordings), "--limit", "2", "-o", str(tmp_path / "s.json"))
    assert code == 0
    assert seen == [(["a", "b"], 2)]
    assert "2 of 2" in printed
    assert "3 of 4" in printed
    assert json.loads((tmp_path / "s.json").read_text())["own"] == 0.85


def test_bench_quick_is_short_and_can_leave_the_peer_out(run, monkeypatch, tmp_path):
    asked = []

    def measured(load_model, work, peer):
        asked.append((work.batches, work.repeats, peer))
        stream = bench.StreamFigures(0.25, 0.1, 4.0, 1.0, 300.0)
        speed = (bench.Throughput(1, 50.0, 200.0),)
        return bench.BenchReport("tiny", "here", 1, "float32", stream, work, speed, (), speed, (), "peer")

    monkeypatch.setattr(bench, "run_bench", measured)
    code, printed, _ = run("bench", "--quick", "--no-peer", "-o", str(tmp_path / "b.json"))
    assert code == 0
    assert asked == [((1, 2), 1, False)]
    assert "100 ms" in printed
    assert np.isclose(json.loads((tmp_path / "b.json").read_text())["stream"]["real_time_factor"], 0.25)
