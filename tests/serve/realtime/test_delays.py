"""The script that measures what a listener waits, at a server whose model takes no time."""

from __future__ import annotations

import runpy
import sys
from dataclasses import replace

import pytest

from parlando.audio.files import write_audio
from talk_parts import Ears, Mind, vowels


@pytest.mark.slow
def test_the_measuring_script_finds_an_answer_and_a_silence(root, serving, tmp_path, capsys, monkeypatch):
    write_audio(tmp_path / "question.wav", vowels(0.8), 24_000)
    with serving() as running:
        running.model.lm.step_seconds = 0.02
        usual = running.service.partner
        running.service.partner = replace(usual, text_model=Mind("This is an endless one. And "), recogniser=Ears())
        url = running.url.replace("http", "ws")
        given = ["delays.py", str(tmp_path / "question.wav"), "--url", url, "--times", "1", "--silence-ms", "300"]
        monkeypatch.setattr(sys, "argv", given)
        runpy.run_path(str(root / "recipes" / "conversation" / "delays.py"), run_name="__main__")
    first, median, worst = capsys.readouterr().out.splitlines()
    assert first.startswith("1: first sound ")
    assert median.endswith(" 0 samples late")
    assert worst.endswith(" 0 samples late")
