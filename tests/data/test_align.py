import ctypes
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile
import soxr

from parlando.core.errors import ConfigError, MissingDependencyError
from parlando.data import align as module
from parlando.data.align import align, align_manifest
from parlando.data.manifest import Utterance, append_manifest, read_manifest
from parlando.data.teachers import flite

SENTENCE = "The old man went to sea again."


def available():
    try:
        ctypes.CDLL("libflite_cmu_us_slt.so.1")
    except OSError:
        return False
    return find_spec("pocketsphinx") is not None


needs_aligner = pytest.mark.skipif(not available(), reason="pocketsphinx or flite's libraries are not installed")


@pytest.fixture(scope="module")
def spoken():
    return flite.speak(SENTENCE, "slt")


@needs_aligner
def test_phones_end_where_the_teacher_says(spoken):
    found = align(spoken.samples, SENTENCE)
    assert found is not None
    names = [name for name, _ in found if name != "pau"]
    true = [name for name, _ in spoken.phones if name != "pau"]
    assert len(names) == len(true)
    assert sum(a == b for a, b in zip(names, true, strict=True)) >= 0.8 * len(true)
    ends = [end for name, end in found if name != "pau"]
    true_ends = [end for name, end in spoken.phones if name != "pau"]
    errors = np.abs(np.array(ends) - np.array(true_ends))
    assert np.median(errors) < 0.04
    assert ends == sorted(ends)


@needs_aligner
def test_a_clip_has_the_same_times_whatever_came_before_it(spoken):
    alone = align(spoken.samples, SENTENCE)
    other = flite.speak("Whatever came before it, in the same process, is forgotten.", "rms")
    for earlier in (other.samples, other.samples[:4_000], np.zeros(1_600, np.int16)):
        align(earlier, SENTENCE)
        assert align(spoken.samples, SENTENCE) == alone


@needs_aligner
def test_what_cannot_fit_has_no_phones(spoken):
    assert align(spoken.samples, "") is None
    assert align(spoken.samples, "1234 !") is None
    assert align(np.zeros(1_600, np.int16), SENTENCE * 3) is None


@needs_aligner
def test_a_manifest_gains_phones_and_resumes(tmp_path, spoken, in_this_process):
    wave = soxr.resample(spoken.samples.astype(np.float32) / 32768, spoken.sample_rate, 48_000)
    soundfile.write(tmp_path / "a.wav", np.stack([wave, wave], 1), 48_000)
    soundfile.write(tmp_path / "b.wav", np.zeros(1_600, np.float32), 16_000)
    clips = [
        Utterance("a", "a.wav", "slt", "en", SENTENCE, 2.0),
        Utterance("b", "b.wav", "rms", "en", SENTENCE * 3, 0.1),
    ]
    source, target = tmp_path / "source.jsonl", tmp_path / "manifest.jsonl"
    append_manifest(source, clips[:1])
    assert align_manifest(source, target) == 0
    append_manifest(source, clips[1:])
    assert align_manifest(source, target) == 1
    found = {u.id: u for u in read_manifest(target)}
    assert replace(found["a"], phones=None) == clips[0]
    assert found["b"] == clips[1]
    mono = align(spoken.samples, SENTENCE)
    assert [p for p, _ in found["a"].phones] == [p for p, _ in mono]
    # Where a pause ends is a guess (76 ms early in the median, against the teacher); where phones end is not.
    ends = [[end for phone, end in phones if phone != "pau"] for phones in (found["a"].phones, mono)]
    assert np.abs(np.subtract(*ends)).max() <= 0.05


def test_a_manifest_in_another_folder_is_refused(tmp_path):
    append_manifest(tmp_path / "source.jsonl", [])
    with pytest.raises(ConfigError, match=r"must be in the folder of .*source\.jsonl"):
        align_manifest(tmp_path / "source.jsonl", tmp_path / "other" / "manifest.jsonl")


def test_an_aligner_that_gives_up_leaves_the_clip_without_phones(monkeypatch):
    class GivesUp:
        def set_align_text(self, text):
            assert text == "w-y-eh-s"

        def reinit_feat(self):
            pass

        def start_utt(self):
            raise RuntimeError("no")

    monkeypatch.setattr(module, "_decoder", GivesUp)
    monkeypatch.setattr(module, "_enter_words", lambda decoder, text: [["y", "eh", "s"], []])
    assert align(np.zeros(160, np.int16), "Yes!") is None


def test_a_missing_aligner_is_named(monkeypatch):
    module._decoder.cache_clear()
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(MissingDependencyError, match=r"'pocketsphinx' is needed.*pip install .*\[train\]'"):
        align(np.zeros(160, np.int16), SENTENCE)
