from __future__ import annotations

import sys

import numpy as np
import pytest

import scripted_model
from fake_judges import tone
from parlando.audio.files import write_audio
from parlando.core.errors import ConfigError, FileMissingError, GenerationError, InputError, MissingDependencyError
from parlando.core.types import Voice
from parlando.evaluate.suite.items import Item, Sample, Turn
from parlando.evaluate.suite.specs import Place, make_system
from parlando.evaluate.suite.systems import (
    TURN_PAUSE_SECONDS,
    CallSystem,
    CommandSystem,
    FolderSystem,
    ModelSystem,
    Recordings,
    TeacherSystem,
    folder_digest,
)
from parlando.speech import Synthesizer

HELLO = Item("a", "Hello there my friend.")


class Cloning(Synthesizer):
    """Counts its clones."""

    clones = 0

    def clone(self, audio, text=None, name="clone"):
        self.clones += 1
        return Voice(f"clone of {audio.name}")


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"1")
    synthesizer = Cloning(scripted_model.Model(), rows=1)
    yield synthesizer, ModelSystem("mini", lambda: synthesizer, tmp_path / "model")
    synthesizer.close()


def test_a_model_is_timed_while_it_streams(model):
    _, system = model
    system.prepare()
    said = system.say(HELLO, seed=3)
    assert said.clip.duration_seconds == 4.0  # ten frames of a tenth of a second for each word
    assert 0 < said.first_audio_seconds <= said.work_seconds
    assert system.name == "mini"


def test_a_sample_is_cloned_once_and_a_voice_by_name_is_not_cloned(model, tmp_path):
    synthesizer, system = model
    sample = Sample(tmp_path / "p.wav", "Prompt.")
    for number in range(2):
        system.say(Item(str(number), "Hello.", sample=sample), seed=0)
    assert synthesizer.clones == 1
    named = ModelSystem("mini", lambda: synthesizer, tmp_path / "model", "bob")
    named.say(Item("a", "Hello.", sample=sample), seed=0)
    assert (synthesizer.clones, named.name) == (1, "mini@bob")


def test_a_dialogue_is_its_turns_with_pauses_between(model):
    synthesizer, system = model
    talk = Item("d", "Hi. Oh hello.", turns=(Turn(0, "Hi."), Turn(1, "Oh hello."), Turn(0, "Yes.")))
    said = system.say(talk, seed=5)
    assert said.clip.duration_seconds == pytest.approx(4.0 + 2 * TURN_PAUSE_SECONDS)
    assert synthesizer.model.seeds == [5, 6, 7]


def test_a_model_is_another_when_its_files_are(tmp_path):
    (tmp_path / "w").write_bytes(b"1" * 3_000_000)
    first = folder_digest(tmp_path)
    (tmp_path / "w").write_bytes(b"1" * 2_999_999 + b"2")
    assert folder_digest(tmp_path) != first


def test_recordings_are_those_of_the_list(tmp_path):
    write_audio(tmp_path / "r.wav", tone(200).samples, 8000)
    item = Item("a", "Text.", recording=tmp_path / "r.wav")
    assert Recordings().say(item, 0).clip.duration_seconds == 1.0
    assert Recordings().content(item)
    with pytest.raises(InputError, match="names no recording"):
        Recordings().say(HELLO, 0)


def test_a_folder_has_files_by_id(tmp_path):
    write_audio(tmp_path / "a.flac", tone(200).samples, 8000)
    assert FolderSystem(tmp_path).say(HELLO, 0).clip.sample_rate == 8000
    with pytest.raises(InputError, match=r"no b\.wav"):
        FolderSystem(tmp_path).say(Item("b", "x"), 0)


