"""Where audio goes: into what is there, to standard output, or into a file that appears whole."""

from __future__ import annotations

import io
import os
import stat
import sys
import threading

import pytest
import soundfile

from command_line import BytesOut, recording
from parlando.audio.files import read_audio
from waiting import HANG_SECONDS

TEXT = "The sun rises in the east."


@pytest.fixture
def say(cli, tiny_folder):
    return lambda *arguments: cli("say", TEXT, "--model", tiny_folder, "--device", "cpu", "--seed", 7, *arguments)


@pytest.fixture
def listen(monkeypatch):
    """What catches standard output from now on, as bytes; pytest puts its own in place when a test begins."""

    def caught():
        out = BytesOut(io.BytesIO())
        monkeypatch.setattr(sys, "stdout", out)
        return out.buffer

    return caught


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_gets_the_audio_and_nothing_else(say, listen, tmp_path, name):
    sent = listen()
    status, _, err = say("-o", name)
    assert (status, "→ standard output" in err) == (0, True)
    assert soundfile.info(io.BytesIO(sent.getvalue())).format == "WAV"
    whole = sent.getvalue()
    assert say("-o", "a.wav")[0] == 0
    assert whole == (tmp_path / "a.wav").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_a_link_to_standard_output_is_standard_output(say, listen, tmp_path):
    (tmp_path / "so.wav").symlink_to("/dev/stdout")
    sent = listen()
    assert say("-o", "so.wav")[0] == 0
    assert sent.getvalue()[:4] == b"RIFF"
    assert (tmp_path / "so.wav").is_symlink()


@pytest.mark.parametrize(("format", "container"), [("flac", "FLAC"), ("mp3", "MP3"), ("opus", "OGG")])
def test_the_format_decides_where_there_is_no_ending(say, listen, tmp_path, format, container):
    sent = listen()
    assert say("-o", "-", "--format", format)[0] == 0
    assert soundfile.info(io.BytesIO(sent.getvalue())).format == container
    assert say("-o", "speech", "--format", format)[0] == 0
    assert (tmp_path / "speech").read_bytes()[:4] == sent.getvalue()[:4]


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_a_terminal_gets_no_audio(say, listen, monkeypatch, name):
    sent = listen()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    status, _, err = say("-o", name)
    assert (status, sent.getvalue()) == (2, b"")
    assert f"-o {name} sends audio to standard output, and that is a terminal; pipe it or redirect it" in err


def test_standard_output_takes_one_audio(say):
    status, _, err = say("-o", "-", "--stream")
    assert (status, "both send audio to standard output; leave one of them out" in err) == (2, True)


def test_a_reader_who_leaves_is_no_error(say, monkeypatch):
    class Closed(io.BytesIO):
        def write(self, data):
            raise BrokenPipeError

    redirected = []
    monkeypatch.setattr(sys, "stdout", BytesOut(Closed()))
    monkeypatch.setattr("parlando.cli.output.close_stdout", lambda: redirected.append(True))
    assert say("-o", "-")[0] == 0
    assert redirected == [True]


def test_a_named_pipe_is_written_into(say, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    received = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    assert say("-o", "pipe", "--format", "wav")[0] == 0
    reader.join(HANG_SECONDS)
    assert say("-o", "a.wav")[0] == 0
    assert received == [(tmp_path / "a.wav").read_bytes()]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_link_stays_and_what_it_leads_to_is_written(say, tmp_path):
    (tmp_path / "there").mkdir()
    real = tmp_path / "there" / "real.wav"
    real.write_bytes(b"old")
    real.chmod(0o600)
    (tmp_path / "link.wav").symlink_to("there/real.wav")
    (tmp_path / "new.wav").symlink_to("there/none.wav")
    for name, target in (("link.wav", real), ("new.wav", tmp_path / "there" / "none.wav")):
        assert say("-o", name)[0] == 0
        assert (tmp_path / name).is_symlink()
        assert read_audio(target).sample_rate == 24_000
    assert stat.S_IMODE(real.stat().st_mode) == 0o600, "and keeps who may read it"
    assert sorted(path.name for path in real.parent.iterdir()) == ["none.wav", "real.wav"]


def test_devices_are_written_into(say):
    before = os.stat(os.devnull)
    assert say("-o", os.devnull, "--format", "wav")[0] == 0
    assert (os.stat(os.devnull).st_mode, os.stat(os.devnull).st_rdev) == (before.st_mode, before.st_rdev)
    status, _, err = say("-o", "/dev/full", "--format", "wav")
    assert (status, "'/dev/full' cannot be written: No space left on device" in err) == (2, True)


def test_a_dialogue_goes_to_standard_output_as_well(cli, tiny_folder, listen, tmp_path):
    sent = listen()
    (tmp_path / "script.txt").write_text("Anna: Hello there.\nBob: Good day.\n")
    status, _, err = cli("dialogue", "script.txt", "-o", "-", "--model", tiny_folder, "--device", "cpu")
    assert status == 0, err
    assert soundfile.info(io.BytesIO(sent.getvalue())).frames > 2400


def test_other_commands_read_what_it_wrote(cli, tmp_path):
    recording(tmp_path / "a.wav")
    assert cli("inspect", "a.wav")[0] == 0
