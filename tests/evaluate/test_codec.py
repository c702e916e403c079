from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from parlando.audio.clip import Clip
from parlando.core.types import Frame
from parlando.evaluate import codec
from parlando.evaluate.codec import codec_markdown, mel_distance, resynthesise, run_codec

RATE = 8000
BOS, EOS = 16, 17


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE) -> Clip:
    return Clip(np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate).astype(np.float32), rate)


def test_mel_distance_is_0_for_equal_clips_and_grows_with_the_error():
    near = mel_distance(tone(440), Clip(tone(440).samples * 0.9, RATE))
    assert mel_distance(tone(440), tone(440)) == 0.0
    assert 0.0 < near < mel_distance(tone(440), tone(1200))


def test_mel_distance_resamples_the_original_and_takes_the_common_length():
    assert mel_distance(tone(440, 1.2, rate=16000), tone(440, 1.0)) < 0.7


class TinyDecoder:
    """Each frame becomes its first code as one sample, after the delay is undone by hand."""

    sample_rate = RATE

    def open(self, prompt, speed=1.0):
        assert len(prompt) == 0
        return self

    def push(self, frames, final):
        assert final
        assert all(isinstance(frame, Frame) and frame.token == 5 for frame in frames)
        rows = np.array([frame.codes for frame in frames]).T
        assert (rows[:, 0] == BOS).all()
        assert (rows[:, -1] == EOS).all()
        return np.array([rows[0, 1:-2], rows[1, 2:-1]], dtype=np.float32).sum(axis=0)


def test_resynthesis_goes_through_delayed_frames():
    codes = np.array([[1, 2, 3], [4, 5, 6]])
    lm = SimpleNamespace(config=SimpleNamespace(stream_bos=BOS, stream_eos=EOS, audio_out_id=5))
    model = SimpleNamespace(lm=lm, encode=lambda samples, rate: codes, decoder=TinyDecoder())
    copy = resynthesise(model, tone(440))
    assert copy.samples.tolist() == [5.0, 7.0, 9.0]
    assert copy.sample_rate == RATE


def test_the_report_compares_copies_with_recordings(monkeypatch):
    heard = {"recognise the recordings": ["a b", "c d"], "recognise the copies": ["a b", "c"]}
    monkeypatch.setattr(codec, "recognise", lambda clips, label: heard[label])
    report = run_codec("tiny", lambda clip: clip, [tone(300), tone(500, 2.0)], ["a b", "c d"])
    assert report.difference_points == pytest.approx(25.0)
    assert (report.clips, report.audio_seconds, report.mel_distance) == (2, 3.0, 0.0)
    assert "+25.0 points" in codec_markdown(report)
