from __future__ import annotations

import sys

import numpy as np
import pytest

from fake_judges import PitchAsr, tone
from parlando.audio.files import write_audio
from parlando.core.types import Frame
from parlando.evaluate.protocols import codec
from parlando.evaluate.protocols.codec import CodecSystem, entropy_bits, read_recordings, run_codec
from parlando.evaluate.references import held_out_sentences

RATE, PER_FRAME = 8000, 400


class Stream:
    """Each frame is its own samples again; the look-ahead of one frame comes with the next push."""

    def __init__(self, frames, leaky=False):
        self.held, self.leaky = [], leaky

    def push(self, frames, final):
        self.held += [np.array(frame.codes, np.float32) / 100 for frame in frames]
        kept = 0 if final else 1
        ready, self.held = self.held[: len(self.held) - kept], self.held[len(self.held) - kept :]
        wave = np.concatenate([np.zeros(0, np.float32), *ready])
        return wave * 0.5 if self.leaky and not final else wave


class Model:
    name, sample_rate, frame_rate, codebook_sizes = "tiny", RATE, 20.0, (256,) * 4
    leaky = False

    def encode(self, samples, sample_rate):
        return np.arange(len(samples) // PER_FRAME)[None].repeat(4, 0) % 2

    def recode(self, samples, sample_rate):
        whole = (samples[: len(samples) // PER_FRAME * PER_FRAME] * 100).astype(np.int64).reshape(-1, PER_FRAME)
        return [Frame(0, tuple(int(x) for x in row)) for row in whole], Stream(whole, self.leaky)


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    (tmp_path / "model").mkdir()
    monkeypatch.setattr(codec, "locate", lambda name: tmp_path / "model")
    monkeypatch.setattr(codec, "load_model", lambda folder, device, dtype: Model())
    return CodecSystem("tiny")


@pytest.fixture
def recordings(tmp_path):
    write_audio(tmp_path / "a.wav", tone(200, 1.0).samples, RATE, "wav-float")
    write_audio(tmp_path / "b.wav", tone(300, 1.5).samples, RATE, "wav-float")
    (tmp_path / "list.tsv").write_text("id\taudio\ttext\na\ta.wav\tcats dogs\nb\tb.wav\tred\nc\tc.wav\tgone\n")
    return str(tmp_path / "list.tsv")


def test_a_codec_stands_beside_its_recordings(tiny, recordings, run, judged, figures):
    items = read_recordings(recordings)
    report = run_codec(run, [tiny], items, judged(PitchAsr({200: "cats dogs", 300: "bed"})), "here")
    truth, ours = (figures(system.figures) for system in report.systems)
    assert truth["WER strict"].value == ours["WER strict"].value == pytest.approx(100 / 3)
    assert ours["SIM"].value == pytest.approx(1.0, abs=1e-3)
    assert "mel distance" not in truth
    assert 0 < ours["mel distance"].value < 3  # samples are rounded to hundredths
    assert ours["STOI"].count == 2
    assert ours["bit rate"].value == pytest.approx(20 * 4 * 8 / 1000)
    assert ours["entropy"].value == pytest.approx(20 * 4 * 1 / 1000, rel=0.01)
    assert ours["codebook used"].value == pytest.approx(100 * 8 / 1024)
    assert ours["chunked error"].value == 0.0
    assert [p.where.rsplit(":", 1)[1] for p in report.problems] == ["4"]


def test_chunks_that_give_something_else_are_seen(tiny, recordings, run, judged, figures):
    tiny.model.leaky = True
    report = run_codec(run, [tiny], read_recordings(recordings), judged(speaker=None, mos=None), "here")
    assert figures(report.systems[1].figures)["chunked error"].value == pytest.approx(0.15, abs=0.01)


def test_what_is_not_installed_is_left_out_with_the_way_to_get_it(tiny, recordings, run, judged, figures, monkeypatch):
    monkeypatch.setitem(sys.modules, "pesq", None)
    report = run_codec(run, [tiny], read_recordings(recordings), judged(speaker=None, mos=None), "here")
    assert "PESQ" not in figures(report.systems[1].figures)
    assert any("PESQ is left out" in note and "pip install pesq" in note for note in report.notes)


def test_entropy_is_in_bits():
    assert entropy_bits(np.array([0, 1, 2, 3])) == 2.0
    assert entropy_bits(np.array([5, 5, 5])) == 0.0


def test_of_a_corpus_the_held_out_sentences_are_taken(tmp_path):
    held = held_out_sentences(2)
    rows = ["path\tspeaker\tlanguage\ttext\tseconds"]
    for number, text in enumerate(["Something else.", *held, held[0]]):
        write_audio(tmp_path / f"{number}.wav", tone(200).samples, RATE)
        rows.append(f"{number}.wav\ta\ten\t{text}\t1.0")
    (tmp_path / "metadata.tsv").write_text("\n".join(rows) + "\n")
    found = read_recordings(str(tmp_path))
    assert sorted(item.text for item in found.items) == sorted(held)
    assert all(item.recording.is_file() for item in found.items)


def test_the_packaged_clips_are_there():
    found = read_recordings("codec_en.tsv")
    assert (len(found.items), found.problems) == (4, ())
