"""Recognisers of the server: one that is installed hears words, one that is not is named, both load when needed."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import parlando
from parlando.audio.clip import Clip
from parlando.core.errors import ConfigError, MissingDependencyError
from parlando.serve.recognise import open_recogniser


@pytest.mark.slow
def test_pocketsphinx_hears_what_a_model_says():
    speech = parlando.load().say("Good morning. Thank you very much.", seed=1)
    heard = open_recogniser("pocketsphinx").hear(Clip(speech.samples, speech.sample_rate), "en")
    assert {"good", "thank", "you", "very", "much"} <= set(heard.split())


@pytest.mark.parametrize(("name", "model"), [("faster-whisper", "small"), ("faster-whisper:tiny.en", "tiny.en")])
def test_whisper_gets_its_rate_and_the_language(monkeypatch, name, model):
    asked = []

    class WhisperModel:
        def __init__(self, size, compute_type):
            asked.append((size, compute_type))

        def transcribe(self, samples, language, **options):
            asked.append((len(samples), samples.dtype, language))
            sure = {"compression_ratio": 1.1, "avg_logprob": -0.2}
            return [SimpleNamespace(text=text, **sure) for text in (" Hello there.", " And [music] more. ")], None

    monkeypatch.setitem(sys.modules, "faster_whisper", SimpleNamespace(WhisperModel=WhisperModel))
    monkeypatch.setattr("parlando.serve.recognise.find_spec", lambda package: package)
    recogniser = open_recogniser(name)
    assert asked == [], "a model is loaded when it is needed"
    clip = Clip(np.zeros(48000, np.float32), 24000)
    assert [recogniser.hear(clip, language) for language in ("en", "auto")] == ["Hello there. And more."] * 2
    assert asked == [(model, "auto"), (32000, np.float32, "en"), (32000, np.float32, None)]


def test_what_cannot_be_is_named(monkeypatch):
    with pytest.raises(ConfigError, match="'pocketsphinks' is not a recogniser.*Did you mean 'pocketsphinx'"):
        open_recogniser("pocketsphinks")
    with pytest.raises(ConfigError, match="has one model"):
        open_recogniser("pocketsphinx:large")
    monkeypatch.setattr("parlando.serve.recognise.find_spec", lambda package: None)
    with pytest.raises(MissingDependencyError, match="pip install faster-whisper"):
        open_recogniser("faster-whisper")
