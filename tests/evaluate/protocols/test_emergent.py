from __future__ import annotations

import json

import pytest

from fake_judges import PitchAsr, ToneSystem, hertz_of
from parlando.core.errors import GenerationError
from parlando.evaluate.judges.base import Card
from parlando.evaluate.judges.http import ServiceError
from parlando.evaluate.judges.pairwise import CATEGORIES, Verdict
from parlando.evaluate.protocols.emergent import is_swapped, read_emergent, run_emergent
from parlando.evaluate.suite.items import Item


class HigherWins:
    """The higher pitch wins; equal ones tie; it cannot hear 900 hertz."""

    card = Card("higher", "1")

    def __init__(self):
        self.order = []

    def compare(self, text, category, first, second):
        pitches = [round(hertz_of(first)), round(hertz_of(second))]
        self.order.append(pitches)
        if 900 in pitches:
            raise ServiceError("no verdict")
        return Verdict(0 if pitches[0] == pitches[1] else 1 + pitches.index(max(pitches)))


ITEMS = [Item(f"i{n}", f"Text {n}.", line=n + 1, group=("emotions", "syntax")[n % 2], depth=n // 4) for n in range(8)]


def test_win_rates_by_category_and_depth_whatever_the_order(run, listed, judged, figures):
    pitch = dict(
        zip((i.id for i in ITEMS), [600.0, 300.0, 400.0, 600.0, GenerationError("x"), 900.0, 600.0, 400.0], strict=True)
    )
    judge = HigherWins()
    report = run_emergent(
        run,
        [ToneSystem("ours", lambda item: pitch[item.id])],
        ToneSystem("base", lambda item: 400.0),
        listed(*ITEMS),
        (judge, judged()),
        "here",
    )
    base, ours = report.systems
    found = figures(ours.figures)
    # win, loss, tie, win, missing (loss), the judge failed (left out), win, tie
    assert found["win rate"].value == pytest.approx(100 * (1 + 0 + 0.5 + 1 + 0 + 1 + 0.5) / 7)
    assert found["win rate"].count == 7
    assert found["ties"].value == pytest.approx(100 * 2 / 7)
    groups = {name: figures(group)["win rate"].value for name, group in ours.groups.items()}
    assert groups["emotions"] == pytest.approx(100 * (1 + 0.5 + 0 + 1) / 4)
    assert groups["syntax"] == pytest.approx(100 * (0 + 1 + 0.5) / 3)
    assert groups["depth 0"] == pytest.approx(100 * 2.5 / 4)
    assert len(report.problems) == 2
    assert base.said == 8
    firsts = [pair[0] for pair in judge.order]
    assert 400 in firsts[:2] or 400 in firsts
    assert {is_swapped(0, item) for item in ITEMS} == {True, False}


def test_a_finished_pair_is_not_judged_again(run, listed, judged, tmp_path):
    for calls in (2, 0):
        judge = HigherWins()
        systems = [ToneSystem("ours", lambda item: 600.0)], ToneSystem("base", lambda item: 400.0)
        run_emergent(run, *systems, listed(*ITEMS[:2]), (judge, judged(PitchAsr({600: "text", 400: "text"}))), "here")
        assert len(judge.order) == calls


def test_the_published_fields_are_read_and_bad_lines_named(tmp_path):
    good = {"category": "Questions", "text_to_synthesize": "Who?", "evolution_depth": 2, "language": "en", "audio": {}}
    lines = [
        json.dumps(good),
        "{broken",
        json.dumps({"category": "x"}),
        json.dumps({**good, "text_to_synthesize": "?"}),
    ]
    (tmp_path / "e.jsonl").write_text("\n".join(lines))
    found = read_emergent(str(tmp_path / "e.jsonl"))
    (item,) = found.items
    assert (item.id, item.group, item.depth, item.line) == ("prompt-0000", "questions", 2, 1)
    assert [p.where[-1] for p in found.problems] == ["2", "3", "4"]
    assert "there is no 'text_to_synthesize' in it" in found.problems[1].what


def test_the_packaged_list_has_every_category_at_every_depth():
    found = read_emergent("emergent_en.jsonl")
    assert found.problems == ()
    assert {(i.group, i.depth) for i in found.items} == {(c, d) for c in CATEGORIES for d in range(4)}
