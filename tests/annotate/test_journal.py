"""Finished work: found again by its key, also after a writer was killed, and made anew when anything differs."""

from __future__ import annotations

import pytest

from parlando.annotate.filters import Screen, SoundFilters
from parlando.annotate.journal import Journal
from parlando.annotate.rows import Row
from parlando.annotate.step import key_of

ROW = Row("a", "a.wav", 1.5, {"text": "ä\n", "n": [1, 2.5, None]}, {"text": "x 1"})


def test_rows_are_what_they_were(tmp_path):
    with Journal(tmp_path / "journal") as journal:
        journal.put("k1", [ROW, ROW.reject("step", "reason", "detail")])
        journal.put("k2", [])
        for each in (journal, Journal(tmp_path / "journal")):
            assert each.get("k1") == [ROW, ROW.reject("step", "reason", "detail")]
            assert each.get("k2") == []
            assert each.get("k3") is None
            assert len(each) == 2


def test_many_writers_have_a_file_each(tmp_path):
    with Journal(tmp_path) as one, Journal(tmp_path) as other:
        one.put("a", [ROW])
        other.put("b", [ROW])
        assert len(list(tmp_path.iterdir())) == 2
        assert len(Journal(tmp_path)) == 2
        assert one.get("b") is None


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_line_that_is_not_whole_is_passed_over(cut, tmp_path):
    with Journal(tmp_path) as journal:
        journal.put("a", [ROW])
        journal.put("b", [ROW])
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(tmp_path) as again:
        assert again.get("a") == [ROW]
        assert again.get("b") is None
        again.put("b", [ROW])
    assert Journal(tmp_path).get("b") == [ROW]


def test_a_key_is_the_row_the_step_and_its_settings():
    step = Screen(SoundFilters(), ("en",))
    keys = {
        key_of(step, ROW),
        key_of(step, Row("b", "a.wav", 1.5, ROW.facts, ROW.provenance)),
        key_of(step, ROW.told("y 1", {"more": 1})),
        key_of(Screen(SoundFilters(least_mos=3.0), ("en",)), ROW),
        key_of(Screen(SoundFilters(), ("de",)), ROW),
    }
    assert len(keys) == 5
    assert key_of(Screen(SoundFilters(), ("en",)), Row.from_json(ROW.to_json())) in keys