def test_a_function_is_timed_and_gets_its_voice():
    heard = []

    def speak(text, voice="?"):
        heard.append((text, voice))
        return np.zeros(4000, np.int16) + 100, 8000

    said = CallSystem(speak, "x.py:speak", "eva").say(HELLO, 0)
    assert heard == [("Hello there my friend.", "eva")]
    assert said.clip.duration_seconds == 0.5
    assert said.first_audio_seconds == said.work_seconds > 0
    assert said.clip.samples.max() == pytest.approx(100 / 32768)


WRITER = "import sys, soundfile, numpy; soundfile.write(sys.argv[1], numpy.zeros(int(sys.argv[2])) + .1, 8000)"


def test_a_program_writes_where_it_is_told():
    said = CommandSystem(f"{sys.executable} -c '{WRITER}' {{out}} 80{{seed}}").say(HELLO, 0)
    assert len(said.clip.samples) == 800


@pytest.mark.parametrize(
    ("program", "message"),
    [("raise SystemExit(3)", "ended with 3"), ("", "it wrote no file"), ("raise ValueError(7)", "ValueError: 7")],
)
def test_a_program_that_fails_is_told_with_its_last_line(program, message):
    with pytest.raises(GenerationError, match=message):
        CommandSystem(f"{sys.executable} -c '{program}' {{out}}").say(HELLO, 0)


def test_a_program_that_hangs_is_ended():
    with pytest.raises(GenerationError, match="longer than"):
        CommandSystem(f"{sys.executable} -c 'import time; time.sleep(60)' {{out}}", timeout_seconds=0.2).say(HELLO, 0)


def test_a_text_is_one_word_of_a_command_whatever_is_in_it(tmp_path):
    show = 'import sys; open(sys.argv[2], "w").write(sys.argv[1]); sys.exit(1)'
    path = tmp_path / "seen"
    with pytest.raises(GenerationError):
        CommandSystem(f"{sys.executable} -c '{show}' {{text}} {path} {{out}}").say(
            Item("a", "$(rm -rf x); `ls` 'q'"), 0
        )
    assert path.read_text() == "$(rm -rf x); `ls` 'q'"


def test_specs_name_systems(tmp_path):
    (tmp_path / "my.py").write_text("def speak(text):\n    return [0.5] * 80, 8000\n")
    place = Place(key="k")
    assert isinstance(make_system("recordings", place), Recordings)
    assert make_system(f"folder:{tmp_path}", place).name == tmp_path.name
    assert make_system(f"call:{tmp_path}/my.py:speak@eva", place).name == "speak@eva"
    assert make_system("command:say {text} {out}", place).name == "say"
    assert make_system("higgs-mini@rms", place).name == "higgs-mini@rms"
    service = make_system("http://127.0.0.1:9/v1#best@eva", place)
    assert (service.model, service.voice, service.service.key) == ("best", "eva", "k")
    assert make_system("http://me@127.0.0.1:9/v1", place).voice is None


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("folder:nowhere", FileMissingError, "no folder of recordings"),
        ("call:nowhere.py:f", FileMissingError, "no Python file"),
        ("command:say {text}", ConfigError, "does not say where to write"),
        ("higgs-mni", InputError, "Did you mean 'higgs-mini'"),
        ("teacher:nobody", InputError, "no voice named 'nobody'"),
        ("teacher:flit@slt", ConfigError, "no teacher named 'flit'.*Did you mean 'flite'"),
    ],
)
def test_a_spec_that_names_nothing_is_refused(spec, error, message):
    with pytest.raises(error, match=message):
        make_system(spec, Place())


def test_a_file_without_the_function_is_refused(tmp_path):
    (tmp_path / "my.py").write_text("x = 1\n")
    with pytest.raises(ConfigError, match="has no function 'speak'"):
        make_system(f"call:{tmp_path}/my.py:speak", Place())


def test_a_teacher_says_it():
    try:
        said = TeacherSystem("flite@slt").say(Item("a", "Hello."), 0)
    except MissingDependencyError:
        pytest.skip("Flite is not on this machine")
    assert 0.3 < said.clip.duration_seconds < 1.5
