import json
from importlib import util

import pytest

from parlando.train.loop import plots
from parlando.train.loop.plots import draw_log, read_log

ROWS = [
    {"step": 1, "minutes": 0.1, "loss": 3.0, "mel": 1.0, "norm": 2.0, "tokens": 5},
    {"step": 1, "minutes": 0.1, "held_out": {"loss": 2.5, "phone_accuracy": 0.5}},
    {"step": 2, "minutes": 0.2, "loss": 2.0, "mel": 0.5},
]


@pytest.fixture
def log(tmp_path):
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return tmp_path / "log.jsonl"


def test_a_log_becomes_two_curves_per_metric(log):
    assert read_log(log) == {
        "loss": {"training": [(0.1, 3.0), (0.2, 2.0)], "held out": [(0.1, 2.5)]},
        "mel": {"training": [(0.1, 1.0), (0.2, 0.5)]},
        "phone_accuracy": {"held out": [(0.1, 0.5)]},
    }


@pytest.mark.slow
def test_curves_are_drawn_beside_the_log(log):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    picture = draw_log(log)
    assert picture == log.with_suffix(".png")
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = (int.from_bytes(data[at : at + 4], "big") for at in (16, 20))
    assert width > 3 * height > 500


def test_without_matplotlib_or_a_log_nothing_is_drawn(log, monkeypatch):
    assert draw_log(log.with_name("none.jsonl")) is None
    monkeypatch.setattr(plots, "find_spec", lambda name: None if name == "matplotlib" else util.find_spec(name))
    assert draw_log(log) is None
    assert not log.with_suffix(".png").exists()
