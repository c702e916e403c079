"""Every example runs as it stands and leaves audio; here on random weights instead of the packaged models."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

import pytest

from parlando.audio.files import read_audio

# What it runs is counted elsewhere: watched line by line it takes nearly twice as long.
pytestmark = pytest.mark.no_cover

EXAMPLES = sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.py"))
LONGEST_LINES = 40


@pytest.fixture
def packaged(tiny_folder, tiny_cosyvoice_folder, monkeypatch):
    folders = {"higgs-mini": tiny_folder, "cosyvoice-mini": tiny_cosyvoice_folder}
    monkeypatch.setattr("parlando.models.locate.packaged_models", lambda root=None: folders)
    # What random weights say is noise, which nobody could follow.
    monkeypatch.setattr("parlando.audio.check.is_speechlike", lambda samples, sample_rate: True)


def test_there_is_an_example_for_each_published_snippet_and_each_mode():
    names = " ".join(path.stem for path in EXAMPLES)
    assert len(EXAMPLES) == 21
    for topic in ("say", "scene_prompt", "dialogue", "streaming", "batch", "voice_clone"):
        assert topic in names
    for mode in ("zero_shot", "cross_lingual", "instruct", "preset", "voice_conversion", "text_arriving", "snippet"):
        assert mode in names
    for use in ("customer_service", "audiobook", "translation", "normalisation", "customer_talk", "interpreter"):
        assert use in names


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_leaves_audio(path, packaged, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(path), run_name="__main__")
    made = [file for file in tmp_path.iterdir() if file.suffix in (".wav", ".flac")]
    assert made
    for file in made:
        assert read_audio(file).sample_rate == 24_000


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_short_and_says_what_it_shows(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_LINES
    assert ast.get_docstring(ast.parse(text))
