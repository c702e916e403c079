from __future__ import annotations

import pytest

from fake_judges import PitchAsr, ToneSystem
from parlando.core.errors import GenerationError
from parlando.evaluate.protocols.robust import WordCounts, count_words, read_robust, run_robust, spoken_words
from parlando.evaluate.suite.items import Item


@pytest.mark.parametrize(
    ("text", "heard", "by_digit", "wanted"),
    [
        ("one, two, three", "One two three.", False, WordCounts(3, 3, 0, 0)),
        ("one, two, three", "one three", False, WordCounts(3, 2, 1, 0)),
        ("one, two, three", "one two two three", False, WordCounts(3, 3, 0, 1)),
        ("one, two, three", "one two uh three", False, WordCounts(3, 3, 0, 0)),
        ("one, two, three", "1, 2, 3", False, WordCounts(3, 3, 0, 0)),
        ("on and on and on", "on and on", False, WordCounts(5, 3, 2, 0)),
        ("4 7 1 5", "4715", True, WordCounts(4, 4, 0, 0)),
        ("4 7 1 5", "four seven five", True, WordCounts(4, 3, 1, 0)),
        ("Yes.", "", False, WordCounts(1, 0, 1, 0)),
        ("It costs $12.", "it costs twelve dollars", False, WordCounts(4, 4, 0, 0)),
    ],
)
def test_words_are_counted(text, heard, by_digit, wanted):
    assert count_words(text, heard, by_digit) == wanted


def test_what_cannot_be_read_is_taken_as_it_is():
    assert spoken_words("...") == []


def test_groups_have_their_own_figures(run, listed, judged, figures):
    items = listed(
        Item("l", "one, two, three, four", group="lists"),
        Item("d", "5 5 1 2", group="digits"),
        Item("s", "Stop.", group="short"),
    )
    asr = PitchAsr({200: "one two four", 300: "5512"})
    pitch = {"l": 200.0, "d": 300.0, "s": GenerationError("silence")}
    report = run_robust(run, [ToneSystem("t", lambda item: pitch[item.id])], items, judged(asr), "here")
    groups = {name: figures(group) for name, group in report.systems[0].groups.items()}
    assert groups["lists"]["left out"].value == 25.0
    assert groups["digits"]["flawless"].value == 100.0
    assert groups["short"]["words heard"].value == 0.0
    assert figures(report.systems[0].figures)["flawless"].value == pytest.approx(100 / 3)


def test_the_packaged_list_has_all_kinds():
    found = read_robust("robust_en.tsv")
    assert found.problems == ()
    groups = {item.group for item in found.items}
    assert groups == {"lists", "digits", "repeats", "twisters", "short", "numbers", "long"}
    assert min(len(item.text) for item in found.items) < 5 < 400 < max(len(item.text) for item in found.items)
