"""What is understood of scenes: figures by hand, and a whole run with listeners that need no model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from parlando.data.scenes.scene import Director, SceneConfig
from parlando.data.scenes.sources import Speech
from parlando.data.shards import PackedCorpus, pack
from parlando.evaluate.judges.base import Card
from parlando.evaluate.protocols.understanding import USUAL, described, run_understanding
from parlando.evaluate.suite.report import eval_markdown, publish
from parlando.evaluate.suite.run import Run
from parlando.text.answer import Answer, HeardSpeaker, Turn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "data"))
from tiny_corpus import no_processes, write_corpus

RATE = 8000
ANN, BOB = HeardSpeaker("feminine", "high"), HeardSpeaker("masculine", "low")


@pytest.fixture(scope="module")
def director(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heard")
    with pytest.MonkeyPatch.context() as patch:
        no_processes(patch)
        pack([write_corpus(folder / "source")], folder / "corpus")
    return Director(Speech(PackedCorpus(folder / "corpus"), (), 5.0), SceneConfig(speechless=0.0), RATE)


class KnowsAll:
    """Answers the truth of a scene, known by its length; for ``wrong`` places, another."""

    card = Card("knows all", "1")

    def __init__(self, director, plans):
        self.truths = {len(director.scene(plan).samples): director.answer(plan) for plan in plans}
        self.calls = 0

    def understand(self, clip):
        self.calls += 1
        return self.truths[len(clip.samples)]

    def hear(self, clip, language):
        return self.understand(clip).text


class Deaf:
    card = Card("deaf", "1")

    def hear(self, clip, language):
        return ""


def test_a_run_puts_all_listeners_side_by_side_and_goes_on(director, tmp_path):
    plans = [director.plan(director.speech.train, 7, number) for number in range(6)]
    knowing = KnowsAll(director, plans)
    report = run_understanding(Run(tmp_path), director, plans, [knowing, Deaf()], "here")
    names = [system.system for system in report.systems]
    assert names == ["knows all", "deaf", USUAL]
    best = {figure.name: figure.value for figure in report.systems[0].figures}
    assert best["WER"] == 0.0
    assert {best[name] for name in ("speakers", "gender", "pitch", "place", "events")} == {100.0}
    assert {figure.name: figure.value for figure in report.systems[1].figures} == {"WER": 100.0}
    assert set(report.systems[0].groups) == {plan.place for plan in plans}
    run_understanding(Run(tmp_path), director, plans, [knowing, Deaf()], "here")
    assert knowing.calls == 6
    assert [path.name for path in publish(report, tmp_path)][:2] == ["report.json", "report.md"]
    assert json.loads((tmp_path / "report.json").read_text())["protocol"] == "understanding"
    assert "| knows all" in eval_markdown(report)


def test_a_listener_that_breaks_is_counted(director, tmp_path):
    class Broken(KnowsAll):
        def understand(self, clip):
            raise RuntimeError("no ears")

    plans = [director.plan(director.speech.train, 7, 0)]
    report = run_understanding(Run(tmp_path), director, plans, [Broken(director, plans)], "here")
    assert len(report.problems) == 1
    assert "no ears" in str(report.problems[0])


def test_fields_are_right_or_wrong():
    truths = [
        Answer("hall", ("bell",), None, (ANN,), (Turn(0, "a"),)),
        Answer("quiet", (), "happy", (ANN, BOB), (Turn(0, "a"), Turn(1, "b"))),
        Answer("room", ("music", "bell"), None, (BOB,)),
        Answer("quiet"),
    ]
    answers = [
        Answer("hall", ("bell",), None, (BOB,)),
        Answer("room", (), "happy", (ANN, HeardSpeaker("masculine", "high"))),
        Answer("room", ("music",), None, (ANN, BOB)),
        None,
    ]
    found = {figure.name: figure for figure in described(truths, answers, "me")}
    assert {name: round(figure.value, 2) for name, figure in found.items()} == {
        "speakers": 66.67,
        "gender": 66.67,
        "pitch": 33.33,
        "place": 66.67,
        "events": 66.67,
        "emotion": 100.0,
        "event F1": 0.8,
    }
    assert found["gender"].count == 3
    assert found["emotion"].count == 1
