from __future__ import annotations

import numpy as np
import pytest

from parlando.audio.clip import Clip
from parlando.core.types import Voice
from parlando.evaluate.similarity import embed, run_similarity, similarity_markdown
from parlando.result import Speech

RATE = 16000


def buzz(hertz: float, seconds: float = 2.0) -> np.ndarray:
    """A pulse train with a slow beat: enough of a voice for an encoder to tell pitches apart."""
    time = np.arange(round(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 12))
    return (0.1 * wave * (1 + np.sin(2 * np.pi * 3 * time))).astype(np.float32)


class Parrot:
    """Its clones repeat their recording; ``deaf`` ones repeat the first recording they were given."""

    def __init__(self, deaf: bool = False) -> None:
        self.deaf = deaf
        self.clips: dict[str, Clip] = {}

    def clone(self, audio: Clip, text: str | None = None, name: str = "clone") -> Voice:
        assert text
        self.clips[name] = audio
        return Voice(name)

    def say(self, text: str, voice: Voice | None = None, *, seed: int | None = None) -> Speech:
        assert voice is not None
        clip = next(iter(self.clips.values())) if self.deaf else self.clips[voice.name]
        return Speech(clip.samples, clip.sample_rate, text)


def direction(clip: Clip) -> np.ndarray:
    """A judge that needs no network: the loudest tenth of the spectrum, as a unit vector."""
    bands = np.abs(np.fft.rfft(clip.samples, 4096))[:400].reshape(40, 10).sum(axis=1)
    return bands / np.linalg.norm(bands)


RECORDINGS = {name: (Clip(buzz(hertz), RATE), "words") for name, hertz in (("low", 90), ("mid", 170), ("high", 310))}


def test_clones_that_follow_are_nearest_to_their_own_recording():
    report = run_similarity(Parrot(), "tiny", RECORDINGS, ["one", "two"], direction)
    assert report.followed == 3
    assert (report.sentences_followed, report.sentences) == (6, 6)
    assert report.own == pytest.approx(1.0, abs=1e-5)
    assert report.others == pytest.approx(report.floor, abs=1e-5)
    assert report.own - report.others > 0.2


def test_clones_that_ignore_their_reference_follow_by_chance_only():
    report = run_similarity(Parrot(deaf=True), "tiny", RECORDINGS, ["one"], direction)
    assert report.followed == 1
    assert (report.sentences_followed, report.sentences) == (1, 3)
    assert report.matrix[0] == report.matrix[2]


def test_one_recording_has_no_others():
    report = run_similarity(Parrot(), "tiny", {"low": RECORDINGS["low"]}, ["one"], direction)
    assert (report.others, report.floor, report.followed) == (0.0, 0.0, 1)


def test_the_matrix_is_printed_with_its_names():
    text = similarity_markdown(run_similarity(Parrot(), "tiny", RECORDINGS, ["one"], direction))
    assert "| clone of mid  |" in text
    assert "3 of 3" in text


@pytest.mark.slow
def test_resemblyzer_hears_the_voice_and_not_the_level():
    pytest.importorskip("resemblyzer")
    quiet, loud = (embed(Clip(level * buzz(120), RATE)) for level in (0.1, 1.0))
    other = embed(Clip(buzz(300), RATE))
    assert np.linalg.norm(loud) == pytest.approx(1.0, abs=1e-4)
    assert quiet @ loud > 0.999
    assert other @ loud < 0.95
