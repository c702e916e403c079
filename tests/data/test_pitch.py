"""The pitch of a corpus: measured once, and told without telling whose it is."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_corpus import SENTENCES, no_processes, write_corpus

from parlando.core.errors import ConfigError
from parlando.data import pitch
from parlando.data.pitch import CorpusPitch, PitchRange, measure_pitch, pitch_contour
from parlando.data.shards import PITCH, PackedCorpus, pack


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Sines of 150 to 250 Hz by slt and of 240 to 340 Hz by rms."""
    no_processes(monkeypatch)
    pack([write_corpus(tmp_path / "source")], tmp_path / "packed")
    corpus = PackedCorpus(tmp_path / "packed")
    assert 0.8 < measure_pitch(corpus) < 1
    return corpus


def test_every_utterance_has_four_values_a_frame_and_its_own_pitch(corpus):
    measured = CorpusPitch(corpus)
    for place, entry in enumerate(corpus.entries):
        hertz = measured.hertz(entry)
        assert hertz.shape == (entry.samples // 960, 4)
        expected = 150 + 90 * (place // len(SENTENCES)) + 20 * (place % len(SENTENCES))
        assert np.median(hertz[hertz > 0]) == pytest.approx(expected, rel=0.01)


def test_a_corpus_that_is_packed_again_is_no_longer_measured(corpus, tmp_path):
    CorpusPitch(corpus)
    pack([tmp_path / "source" / "manifest.jsonl"], corpus.folder)
    with pytest.raises(ConfigError, match=r"is not measured; run: parlando data pitch .*packed"):
        CorpusPitch(corpus)


def test_a_measurement_that_breaks_off_leaves_nothing_to_mistake_for_one(corpus, monkeypatch):
    (corpus.folder / PITCH).unlink()
    monkeypatch.setattr(pitch, "pitch_track", lambda samples, rate: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        measure_pitch(corpus)
    assert not (corpus.folder / PITCH).exists()


def test_two_speakers_with_one_melody_have_one_contour(corpus):
    measured = CorpusPitch(corpus)
    ranges = measured.ranges(corpus.entries)
    assert ranges["rms"].mean > ranges["slt"].mean
    low, high = np.array([[0, 100.0, 120.0]]), np.array([[0, 200.0, 240.0]])
    heights = [pitch_contour(h, PitchRange(float(np.log(m)), 0.2)) for h, m in ((low, 110), (high, 220))]
    assert np.allclose(*heights, atol=1e-6)
    assert heights[0].dtype == np.float32
    assert heights[0].tolist() == [pytest.approx([0, -0.4766, 0.4351, 0, 1, 1], abs=1e-3)]


def test_a_speaker_without_a_voiced_sound_has_a_range_too(corpus, monkeypatch):
    measured = CorpusPitch(corpus)
    monkeypatch.setattr(measured, "hertz", lambda entry: np.zeros((3, 4), np.float32))
    assert measured.ranges(corpus.entries)["slt"] == PitchRange(0.0, 1.0)


@pytest.mark.slow
def test_its_workers_are_told_the_folder_and_not_the_samples(tmp_path):
    pack([write_corpus(tmp_path / "source", ("slt",))], tmp_path / "packed")
    corpus = PackedCorpus(tmp_path / "packed")
    measure_pitch(corpus)
    assert CorpusPitch(corpus).hertz(corpus.entries[0]).any()


def test_ranges_of_training_leave_the_other_splits_out(corpus):
    measured = CorpusPitch(corpus)
    assert measured.training_ranges() == measured.ranges(entry for entry in corpus.entries if entry.split == "train")
    speaker = corpus.entries[0].speaker
    for entry in [each for each in corpus.entries if each.speaker == speaker]:
        corpus.entries[corpus.entries.index(entry)] = replace(entry, split="validation")
    assert speaker not in measured.training_ranges()
