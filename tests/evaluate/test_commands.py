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
    monkeypatch.setattr(parlando.speech, "load", lambda *given, **options: loaded)
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


@pytest.fixture
def judges(monkeypatch):
    """The judges of the command line hear what every sentence says, and know voices by their pitch."""
    from fake_judges import LoudMos, PitchAsr, PitchVoice
    from parlando.evaluate.judges import registry

    heard = PitchAsr({220: "cats and dogs"})
    monkeypatch.setattr(registry, "asr", lambda spec, key=None: heard)
    monkeypatch.setattr(registry, "speaker_encoder", lambda spec: PitchVoice())
    monkeypatch.setattr(registry, "mos", lambda spec: LoudMos())
    return heard


@pytest.fixture
def a_list(tmp_path, clip_of):
    """A list with one line that can be said, one whose recording is gone, and one without a text."""
    clip = clip_of("a sentence of thirty characters")
    soundfile.write(tmp_path / "a.wav", clip.samples, clip.sample_rate)
    (tmp_path / "m.lst").write_text("a|Cats and dogs.\nb|Prompt|gone.wav|Text.\nc| \n")
    return tmp_path


def test_seed_tts_writes_one_report_and_goes_on_with_it(run, judges, a_list):
    arguments = ("eval", "seed-tts", "--list", str(a_list / "m.lst"), "-s", f"folder:{a_list}", "-o", str(a_list / "o"))
    for calls in (1, 1):
        code, printed, errors = run(*arguments)
        assert code == 0
        assert judges.calls == calls
    assert "2 problems, counted and left out" in printed
    assert "m.lst:2: no prompt recording at" in printed
    assert "m.lst:3: the text is empty" in printed
    report = json.loads((a_list / "o" / "report.json").read_text())
    figures = {figure["name"]: figure["value"] for figure in report["systems"][0]["figures"]}
    assert figures["WER seed-tts"] == figures["WER strict"] == 0.0
    assert "wrote " in errors
    assert (a_list / "o" / "report.png").is_file()


def test_a_list_without_a_usable_line_is_refused(run, judges, tmp_path):
    (tmp_path / "m.lst").write_text("a| \n")
    code, _, errors = run("eval", "robust", "--list", str(tmp_path / "m.lst"), "-o", str(tmp_path))
    assert (code, errors.count("\n")) == (2, 1)
    assert "has no column" in errors
    code, _, errors = run("eval", "seed-tts", "--list", str(tmp_path / "m.lst"), "-o", str(tmp_path))
    assert code == 2
    assert "no usable line; the first" in errors


PACKAGED = ["seed-tts", "esd", "emergent", "dialogue", "codec", "robust", "latency"]


@pytest.mark.parametrize("protocol", PACKAGED)
def test_every_protocol_runs_over_its_packaged_list(run, judges, monkeypatch, tmp_path, protocol):
    from fake_judges import ToneSystem
    from parlando.evaluate.protocols import codec
    from parlando.evaluate.suite import specs

    monkeypatch.setattr(specs, "make_system", lambda spec, place: ToneSystem(spec, lambda item: 220.0, 3.0))

    class Copies(ToneSystem):
        def __init__(self, name, *_):
            super().__init__(name, lambda item: 220.0, 3.0)

        def code_figures(self, run, outputs):
            return []

    monkeypatch.setattr(codec, "CodecSystem", Copies)
    judges.words = dict.fromkeys(range(0, 2000, 10), "cats and dogs")
    code, printed, _ = run("eval", protocol, "-s", "tones", "--limit", "3", "-o", str(tmp_path / "o"))
    assert code == 0
    assert f"protocol {protocol}, list" in printed
    assert "| tones" in printed


def test_judges_are_listed_with_how_to_get_them(run):
    code, printed, _ = run("judges", "list")
    assert code == 0
    assert "| speaker | wavlm" in printed
    code, printed, _ = run("judges", "list", "--json")
    states = {row["name"]: row["state"] for row in json.loads(printed)}
    assert states["pocketsphinx"] == "here"
    assert states["wavlm"] == "give its file: wavlm:wavlm_large_finetune.pth"


def test_installing_judges_says_where_they_are(run, monkeypatch, tmp_path):
    from parlando.evaluate.judges import install

    installed = []
    monkeypatch.setattr(install, "install_packages", lambda: installed.append(True))
    monkeypatch.setattr(install, "join_whisper", lambda folder: folder)
    for arguments, times in ((("judges", "install"), 1), (("judges", "install", "--no-packages"), 1)):
        code, printed, _ = run(*arguments)
        assert code == 0
        assert "whisper-base; see: parlando judges list" in printed
        assert len(installed) == times
