"""Makes `tiny_corpus` importable in pytest's importlib mode, and packs it once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture
def in_this_process(monkeypatch):
    from tiny_corpus import no_processes

    no_processes(monkeypatch)


@pytest.fixture(scope="session")
def packed(tmp_path_factory):
    """A packed corpus of 2 speakers and 6 sentences, one of them kept for the test."""
    from tiny_corpus import SENTENCES, no_processes, write_corpus

    from parlando.data.shards import PackedCorpus, pack

    folder = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        no_processes(patch)
        pack([write_corpus(folder / "source")], folder / "corpus", test=[SENTENCES[1]])
    return PackedCorpus(folder / "corpus")
