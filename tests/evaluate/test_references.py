from __future__ import annotations

import numpy as np
import pytest
import soundfile

from parlando.core.errors import FileMissingError, InputError, MissingDependencyError, VoiceNotFoundError
from parlando.data.manifest import Utterance, append_manifest
from parlando.data.teachers import flite
from parlando.evaluate import references


@pytest.fixture
def recordings(tmp_path):
    """Two sentences, the first recorded twice, as a table and as a manifest."""
    (tmp_path / "audio").mkdir()
    rows, utterances = [], []
    for name, text, length in (("a1", "Good day, sir.", 800), ("a2", "Good day sir", 400), ("b", "Well then.", 1600)):
        soundfile.write(tmp_path / "audio" / f"{name}.wav", np.full(length, 0.1), 8000)
        rows.append(f"audio/{name}.wav\tann\ten\t{text}\t{length / 8000}")
        utterances.append(Utterance(name, f"audio/{name}.wav", "ann", "en", text, length / 8000))
    (tmp_path / "metadata.tsv").write_text("\n".join(["path\tspeaker\tlanguage\ttext\tseconds", *rows]) + "\n")
    append_manifest(tmp_path / "manifest.jsonl", utterances)
    return tmp_path


def test_100_held_out_sentences_all_different():
    sentences = references.held_out_sentences()
    assert len({s.lower() for s in sentences}) == 100
    assert references.held_out_sentences(3) == sentences[:3]


@pytest.mark.parametrize("source", ["", "metadata.tsv", "manifest.jsonl"])
def test_recordings_come_in_the_order_of_the_sentences_first_take_first(recordings, source):
    clips = references.recorded(recordings / source, ["WELL, then!", "good day sir"])
    assert [len(clip.samples) for clip in clips] == [1600, 800]
    assert {clip.sample_rate for clip in clips} == {8000}


def test_a_sentence_without_a_recording_is_named(recordings):
    with pytest.raises(InputError, match="no recording of 1 of 2 sentences, the first is 'Never said.'"):
        references.recorded(recordings, ["Well then.", "Never said."])


def test_a_folder_without_a_table_is_missing(tmp_path):
    with pytest.raises(FileMissingError, match=r"metadata\.tsv"):
        references.recorded(tmp_path, ["Well then."])


def test_the_teacher_says_each_sentence(monkeypatch):
    def speak(text, voice):
        return flite.Spoken(np.full(len(text), 16384, np.int16), 16000, [])

    monkeypatch.setattr(flite, "speak", speak)
    clips = references.taught("slt", ["abc", "de"])
    assert [len(c.samples) for c in clips] == [3, 2]
    assert clips[0].samples.tolist() == [0.5] * 3


def test_an_unknown_teacher_is_an_error():
    try:
        with pytest.raises(VoiceNotFoundError, match="slt"):
            references.taught("sld", ["abc"])
    except MissingDependencyError:
        pytest.skip("Flite is not on this machine")
