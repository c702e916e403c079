"""The teachers themselves run where they are installed; what they do when they are not is tested everywhere."""

import ctypes
import pickle
import shutil
import subprocess

import numpy as np
import pytest

from parlando.core.errors import (
    ConfigError,
    FileMissingError,
    GenerationError,
    MissingDependencyError,
    VoiceNotFoundError,
)
from parlando.data.shards import PHONES
from parlando.data.teachers import TEACHERS, festival, find_teacher, flite, teacher_of
from parlando.data.teachers.protocol import Line, Unspoken


def has_flite():
    try:
        ctypes.CDLL("libflite_cmu_us_slt.so.1")
    except OSError:
        return False
    return True


def has_ked():
    program = shutil.which("festival")
    if program is None:
        return False
    listed = subprocess.run([program, "-b", "(print (voice.list))"], capture_output=True, text=True, check=False)
    return "ked_diphone" in listed.stdout


needs_flite = pytest.mark.skipif(not has_flite(), reason="flite's libraries are not installed")
needs_ked = pytest.mark.skipif(not has_ked(), reason="festival or its voice ked_diphone is not installed")


@needs_flite
def test_flite_speaks_with_phone_times():
    spoken = flite.speak("The sun is warm.", "slt")
    assert spoken.sample_rate == 16_000
    assert spoken.samples.dtype == np.int16
    assert 0.8 < len(spoken.samples) / 16_000 < 2.5
    assert " ".join(name for name, _ in spoken.phones) == "pau dh ax s ah n ih z w ao r m pau"
    ends = [end for _, end in spoken.phones]
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(len(spoken.samples) / 16_000, abs=0.05)
    assert np.abs(spoken.samples).max() > 3_000


@needs_flite
def test_flite_pronounces_words_with_stress():
    assert flite.pronounce("water") == ["w", "ao1", "t", "er0"]
    assert flite.pronounce("zorbi") == ["z", "ao1", "r", "b", "iy0"]


@needs_flite
def test_flite_has_the_voices_it_has():
    with pytest.raises(VoiceNotFoundError, match="awb, kal16, rms, slt"):
        flite.speak("Hello.", "nobody")


def test_missing_flite_is_named(monkeypatch):
    def refuse(*names, **options):
        raise OSError("no such library")

    flite._library.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    with pytest.raises(MissingDependencyError, match="apt-get install libflite1"):
        flite.speak("Hello.", "slt")
    flite._library.cache_clear()


@needs_ked
def test_festival_speaks_many_sentences_in_one_process(monkeypatch):
    calls, run = [], subprocess.run
    monkeypatch.setattr(festival.subprocess, "run", lambda *a, **k: calls.append(a) or run(*a, **k))
    texts = ['He said "no" to it\\all.', "The sun — naïve — is\nwarm."]
    first, second = festival.speak_all(texts, "ked_diphone")
    assert len(calls) == 1
    assert (first.sample_rate, second.samples.dtype) == (16_000, np.int16)
    assert [name for name, _ in second.phones][:4] == ["pau", "dh", "ax", "s"]
    assert {name for spoken in (first, second) for name, _ in spoken.phones} <= set(PHONES)
    assert second.phones[-1][1] == pytest.approx(len(second.samples) / 16_000, abs=0.05)
    assert len(festival.speak("No.", "ked_diphone").samples) < len(first.samples)


@needs_ked
def test_festival_says_which_text_it_could_not_speak():
    first, second = festival.speak_all(["Fine.", "..."], "ked_diphone")
    assert len(first.samples) > 1_000
    assert isinstance(second, Unspoken)
    with pytest.raises(GenerationError, match=r"festival did not speak '\.\.\.'"):
        festival.speak("...", "ked_diphone")


def test_a_text_that_festival_left_no_file_of_is_unspoken_for_its_last_reason(monkeypatch):
    monkeypatch.setattr(festival, "_run", lambda script, voice, folder: "first\nSIOD ERROR: no words\n")
    assert festival.speak_all(["..."], "ked_diphone") == [Unspoken("SIOD ERROR: no words")]


def test_missing_festival_is_named(monkeypatch):
    monkeypatch.setattr(festival.shutil, "which", lambda name: None)
    with pytest.raises(MissingDependencyError, match="apt-get install festival festvox-kdlpc16k"):
        festival.speak("Hello.", "ked_diphone")


def test_a_missing_festival_voice_is_named(monkeypatch):
    monkeypatch.setattr(festival.shutil, "which", lambda name: "festival")
    refused = subprocess.CompletedProcess([], festival.VOICE_IS_MISSING, "", "")
    monkeypatch.setattr(festival.subprocess, "run", lambda *a, **k: refused)
    with pytest.raises(MissingDependencyError, match="'kal_diphone' is needed.*apt-get install festvox-kallpc16k"):
        festival.speak("Hello.", "kal_diphone")
    with pytest.raises(VoiceNotFoundError, match="cmu_us_slt_arctic_hts, kal_diphone, ked_diphone"):
        festival.speak("Hello.", "kal")


def test_teachers_are_found_by_name_and_by_voice(monkeypatch):
    assert list(TEACHERS) == ["flite", "festival", "kokoro"]
    assert [teacher_of(voice).name for voice in ("rms", "ked_diphone")] == ["flite", "festival"]
    monkeypatch.setattr(flite, "speak", lambda text, voice: (voice, text))
    assert find_teacher("flite").speak([Line("a"), Line("b")], "rms") == [("rms", "a"), ("rms", "b")]
    with pytest.raises(VoiceNotFoundError, match=r"Did you mean 'ked_diphone'\?"):
        teacher_of("ked_diphon")
    with pytest.raises(ConfigError, match=r"no teacher named 'kokora'.*Did you mean 'kokoro'\?"):
        find_teacher("kokora")


@pytest.mark.parametrize("name", ["flite", "festival"])
def test_what_a_program_cannot_do_is_refused(name):
    teacher = TEACHERS[name]
    voice = next(iter(teacher.voices))
    with pytest.raises(ConfigError, match=f"{name} does not speak 'zh'; it speaks: en"):
        teacher.check(voice, "zh")
    with pytest.raises(ConfigError, match=f"{name} speaks at its own tempo only"):
        teacher.speak([Line("Slow.", 0.8)], voice)
    with pytest.raises(VoiceNotFoundError, match="no voice named 'nobody'"):
        teacher.check("nobody", "en")


@pytest.mark.parametrize(
    "error",
    [
        MissingDependencyError("flite", "apt-get x"),
        FileMissingError("a.wav", "recording"),
        VoiceNotFoundError("a", "b"),
    ],
)
def test_errors_of_workers_arrive_as_they_were_raised(error):
    arrived = pickle.loads(pickle.dumps(error))
    assert (type(arrived), str(arrived)) == (type(error), str(error))
