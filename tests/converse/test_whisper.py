"""Whisper in a window as long as the clip: what it is asked, and when it listens again."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from parlando.audio.clip import Clip
from parlando.converse.whisper import QuickWhisper

MELS, WINDOW = 80, 3000


def window(frames):
    """Features of a clip of so many frames, filled up to a window."""
    features = np.zeros((MELS, WINDOW), np.float32)
    features[:, :frames] = 0.5
    features[3, :frames] = -0.9
    return features


class WhisperModel:
    """As faster-whisper's: fills a window up, encodes it, and says what it was asked."""

    def __init__(self, name, compute_type):
        self.heard, self.asked, self.signs = [], [], []

    def encode(self, features):
        self.heard.append(features.shape)
        return features

    def transcribe(self, samples, **options):
        self.asked.append(options)
        self.encode(window(len(samples) * 100 // 16_000))
        compression, probability = self.signs.pop(0) if self.signs else (1.1, -0.2)
        said = {"compression_ratio": compression, "avg_logprob": probability}
        return [SimpleNamespace(text=text, **said) for text in (" Hello", f" there {len(self.asked)}. ")], None


@pytest.fixture
def whisper(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", SimpleNamespace(WhisperModel=WhisperModel))
    return QuickWhisper("tiny.en")


def test_a_clip_is_heard_greedily_and_once(whisper):
    assert whisper.hear(Clip(np.zeros(14 * 24_000, np.float32), 24_000), "en") == "Hello there 1."
    assert whisper.hear(Clip(np.zeros(40 * 16_000, np.float32), 16_000), "auto") == "Hello there 2."
    model = whisper._whisper
    assert model.heard == [(MELS, 1500), (MELS, 3000)]
    assert [(each["language"], each["without_timestamps"]) for each in model.asked] == [("en", True), (None, False)]
    assert {(each["beam_size"], each["temperature"]) for each in model.asked} == {(1, 0.0)}


@pytest.mark.parametrize("signs", [(5.0, -0.2), (1.1, -1.5)])
def test_what_is_doubtful_is_heard_again_in_a_whole_window(whisper, signs):
    clip = Clip(np.zeros(2 * 16_000, np.float32), 16_000)
    whisper._whisper.signs = [signs]
    assert whisper.hear(clip, "en") == "Hello there 2."
    assert whisper._whisper.heard == [(MELS, 1000), (MELS, 3000)]
    assert whisper.hear(clip, "en") == "Hello there 3."
    assert whisper._whisper.heard[2:] == [(MELS, 1000)]
