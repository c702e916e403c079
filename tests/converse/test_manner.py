"""Manners by emotion, from a table that users change; and how lively somebody speaks."""

from __future__ import annotations

import pytest

from parlando.audio.clip import Clip
from parlando.converse.arousal import ArousalListener
from parlando.converse.manner import Manner, read_manners
from parlando.core.errors import ConfigError, FileMissingError
from talk_parts import silence, vowels

RATE = 24_000
EMOTIONS = ("angry", "disgusted", "fearful", "happy", "neutral", "sad", "surprised", "calm", "excited")


def test_the_packaged_table_has_an_entry_for_every_emotion_that_is_heard():
    manners = read_manners()
    assert {manners.answering(emotion).instruction for emotion in EMOTIONS} >= {
        "Speak calmly and slowly, with respect."
    }
    assert set(EMOTIONS) == set(manners.by_emotion)
    assert manners.answering("other") == manners.answering(None) == manners.by_emotion["neutral"]
    assert manners.answering("Angry").speed == 0.95


def test_a_table_of_ones_own(tmp_path):
    path = tmp_path / "manners.toml"
    path.write_text('[sad]\nscene = "A warm room."\n')
    assert read_manners(path).answering("sad") == Manner(scene="A warm room.")
    assert read_manners(path).answering(None) == Manner()
    for text, reason in (
        ("[sad]\nsped = 1.0", "Did you mean 'speed'"),
        ("[sad]\nspeed = 9.0", "0.25"),
        ("[", "not TOML"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=reason):
            read_manners(path)
    with pytest.raises(FileMissingError, match="table of manners"):
        read_manners(tmp_path / "none.toml")


def test_louder_and_higher_than_before_is_excited_and_the_opposite_calm():
    listener = ArousalListener()

    def feel(**voice):
        return listener.feel(Clip(vowels(1.0, **voice), RATE)).label

    assert feel() == "neutral", "nothing to compare it with"
    assert feel() == "neutral"
    assert feel(pitch_hz=180.0, level=0.9) == "excited"
    assert feel(pitch_hz=100.0, level=0.1) == "calm"
    assert listener.feel(Clip(silence(1.0), RATE)).label == "neutral"
