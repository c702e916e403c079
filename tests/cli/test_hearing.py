"""Who hears, by name: the quick Whisper, or any judge."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from parlando.cli.hearing import recogniser_of
from parlando.converse.whisper import QuickWhisper
from parlando.core.errors import ConfigError, MissingDependencyError
from parlando.evaluate.judges.transcription import TranscriptionService


def test_quick_is_whisper_in_a_hurry_and_a_url_a_service(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "faster_whisper", SimpleNamespace())
    monkeypatch.setattr("parlando.evaluate.judges.install.installed_whisper", {"base": tmp_path}.get)
    base, named = recogniser_of("quick"), recogniser_of("quick:small")
    assert isinstance(base, QuickWhisper)
    assert (base.model, named.model) == (str(tmp_path), "small")
    assert isinstance(recogniser_of("http://127.0.0.1:1#large"), TranscriptionService)


def test_what_is_not_there_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(MissingDependencyError, match="parlando judges install"):
        recogniser_of("quick")
    with pytest.raises(ConfigError, match="no asr judge named 'slow'"):
        recogniser_of("slow")
