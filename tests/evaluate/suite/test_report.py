from __future__ import annotations

import json
import sys

import pytest

from parlando.core.errors import MissingDependencyError
from parlando.evaluate.suite.figures import Figure
from parlando.evaluate.suite.items import Problem
from parlando.evaluate.suite.report import EvalReport, SystemReport, draw, eval_markdown, publish


@pytest.fixture
def report():
    wer = Figure("WER", 5.0, " %", 2.0, 8.0, 10, "asr 1")
    systems = (
        SystemReport("ours", 10, 9, (wer, Figure("RTF", 0.5)), {"lists": (wer,)}),
        SystemReport("theirs", 10, 10, (wer,)),
    )
    problems = tuple(Problem(f"list:{n}", "empty") for n in range(12))
    return EvalReport("robust", "l.tsv", "ab" * 32, systems, ("asr 1 (beam 5)",), problems, "2 processors", ("a note",))


def test_markdown_has_systems_groups_judges_and_problems(report):
    text = eval_markdown(report)
    assert "| ours   | 9 of 10  | 5.00 % (2.00–8.00) | 0.50 |" in text
    assert "| theirs | 10 of 10 | 5.00 % (2.00–8.00) | –    |" in text
    assert "| ours: lists | 5.00 % (2.00–8.00) |" in text
    assert "list l.tsv (abababababab)" in text
    assert "- judged by asr 1 (beam 5)" in text
    assert "12 problems, counted and left out:\n- list:0: empty" in text
    assert "… and 2 more in the JSON" in text


def test_a_report_is_published_as_json_markdown_and_a_picture(report, tmp_path):
    paths = publish(report, tmp_path / "out")
    assert [path.name for path in paths] == ["report.json", "report.md", "report.png"]
    read = json.loads(paths[0].read_text())
    assert read["systems"][0]["figures"][0] == {
        "name": "WER", "value": 5.0, "unit": " %", "low": 2.0, "high": 8.0, "count": 10, "by": "asr 1",
    }  # fmt: skip
    assert len(read["problems"]) == 12
    assert paths[2].read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_says_how_to_get_it(report, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match="pip install matplotlib"):
        draw(report, tmp_path / "x.png")
