"""`parlando annotate` as people call it, with models that need no weights."""

from __future__ import annotations

import json

import pytest

import fake_listeners as fakes
from fake_listeners import make_raw
from parlando.core.errors import MissingDependencyError
from parlando.evaluate.judges import registry, steady


@pytest.fixture
def judges(monkeypatch):
    """The registries hand out the fakes; whisper:tiny.en is not installed."""

    def asr(spec):
        if spec == "whisper:tiny.en":
            raise MissingDependencyError("tiny", "get tiny")
        return fakes.PitchWords()

    monkeypatch.setattr(steady, "steady_asr", asr)
    monkeypatch.setattr(steady, "language_listener", lambda spec: fakes.PitchLanguages())
    monkeypatch.setattr(registry, "speaker_encoder", lambda spec: fakes.PitchVoices())
    monkeypatch.setattr(registry, "events", lambda spec: fakes.PitchEvents())
    monkeypatch.setattr(registry, "mos", lambda spec: fakes.LoudMarks())


def test_a_folder_becomes_a_corpus_and_the_summary_says_how(cli, judges, tmp_path):
    make_raw(tmp_path / "raw")
    status, _, err = cli("annotate", "raw", "-o", "corpus", "--workers", "0")
    assert status == 0, err
    assert "without whisper:tiny.en: 'tiny' is needed" in err
    assert "7 recordings" in err
    assert "3 segments of 2 speakers" in err
    assert "0 found finished" in err
    assert json.loads((tmp_path / "corpus" / "yield.json").read_text())["segments"] == 3
    status, _, err = cli("annotate", "raw", "-o", "corpus", "--workers", "0")
    assert "0 steps taken" in err


def test_a_language_can_be_asked_for_and_quiet_is_quiet(cli, judges, tmp_path):
    make_raw(tmp_path / "raw")
    status, out, err = cli("annotate", "raw", "-o", "c", "--workers", "0", "--asr", "a", "--language", "de", "--quiet")
    assert (status, out, err) == (0, "", "")
    (line,) = (tmp_path / "c" / "manifest.jsonl").read_text().splitlines()
    assert json.loads(line)["language"] == "de"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--on", "moon"), "'moon' is not a place to run; use local or ray"),
        (("--format", "mp3"), "'mp3' is not one of 'flac', 'opus'"),
        (("--config", "none.toml"), "no settings (.toml) at 'none.toml'"),
        (("--asr", "whisper:tiny.en"), "run: get tiny"),
        ((), "no folder of recordings at 'raw'"),
    ],
)
def test_mistakes_are_told_in_a_line(options, message, cli, judges, tmp_path):
    if options:
        make_raw(tmp_path / "raw")
    status, _, err = cli("annotate", "raw", "-o", "corpus", "--workers", "0", *options)
    assert status == 2
    assert message in err.splitlines()[-1]


def test_a_folder_that_is_not_there_is_told_before_any_model_is_missed(cli, judges):
    told = "parlando: no folder of recordings at 'raw'; check the path\n"
    assert cli("annotate", "raw", "-o", "corpus") == (2, "", told)
