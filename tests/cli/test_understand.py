"""`parlando understand`, `annotate --understand` and `eval understanding`, with a model of the smallest sizes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import fake_listeners as fakes
from parlando.audio.files import write_audio
from parlando.data.shards import pack
from parlando.evaluate.judges import registry, steady
from parlando.models.understanding.network import UnderstandingNetwork
from parlando.models.understanding.weights import save_network
from parlando.text.answer import PLACES

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models" / "understanding"))
from tiny_understanding import TINY

RATE = 16_000


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    save_network(UnderstandingNetwork(TINY), tmp_path / "model")
    return tmp_path / "model"


def test_a_recording_is_told_in_words_and_as_json(cli, model, tmp_path):
    wave = (0.1 * np.random.default_rng(0).standard_normal(9 * RATE)).astype(np.float32)
    write_audio(tmp_path / "a.wav", wave, RATE)
    status, out, err = cli("understand", "a.wav", "--model", "model", "--device", "cpu")
    assert status == 0, err
    assert out.startswith("a.wav 0.0-")
    status, out, _ = cli("understand", "a.wav", "a.wav", "--model", "model", "--device", "cpu", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["start_seconds"] for line in lines] == [0.0, lines[0]["end_seconds"]] * 2
    assert all(line["answer"]["place"] in PLACES and line["file"] == "a.wav" for line in lines)


def test_mistakes_are_told_in_a_line(cli, model, tmp_path):
    assert "no audio file at 'b.wav'" in cli("understand", "b.wav", "--model", "model")[2]
    write_audio(tmp_path / "a.wav", np.zeros(RATE, np.float32), RATE)
    status, _, err = cli("understand", "a.wav", "--model", "nowhere")
    assert status == 2
    assert err.count("\n") == 1
    (model / "config.json").write_text("{}")
    assert "holds no understanding model" in cli("understand", "a.wav", "--model", "model")[2]


def test_annotations_captions_are_composed_by_a_model(cli, model, monkeypatch, tmp_path):
    monkeypatch.setattr(steady, "steady_asr", lambda spec: fakes.PitchWords())
    monkeypatch.setattr(steady, "language_listener", lambda spec: fakes.PitchLanguages())
    monkeypatch.setattr(registry, "speaker_encoder", lambda spec: fakes.PitchVoices())
    monkeypatch.setattr(registry, "events", lambda spec: fakes.PitchEvents())
    monkeypatch.setattr(registry, "mos", lambda spec: fakes.LoudMarks())
    fakes.make_raw(tmp_path / "raw")
    for out, more in (("plain", ()), ("corpus", ("--understand", "model"))):
        assert cli("annotate", "raw", "-o", out, "--workers", "0", "-q", *more)[0] == 0
    rows = [json.loads(line) for line in (tmp_path / "corpus" / "annotations.jsonl").read_text().splitlines()]
    assert len(rows) == 3
    for row in rows:
        understood = row["facts"]["understood"]
        assert row["provenance"]["understood"].startswith("understand 1 ")
        assert row["facts"]["scene"].startswith(SENTENCES[understood["place"]])
    assert "understood" not in (tmp_path / "plain" / "annotations.jsonl").read_text()
    assert cli("annotate", "raw", "-o", "c", "--workers", "0", "--understand", "nowhere")[0] == 2


SENTENCES = {
    "quiet": "Audio is recorded from a quiet room.",
    "room": "Audio is recorded in a room with some echo.",
    "hall": "Audio is recorded in a large hall.",
    "telephone": "Audio is recorded over a telephone.",
    "noisy": "Audio is recorded in a noisy place.",
}


def test_a_model_is_measured_and_is_a_recogniser(cli, model, monkeypatch, tmp_path):
    from tiny_corpus import no_processes, write_corpus

    no_processes(monkeypatch)
    pack([write_corpus(tmp_path / "source")], tmp_path / "packed")
    options = ("--model", "model", "--corpus", "packed", "--asr", "understanding:model", "--scenes", 2, "-o", "heard")
    status, out, err = cli("eval", "understanding", *options)
    assert status == 0, err
    assert "always the usual answer" in out
    assert "nobody in 'packed' is new to the models" in err
    report = json.loads((tmp_path / "heard" / "report.json").read_text())
    assert [system["said"] for system in report["systems"]] == [2, 2, 2]
    assert registry.asr("understanding:model").card.name == "understanding model"
    status, _, err = cli("eval", "understanding", *options, "--speaker", "nobody")
    assert (status, "a model has learned from nobody, or may have" in err) == (2, True)
