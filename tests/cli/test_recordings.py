"""Every command that reads a recording refuses what is none, in one line, and opens nothing else."""

from __future__ import annotations

import pytest

from command_line import recording
from exploits import TRIED, make_exploits


@pytest.fixture
def commands(tiny_folder):
    model = ("--model", tiny_folder, "--device", "cpu")
    words = ("--ref-audio", "sent.wav", "--ref-text", "Hello there.")
    return {
        "say": ("say", "Hello.", "-o", "out.wav", *words, *model),
        "voices": ("voices", "--save", "me.json", *words, *model),
        "convert": ("convert", "sent.wav", "-o", "out.wav", *model),
        "convert's voice": ("convert", "good.wav", "--ref-audio", "sent.wav", "-o", "out.wav", *model),
        "inspect": ("inspect", "sent.wav"),
    }


@pytest.mark.parametrize("name", TRIED)
def test_no_command_opens_what_a_file_names(cli, commands, tmp_path, name):
    recording(tmp_path / "good.wav")
    (tmp_path / "sent.wav").write_bytes(make_exploits(tmp_path / "good.wav")[name])
    before = sorted(path.name for path in tmp_path.iterdir())
    for command, arguments in commands.items():
        status, out, err = cli(*arguments)
        if command == "convert's voice" and "words that are said" in err:
            continue
        assert (status, out, err.count("\n")) == (2, "", 1), command
        assert "sent.wav" in err, command
        assert "cannot be read as audio" in err or "holds no samples" in err, command
    assert sorted(path.name for path in tmp_path.iterdir()) == before
