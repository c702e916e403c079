"""Tiny corpora and tasks for the training tests, and the shared `tiny_corpus` importable."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "data"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent / "cosyvoice"))


@pytest.fixture
def in_this_process(monkeypatch):
    from tiny_corpus import no_processes

    no_processes(monkeypatch)


@pytest.fixture(autouse=True)
def no_pictures(request, monkeypatch):
    """Drawing is tested where it is tested; elsewhere it would cost a second each."""
    if request.module.__name__.rpartition(".")[2] != "test_plots":
        monkeypatch.setattr("parlando.train.loop.trainer.draw_log", lambda path: None)


@pytest.fixture(scope="session")
def packed(tmp_path_factory):
    """A packed corpus of 2 speakers and 6 sentences."""
    from tiny_corpus import no_processes, write_corpus

    from parlando.data.shards import PackedCorpus, pack

    folder = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        no_processes(patch)
        pack([write_corpus(folder / "source")], folder / "corpus")
    return PackedCorpus(folder / "corpus")


@pytest.fixture(scope="session")
def codes(tmp_path_factory):
    """An encoded corpus of random codes: 2 speakers at their own speed and one at another."""
    from tiny_corpus import SENTENCES
    from tiny_tasks import write_codes

    voices = [("slt", 1.0), ("rms", 1.0), ("slt", 0.9)]
    rows = [(f"{s}_{i}", s, v, text) for s, v in voices for i, text in enumerate(SENTENCES)]
    return write_codes(tmp_path_factory.mktemp("codes"), rows, np.random.default_rng(0))
