from __future__ import annotations

import sys

import numpy as np
import pytest

from fake_judges import tone
from parlando.audio.clip import Clip
from parlando.core.errors import MissingDependencyError
from parlando.evaluate.metrics.signal import mel_distance, pair, pesq, stft_distance, stoi
from whisper import whisper

HISS = Clip(whisper(1.0, 16000), 16000)


@pytest.mark.parametrize("distance", [mel_distance, stft_distance])
def test_a_distance_is_0_for_equal_clips_and_grows_with_the_error(distance):
    near = distance(tone(440), Clip(tone(440).samples * 0.9, 8000))
    assert distance(tone(440), tone(440)) == 0.0
    assert 0.0 < near < distance(tone(440), tone(1200))


def test_the_stft_distance_of_a_known_gain_is_known():
    half = Clip(HISS.samples * 0.5, 16000)
    both = stft_distance(HISS, half)
    logs = 2 * np.log10(2)  # the same for every bin of both windows, but for what is below the floor
    assert both > logs
    assert stft_distance(Clip(HISS.samples * 1e-3, 16000), Clip(HISS.samples * 5e-4, 16000)) == pytest.approx(
        logs, rel=0.05
    )


def test_a_pair_is_at_one_rate_and_of_one_length():
    first, second = pair(tone(440, 1.2, rate=16000), tone(440, 1.0), 8000)
    assert len(first) == len(second) == 8000
    assert mel_distance(tone(440, 1.2, rate=16000), tone(440, 1.0)) < 0.7


def test_intelligibility_falls_with_noise():
    noise = np.random.default_rng(9).normal(0, 1.0, 32000).astype(np.float32)
    speech = Clip(whisper(2.0, 16000), 16000)
    assert stoi(speech, speech) == pytest.approx(1.0, abs=1e-6)
    assert stoi(speech, Clip(speech.samples + noise, 16000)) < 0.7


def test_pesq_that_is_not_installed_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pesq", None)
    with pytest.raises(MissingDependencyError, match="pip install pesq"):
        pesq(HISS, HISS)
