"""The benchmark of sentences in the voice of a clip, at tiny sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosyvoice_tiny import FLOW, HIFT, LM
from parlando.cli.app import main
from parlando.core.config import read_json
from parlando.evaluate.speed import clip
from parlando.evaluate.speed.clip import ClipLoad, run_clip_bench
from parlando.models.cosyvoice.parts.flow import Flow

WORK = ClipLoad(2.0, 3, 5, replace(LM, context_length=512), FLOW, HIFT)


def test_the_clip_is_computed_for_the_first_sentence_alone(monkeypatch):
    opened = []
    run = Flow.open
    monkeypatch.setattr(Flow, "open", lambda self, prompt, *more: opened.append(prompt) or run(self, prompt, *more))
    report = run_clip_bench(WORK)
    assert [len(prompt.tokens) for prompt in opened] == [50]
    assert 0 < report.ratio == report.again_seconds / report.first_seconds


def test_the_command_prints_and_writes(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(clip, "ClipLoad", lambda seconds, load: replace(WORK, seconds=seconds, load=load))
    out = tmp_path / "clip.json"
    with pytest.raises(SystemExit) as ended:
        main(["bench", "stream", "--clip", "1.5", "--dtype", "float32", "-o", str(out)])
    assert not ended.value.code
    assert "clip of 1.5 s" in capsys.readouterr().out
    assert read_json(out)["clip_seconds"] == 1.5
