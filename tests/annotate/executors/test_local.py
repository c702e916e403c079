"""Several processes: the corpus is that of one, a killed worker costs its row, a killed run goes on where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from fake_listeners import DEADLY, LOW, RATE, SPOKEN, make_raw, models, voice
from parlando.annotate.config import AnnotateConfig
from parlando.annotate.executors.here import Job, Tally
from parlando.annotate.executors.local import LocalOptions, run_local
from parlando.annotate.plan import steps_of
from parlando.annotate.rows import Row
from parlando.annotate.run import Where, annotate
from parlando.annotate.step import Step
from parlando.annotate.workspace import WORK, Workspace
from parlando.audio.files import write_audio
from parlando.core.errors import ConfigError, ParlandoError

pytestmark = pytest.mark.slow
STEPS = steps_of(AnnotateConfig(sample_rate=16_000), models())


@pytest.fixture(autouse=True)
def importable(monkeypatch, root):
    """Processes import what they are given, steps of this file among it."""
    monkeypatch.syspath_prepend(root)


def contents(folder):
    paths = [path for path in folder.rglob("*") if path.is_file() and WORK not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_processes_make_the_corpus_of_one(tmp_path):
    make_raw(tmp_path / "raw")
    outcomes = {}
    for name, workers in (("one", 0), ("two", 2)):
        (tmp_path / name).mkdir()
        outcomes[name] = annotate(
            Workspace(tmp_path / "raw", tmp_path / name / "corpus"), STEPS, Where(workers=workers)
        )
    assert contents(tmp_path / "one" / "corpus") == contents(tmp_path / "two" / "corpus")
    assert outcomes["one"].tally == outcomes["two"].tally


def test_a_row_that_kills_its_process_is_lost_alone(tmp_path):
    (tmp_path / "raw").mkdir()
    write_audio(tmp_path / "raw" / "good.wav", voice(LOW, 2.0), RATE)
    write_audio(tmp_path / "raw" / "bad.wav", voice(DEADLY, 2.0), RATE)
    outcome = annotate(Workspace(tmp_path / "raw", tmp_path / "out"), STEPS, Where(workers=1))
    assert outcome.losses.segments == 1
    assert [(loss.step, loss.reason) for loss in outcome.losses.lost if loss.reason != "pauses"] == [
        ("transcribe", "worker died")
    ]


@dataclass(frozen=True)
class Slow(Step):
    name = "slow"

    @property
    def settings(self):
        return {}

    def run(self, row, work):
        if row.id == "sleepy":
            time.sleep(600)
        if row.id == "wrong":
            raise ConfigError("a setting is wrong")
        yield row


def test_a_row_that_never_ends_is_given_up_and_a_wrong_setting_ends_the_run(tmp_path):
    job = Job((Slow(),), Workspace(tmp_path, tmp_path / "out"))
    rows = [Row("sleepy", "a.wav"), Row("awake", "b.wav")]
    found = {row.id: row.rejected for row in run_local(job, rows, LocalOptions(2, 3.0), Tally())}
    assert found["awake"] is None
    assert found["sleepy"].reason == "timed out"
    with pytest.raises(ConfigError, match="a setting is wrong"):
        list(run_local(job, [Row("wrong", "c.wav")], LocalOptions(1), Tally()))


@dataclass(frozen=True)
class Unborn(Step):
    name = "unborn"

    @property
    def settings(self):
        return {}

    def run(self, row, work):
        yield row

    def __reduce__(self):
        return os._exit, (9,)


def test_processes_that_cannot_begin_end_the_run(tmp_path):
    job = Job((Unborn(),), Workspace(tmp_path, tmp_path / "out"))
    with pytest.raises(ParlandoError, match="died before it could begin"):
        list(run_local(job, [Row("a", "a.wav")], LocalOptions(1), Tally()))


PROGRAM = """
import os, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from parlando.annotate.config import AnnotateConfig
from parlando.annotate.executors import here
from parlando.annotate.plan import steps_of
from parlando.annotate.run import Where, annotate
from parlando.annotate.workspace import Workspace
from fake_listeners import models
taken = here.apply
count = 0
def apply(*arguments):
    global count
    count += 1
    if count > {most}:
        os.kill(os.getpid(), 9)
    return taken(*arguments)
here.apply = apply
work = Workspace(Path({raw!r}), Path({out!r}))
annotate(work, steps_of(AnnotateConfig(sample_rate=16_000), models()), Where(workers=0))
"""


def test_a_run_that_is_killed_goes_on_and_repeats_nothing(tmp_path, root):
    make_raw(tmp_path / "raw")
    whole = annotate(Workspace(tmp_path / "raw", tmp_path / "corpus"), STEPS, Where(workers=0))
    before = contents(tmp_path / "corpus")
    out = tmp_path / "b" / "corpus"
    out.parent.mkdir()
    program = PROGRAM.format(tests=str(root / "tests"), most=20, raw=str(tmp_path / "raw"), out=str(out))
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    killed = subprocess.run([sys.executable, "-c", program], env=environment, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (out / "manifest.jsonl").exists()
    rest = annotate(Workspace(tmp_path / "raw", out), STEPS, Where(workers=0))
    assert (rest.tally.reused, rest.tally.done) == (20, whole.tally.done - 20)
    assert contents(out) == before
    assert SPOKEN[LOW] in (out / "annotations.jsonl").read_text()
