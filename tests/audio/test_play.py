from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from sounds import RATE, tone

from parlando.audio.containers import to_pcm, wav_header
from parlando.audio.files import read_audio
from parlando.audio.play import find_player, play
from parlando.core.errors import AudioError, MissingDependencyError


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder that is the whole search path, with a function that puts a shell script into it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    cat, copy = shutil.which("cat"), shutil.which("cp")
    monkeypatch.setenv("PATH", str(folder))

    def add(name: str, body: str) -> Path:
        path = folder / name
        path.write_text("#!/bin/sh\n" + body.format(cat=cat, cp=copy, out=tmp_path / "heard.wav") + "\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return tmp_path / "heard.wav"

    return add


def test_a_streaming_player_hears_every_sample(programs):
    heard = programs("ffplay", "{cat} > {out}")
    wave = tone(440, 0.2)
    play(wave, RATE)
    assert heard.read_bytes() == wav_header(RATE) + to_pcm(wave).tobytes()


def test_pieces_are_played_as_they_come(programs):
    heard = programs("aplay", "{cat} > {out}")
    wave = tone(440, 0.3)
    play((wave[start : start + 1000] for start in range(0, len(wave), 1000)), RATE)
    assert heard.read_bytes() == wav_header(RATE) + to_pcm(wave).tobytes()


def test_a_player_of_files_gets_a_whole_file(programs):
    heard = programs("afplay", '{cp} "$1" {out}')
    play(tone(440, 0.2), RATE)
    clip = read_audio(heard)
    assert clip.sample_rate == RATE
    assert np.abs(clip.samples - tone(440, 0.2)).max() < 1e-4


def test_ffplay_comes_before_aplay(programs):
    programs("aplay", "exit 0")
    assert find_player().program == "aplay"
    programs("ffplay", "exit 0")
    assert find_player().program == "ffplay"


def test_without_a_player_the_error_names_them(programs):
    with pytest.raises(MissingDependencyError, match=r"ffplay, aplay, paplay, afplay.*apt install ffmpeg"):
        play(tone(440, 0.1), RATE)


@pytest.mark.parametrize("name", ["ffplay", "afplay"])
def test_what_a_failing_player_said_is_passed_on(programs, name):
    programs(name, "echo no sound card >&2; exit 3")
    with pytest.raises(AudioError, match=f"{name} could not play this: no sound card; save it to a file"):
        play(tone(440, 5.0), RATE)


def test_a_player_that_fails_without_a_word(programs):
    programs("afplay", "exit 4")
    with pytest.raises(AudioError, match="exit status 4"):
        play(tone(440, 0.1), RATE)


def test_a_player_that_is_closed_by_its_user_is_no_error(programs):
    programs("ffplay", "exit 0")
    pieces = iter([tone(440, 1.0)] * 20)
    play(pieces, RATE)
    assert len(list(pieces)) > 0, "nothing more is asked for once the player is gone"


def test_an_error_while_speaking_stops_the_player(programs):
    heard = programs("ffplay", "{cat} > {out}; echo done >> {out}")

    def pieces():
        yield tone(440, 0.1)
        raise RuntimeError("the model failed")

    with pytest.raises(RuntimeError, match="the model failed"):
        play(pieces(), RATE)
    assert not heard.exists() or b"done" not in heard.read_bytes()
    assert os.environ["PATH"]
