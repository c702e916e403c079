"""Chunks joined into speech, and what a speech knows and writes."""

from __future__ import annotations

import numpy as np
import pytest

from parlando.audio.files import read_audio
from parlando.core.errors import ConfigError, GenerationError, MissingDependencyError
from parlando.core.types import GenerationReport, SentenceReport, Timings
from parlando.result import Chunk, Speech, join

RATE = 24_000


def tone(seconds):
    return (0.3 * np.sin(2 * np.pi * 220 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def report(text):
    return SentenceReport(text, frames=5, attempts=1, finish="end", seed=3)


def test_join_concatenates_samples_and_collects_reports_in_order():
    chunks = [
        Chunk(tone(0.2), RATE, 0, "One.", None, 0.05),
        Chunk(tone(0.1), RATE, 0, "One.", report("One."), 0.08),
        Chunk(np.zeros(2400, np.float32), RATE, 0),
        Chunk(tone(0.3), RATE, 1, "Two.", report("Two."), 0.2),
    ]
    speech = join(iter(chunks), text="One. Two.", voice="ada", seed=3)
    assert speech.duration_seconds == pytest.approx(0.7)
    assert np.array_equal(speech.samples[:4800], chunks[0].samples)
    assert [r.text for r in speech.report.sentences] == ["One.", "Two."]
    assert (speech.text, speech.voice, speech.seed) == ("One. Two.", "ada", 3)
    assert speech.timings.first_audio_seconds == 0.05


def test_join_without_samples_is_a_generation_error():
    with pytest.raises(GenerationError, match="no audio"):
        join([Chunk(np.zeros(0, np.float32), RATE)])


def test_real_time_factor_is_work_over_duration():
    assert Speech(tone(2.0), RATE, timings=Timings(0.1, 0.5)).real_time_factor == pytest.approx(0.25)
    assert Speech(tone(0.0), RATE).real_time_factor == 0.0


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "opus", "ogg"])
def test_speech_saves_in_5_formats(tmp_path, ending):
    path = Speech(tone(1.0), RATE).save(tmp_path / f"a.{ending}")
    clip = read_audio(path)
    assert clip.duration_seconds == pytest.approx(1.0, abs=0.1)
    assert [p.name for p in tmp_path.iterdir()] == [f"a.{ending}"]


def test_an_unknown_ending_writes_nothing(tmp_path):
    with pytest.raises(ConfigError, match="wav"):
        Speech(tone(0.1), RATE).save(tmp_path / "a.xyz")
    assert list(tmp_path.iterdir()) == []


def test_html_holds_a_wav_and_an_escaped_title():
    page = Speech(tone(0.1), RATE, text='a "b" <c>')._repr_html_()
    assert "data:audio/wav;base64,UklGR" in page
    assert 'title="a &quot;b&quot; &lt;c&gt;"' in page


def test_play_hands_over_samples_and_rate(monkeypatch):
    calls = []
    monkeypatch.setattr("parlando.result.play", lambda samples, rate: calls.append((len(samples), rate)))
    Speech(tone(0.5), RATE).play()
    assert calls == [(12_000, RATE)]


def test_play_without_a_player_says_what_to_install(monkeypatch):
    monkeypatch.setattr("parlando.audio.play.shutil.which", lambda name: None)
    with pytest.raises(MissingDependencyError, match="player"):
        Speech(tone(0.1), RATE).play()


def test_a_fresh_speech_has_an_empty_report():
    assert Speech(tone(0.1), RATE).report == GenerationReport()
