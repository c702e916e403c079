from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import soundfile
from sounds import RATE, babble, buzz, noise, silence, tone

from parlando.audio.files import encode_audio, write_audio
from parlando.audio.inspect import bandwidth, draw_report, inspect_audio
from parlando.audio.resample import resample
from parlando.core.errors import ConfigError, FileMissingError, MissingDependencyError


@pytest.fixture
def speech(tmp_path):
    """A file: 1 s of voice, 0.5 s of pause with a click, 1 s of voice, 0.5 s of silence."""
    wave = babble([(1.0, 0.5), (1.0, 0.5)])
    wave[round(1.3 * RATE)] += 0.4
    write_audio(tmp_path / "two.wav", wave, RATE)
    return tmp_path / "two.wav"


def test_a_report_measures_what_was_put_in(speech):
    report = inspect_audio(speech)
    assert report.name == str(speech)
    assert report.clip.duration_seconds == 3.0
    assert report.clip.sample_rate == RATE
    assert report.channels == 1
    assert report.peak_dbfs == pytest.approx(20 * math.log10(0.4), abs=0.1)
    assert report.clipped_share == 0
    assert report.pitch_hz == pytest.approx(150, rel=0.01)
    assert report.clicks == (pytest.approx(1.3 * RATE, abs=1),)
    assert report.longest_pause_seconds == pytest.approx(0.5, abs=0.05)
    assert report.speech_share == pytest.approx(2.24 / 3, abs=0.03)
    assert report.speech_share + report.silence_share == 1


def test_channels_and_clipping_are_those_of_the_file(tmp_path):
    stereo = np.stack([np.ones(RATE) * np.sign(tone(100, 1.0)), tone(100, 1.0)], axis=1)
    soundfile.write(tmp_path / "s.wav", stereo, RATE)
    report = inspect_audio(tmp_path / "s.wav")
    assert report.channels == 2
    assert report.clipped_share == pytest.approx(0.5, abs=0.01)
    assert report.peak_dbfs == pytest.approx(0, abs=0.01)


def test_silence_is_reported_as_such():
    report = inspect_audio(encode_audio(silence(1.0), RATE))
    values = dict(report.rows())
    assert report.loudness_lufs == -math.inf
    assert values["loudness"] == values["peak"] == "silent"
    assert values["pitch (median)"] == "nothing voiced"
    assert values["bandwidth"] == "0.0 kHz"
    assert values["silence"] == "100%"


def test_rows_have_units(speech):
    values = dict(inspect_audio(speech).rows())
    assert values["duration"] == "3.00 s"
    assert values["sample rate"] == "24000 Hz"
    assert values["clicks"] == "1"
    assert values["pitch (median)"] == "150 Hz"
    assert values["loudness"].endswith(" LUFS")


def test_bandwidth_betrays_an_upsampled_recording():
    narrow = resample(noise(1.0, 16000, 0.1), 16000, 48000)
    assert bandwidth(narrow, 48000) == pytest.approx(8000, rel=0.06)
    assert bandwidth(noise(1.0, 48000, 0.1), 48000) > 23000
    assert bandwidth(buzz(150, 0.01), RATE) > 0


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileMissingError):
        inspect_audio(tmp_path / "none.wav")


@pytest.mark.parametrize("seconds", [0.005, 0.3, 30.0])
def test_the_picture_is_a_png_of_readable_size(tmp_path, seconds):
    pytest.importorskip("matplotlib")
    report = inspect_audio(encode_audio(buzz(150, seconds, 16000), 16000))
    draw_report(report, tmp_path / "p.png")
    data = (tmp_path / "p.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(data[16:20], "big") >= 1200
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.png"]


def test_the_picture_of_silence_and_of_clicks(tmp_path, speech):
    pytest.importorskip("matplotlib")
    draw_report(inspect_audio(encode_audio(silence(0.5), RATE)), tmp_path / "silence.png")
    draw_report(inspect_audio(speech), tmp_path / "clicks.png")
    assert (tmp_path / "clicks.png").stat().st_size > (tmp_path / "silence.png").stat().st_size


@pytest.mark.parametrize(("name", "start"), [("p.svg", b"<?xml"), ("p.PDF", b"%PDF")])
def test_the_picture_may_be_of_lines(tmp_path, speech, name, start):
    pytest.importorskip("matplotlib")
    draw_report(inspect_audio(speech), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["p.xyz", "p"])
def test_another_format_of_pictures_is_refused_with_those_there_are(tmp_path, speech, name):
    with pytest.raises(ConfigError, match=rf"{name}' names no format of pictures here; use \.png, \.svg, \.pdf"):
        draw_report(inspect_audio(speech), tmp_path / name)
    assert [entry.name for entry in tmp_path.iterdir()] == ["two.wav"]


def test_progress_is_told_from_the_start_to_nearly_the_end(speech):
    shares = []
    assert inspect_audio(speech, shares.append).rows() == inspect_audio(speech).rows()
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] <= 1


def test_the_axes_are_labelled_with_units(speech):
    figures = pytest.importorskip("matplotlib.figure")
    from parlando.audio import draw

    figure = figures.Figure()
    draw._draw(figure, inspect_audio(speech))
    labels = {axes.get_xlabel() for axes in figure.axes} | {axes.get_ylabel() for axes in figure.axes}
    assert {"time (s)", "amplitude (full scale 1)", "frequency (mel scale)", "level (dB re maximum)"} <= labels


def test_a_picture_needs_matplotlib_and_a_folder(tmp_path, speech, monkeypatch):
    report = inspect_audio(speech)
    with pytest.raises(FileMissingError, match="no folder at"):
        draw_report(report, tmp_path / "no" / "p.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r"matplotlib.*pip install .*\[plots\]"):
        draw_report(report, tmp_path / "p.png")
