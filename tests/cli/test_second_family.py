"""Commands that only one family can obey, or each in its own way: instructions, tempo, conversion, kept voices."""

from __future__ import annotations

import io
import json
import sys

import pytest

from command_line import BytesOut, recording
from cosyvoice_published import write_published
from parlando.audio.files import read_audio
from parlando.core.voicefile import read_voice

TEXT = "The sun rises in the east."


@pytest.fixture
def cosy(cli, tiny_cosyvoice_folder):
    def run(command, *arguments, **options):
        return cli(command, *arguments, "--model", tiny_cosyvoice_folder, "--device", "cpu", **options)

    return run


def test_an_instruction_changes_what_is_made(cosy, tmp_path):
    for name, options in (("plain", ()), ("slow", ("--instruction", "speak slowly")), ("again", ())):
        assert cosy("say", TEXT, "-o", f"{name}.wav", "--seed", 7, *options)[0] == 0
    plain, slow, again = ((tmp_path / f"{name}.wav").read_bytes() for name in ("plain", "slow", "again"))
    assert plain == again != slow


def test_a_model_that_takes_no_instructions_says_so(cli, tiny_folder):
    status, out, err = cli("say", TEXT, "-o", "a.wav", "--model", tiny_folder, "--instruction", "speak slowly")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "takes no instructions; leave the instruction out" in err


@pytest.mark.parametrize("folder", ["tiny_folder", "tiny_cosyvoice_folder"])
def test_speed_changes_the_length_in_every_family(cli, request, tmp_path, folder):
    model = request.getfixturevalue(folder)
    lengths = {}
    for speed in (1, 2):
        arguments = ("-o", "out.wav", "--seed", 7, "--speed", speed, "--model", model)
        assert cli("say", TEXT, *arguments)[0] == 0
        lengths[speed] = read_audio(tmp_path / "out.wav").duration_seconds
    assert lengths[2] == pytest.approx(lengths[1] / 2, abs=0.15)
    status, _, err = cli("say", TEXT, "-o", "out.wav", "--speed", 9, "--model", model)
    assert status == 2
    assert "'--speed'" in err


def test_a_dialogue_takes_tempo_instruction_and_voice_files(cosy, tmp_path):
    (tmp_path / "script.txt").write_text("Anna: Good morning.\nBert: And to you.\n")
    assert cosy("voices", "--save", "guest.json", "--voice", "bert")[0] == 0
    arguments = ("script.txt", "--seed", 3, "--cast", "Bert=guest.json")
    assert cosy("dialogue", *arguments, "-o", "a.wav")[0] == 0
    assert cosy("dialogue", *arguments, "-o", "b.wav", "--speed", 2, "--instruction", "speak softly")[0] == 0
    assert read_audio(tmp_path / "a.wav").duration_seconds > 0.5
    assert (tmp_path / "a.wav").read_bytes() != (tmp_path / "b.wav").read_bytes()


def test_convert_says_as_much_in_another_voice(cosy, tmp_path):
    recording(tmp_path / "me.wav", 3.0)
    recording(tmp_path / "you.wav", 2.0)
    status, out, err = cosy("convert", "me.wav", "--voice", "bert", "-o", "bert.wav")
    assert (status, out) == (0, "")
    assert err.startswith("3.0 s of speech, voice bert, in ")
    assert "→ bert.wav" in err
    assert "seed" not in err
    assert cosy("convert", "me.wav", "--ref-audio", "you.wav", "-o", "you2.wav", "--speed", 1.5, "-q") == (0, "", "")
    assert read_audio(tmp_path / "bert.wav").duration_seconds == 3.0
    assert read_audio(tmp_path / "you2.wav").duration_seconds == pytest.approx(2.0, abs=0.05)
    assert "voice anna" in cosy("convert", "me.wav", "-o", "default.wav")[2]


