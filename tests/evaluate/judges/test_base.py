from __future__ import annotations

import numpy as np

from fake_judges import PitchAsr, PitchVoice, tone
from parlando.evaluate.judges.base import Asr, Card, Feeling, SpeakerEncoder, TimedAsr, at_judge_rate, unit, version_of


def test_a_card_says_judge_version_and_settings():
    assert str(Card("whisper base", "1.2", {"beam": 5, "compute": "int8"})) == "whisper base 1.2 (beam 5, compute int8)"
    assert str(Card("distill-mos", "0.9")) == "distill-mos 0.9"


def test_promises_tell_judges_apart():
    assert isinstance(PitchAsr({}), TimedAsr)
    assert isinstance(PitchAsr({}), Asr)
    assert isinstance(PitchVoice(), SpeakerEncoder)
    assert not isinstance(PitchVoice(), Asr)


def test_judges_listen_at_16_kilohertz():
    assert at_judge_rate(tone(440, 0.5)).shape == (8000,)


def test_a_unit_vector_has_length_1_and_silence_stays_silence():
    assert np.allclose(unit([[3.0, 4.0]]), [0.6, 0.8])
    assert np.allclose(unit([0.0, 0.0]), 0.0)


def test_the_likeliest_emotion_is_the_label():
    assert Feeling(np.zeros(1), {"sad": 0.2, "happy": 0.7}).label == "happy"


def test_versions_are_those_of_distributions():
    assert version_of("numpy") == np.__version__
    assert version_of("no-such-distribution") == "unknown"
