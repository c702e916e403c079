"""`parlando quantize`, and `--quantize` and `--flow` of commands that speak."""

from __future__ import annotations

import json

import pytest

TEXT = "Good morning."


@pytest.mark.parametrize("folder", ["tiny_folder", "tiny_cosyvoice_folder"])
def test_a_folder_in_few_bits_speaks_as_the_option_does(cli, request, folder, tmp_path):
    model = request.getfixturevalue(folder)
    status, out, _ = cli("quantize", model, "few", "--to", "int8")
    assert (status, out.startswith("few: ")) == (0, True)
    assert json.loads((tmp_path / "few" / "config.json").read_text())["quantize"] == "int8"
    speak = ("say", TEXT, "--device", "cpu", "--seed", 7)
    assert cli(*speak, "-o", "saved.wav", "--model", tmp_path / "few")[0] == 0
    assert cli(*speak, "-o", "asked.wav", "--model", model, "--quantize", "int8")[0] == 0
    assert cli(*speak, "-o", "full.wav", "--model", model)[0] == 0
    saved, asked, full = ((tmp_path / f"{name}.wav").read_bytes() for name in ("saved", "asked", "full"))
    assert saved == asked != full


def test_the_flow_is_followed_as_asked(cli, tiny_cosyvoice_folder, tmp_path):
    speak = ("say", TEXT, "--device", "cpu", "--seed", 7, "--model", tiny_cosyvoice_folder)
    ways = {"plain": (), "fewer": ("--flow", "solver_steps=1"), "early": ("--flow", "first_tokens=2")}
    for name, options in ways.items():
        assert cli(*speak, "-o", f"{name}.wav", *options)[0] == 0
    assert len({(tmp_path / f"{name}.wav").read_bytes() for name in ways}) == len(ways)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("quantize", "{}", "few", "--to", "int3"), "--to: 'int3' is not known; use int8, int4, fp8"),
        (("say", TEXT, "-o", "a.wav", "--model", "{}", "--quantize", "8"), "quantize: '8' is not known"),
        (("say", TEXT, "-o", "a.wav", "--model", "{}", "--flow", "steps=8"), "unknown key 'steps'"),
        (("say", TEXT, "-o", "a.wav", "--model", "{}", "--flow", "solver_steps"), "is not NAME=NUMBER"),
        (("say", TEXT, "-o", "a.wav", "--model", "{}", "--flow", "left_chunks=2"), "has no flow"),
    ],
)
def test_mistakes_are_one_line(cli, tiny_folder, arguments, message):
    status, _, err = cli(*(tiny_folder if each == "{}" else each for each in arguments))
    assert (status, err.count("\n")) == (2, 1)
    assert message in err