def test_convert_streams_what_it_saves(cosy, monkeypatch, tmp_path):
    recording(tmp_path / "me.wav", 3.0)
    sent = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", BytesOut(sent))
    assert cosy("convert", "me.wav", "--stream", "--format", "pcm", "-o", "kept.wav")[0] == 0
    assert len(sent.getvalue()) == 2 * 3 * 24_000
    assert read_audio(tmp_path / "kept.wav").duration_seconds == 3.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("me.wav",), "nowhere to put the speech"),
        (("none.wav", "-o", "a.wav"), "no audio file at 'none.wav'"),
        (("text.txt", "-o", "a.wav"), "cannot be read as audio"),
        (("me.wav", "-o", "a.xyz"), "no audio format '.xyz'"),
        (("me.wav", "-o", "a.wav", "--voice", "bertt"), "Did you mean 'bert'"),
        (("me.wav", "-o", "a.wav", "--voice", "none.json"), "no voice file at 'none.json'"),
        (("me.wav", "-o", "a.wav", "--voice", "bert", "--ref-audio", "me.wav"), "leave one of them out"),
        (("me.wav", "-o", "a.wav", "--ref-audio", "short.wav"), "at least 1 s"),
        (("me.wav", "-o", "a.wav", "--voice", "ada.json"), "voice 'ada' has no sound of its own"),
    ],
)
def test_what_cannot_be_converted_is_one_line_and_no_file(cosy, tmp_path, arguments, message):
    recording(tmp_path / "me.wav", 2.0)
    recording(tmp_path / "short.wav", 0.3)
    (tmp_path / "text.txt").write_text("not audio")
    (tmp_path / "ada.json").write_text('{"name": "ada", "description": "calm"}')
    status, out, err = cosy("convert", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert not (tmp_path / "a.wav").exists()


def test_a_model_that_cannot_convert_says_so(cli, tiny_folder, tmp_path):
    recording(tmp_path / "me.wav", 2.0)
    status, _, err = cli("convert", "me.wav", "-o", "a.wav", "--model", tiny_folder)
    assert (status, err.count("\n")) == (2, 1)
    assert "cannot convert voices" in err


def test_a_cloned_voice_is_kept_and_used_again(cosy, tmp_path):
    recording(tmp_path / "me.wav", 2.0)
    status, out, err = cosy("voices", "--save", "guest.json", "--ref-audio", "me.wav", "--ref-text", "Hello there.")
    assert (status, out, err) == (0, "", "voice guest → guest.json\n")
    voice = read_voice(tmp_path / "guest.json")
    assert (voice.name, voice.references[0].text) == ("guest", "Hello there.")
    cloned = ("--ref-audio", "me.wav", "--ref-text", "Hello there.")
    assert cosy("say", TEXT, "-o", "clone.wav", "--seed", 7, *cloned)[0] == 0
    assert "voice guest" in cosy("say", TEXT, "-o", "kept.wav", "--seed", 7, "--voice", "guest.json")[2]
    assert (tmp_path / "clone.wav").read_bytes() == (tmp_path / "kept.wav").read_bytes()
    assert cosy("convert", "me.wav", "-o", "self.wav", "--voice", "guest.json")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--save", "a.wav", "--voice", "bert"), "name it a.json"),
        (("--save", "none/a.json", "--voice", "bert"), "no folder at 'none'"),
        (("--save", "a.json"), "no voice to save"),
        (("--save", "a.json", "--voice", "bertt"), "Did you mean 'bert'"),
        (("--save", "a.json", "--ref-text", "Hello."), "no voice to save"),
        (("--save", "a.json", "--ref-audio", "none.wav"), "no audio file at 'none.wav'"),
        (("--voice", "bert"), "nothing to do with the given voice; add --save"),
    ],
)
def test_what_cannot_be_kept_is_one_line_and_no_file(cosy, tmp_path, arguments, message):
    status, out, err = cosy("voices", *arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_models_and_voices_are_listed_in_both_layouts(cli, tiny_cosyvoice_folder, tmp_path):
    assert cli("voices", "--model", tiny_cosyvoice_folder)[1].splitlines() == [
        "* anna  en  a calm woman",
        "  bert  en  a man, preset",
    ]
    published = write_published(tmp_path / "CosyVoice2-0.5B")
    status, out, err = cli("voices", "--model", published)
    assert (status, out) == (0, "")
    assert "no voices of its own; clone one" in err
    rows = json.loads(cli("models", published, tiny_cosyvoice_folder, "--json")[1])[-2:]
    assert [(row["name"], row["family"]) for row in rows] == [
        ("CosyVoice2-0.5B", "cosyvoice"),
        ("tiny-cosy", "cosyvoice"),
    ]
    assert all(row["bytes_on_disk"] > 100_000 for row in rows)
