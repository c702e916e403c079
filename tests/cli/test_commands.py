"""The commands a person types: what they write, what they print, and how they refuse."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
import torch

from command_line import BytesOut, recording
from parlando.audio.containers import STREAM_FORMATS
from parlando.audio.files import read_audio, write_audio
from parlando.audio.formats import FILE_FORMATS
from parlando.cli.app import COMMANDS, build_app
from parlando.cli.dialogue import Line, assign, parse_cast
from parlando.cli.output import summary
from parlando.cli.sources import read_standard_input
from parlando.core.errors import InputError, TextError
from parlando.core.types import GenerationReport, SentenceReport, Timings
from parlando.core.voicefile import write_voice
from parlando.result import Speech

TEXT = "The sun rises in the east."


@pytest.fixture
def say(cli, tiny_folder):
    return lambda *arguments, **options: cli("say", *arguments, "--model", tiny_folder, "--device", "cpu", **options)


def test_say_writes_the_file_and_one_line_about_it(say, tmp_path):
    status, out, err = say(TEXT, "-o", "out.wav", "--seed", 7)
    assert (status, out) == (0, "")
    assert read_audio(tmp_path / "out.wav").sample_rate == 24_000
    assert err.startswith(f"{read_audio(tmp_path / 'out.wav').duration_seconds:.1f} s of speech, voice ada, in ")
    assert "RTF" in err
    assert "seed 7 → out.wav" in err


def test_equal_seeds_write_equal_files(say, tmp_path):
    for name, seed in (("a.wav", 7), ("b.wav", 7), ("c.wav", 8)):
        assert say(TEXT, "-o", name, "--seed", seed, "--quiet") == (0, "", "")
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    assert (tmp_path / "a.wav").read_bytes() != (tmp_path / "c.wav").read_bytes()


def test_text_comes_from_a_pipe_or_a_file(say, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT)
    assert say("-", "-o", "pipe.wav", "--seed", 7, stdin=TEXT)[0] == 0
    assert say("--file", "text.txt", "-o", "file.wav", "--seed", 7)[0] == 0
    assert (tmp_path / "pipe.wav").read_bytes() == (tmp_path / "file.wav").read_bytes()


def test_sampling_options_change_the_audio(say, tmp_path):
    say(TEXT, "-o", "plain.wav", "--seed", 7)
    for number, options in enumerate((("--temperature", 0.1), ("--top-k", 1), ("--top-p", 0.1))):
        assert say(TEXT, "-o", f"{number}.wav", "--seed", 7, *options)[0] == 0
        assert (tmp_path / f"{number}.wav").read_bytes() != (tmp_path / "plain.wav").read_bytes()


def test_format_names_what_the_ending_does_not(say, tmp_path):
    assert say(TEXT, "-o", "speech.bin", "--format", "flac", "--seed", 7)[0] == 0
    assert soundfile.info(tmp_path / "speech.bin").format == "FLAC"


def test_a_voice_may_be_a_name_a_file_or_a_recording(say, tmp_path, tiny_model):
    write_voice(tmp_path / "bob.json", tiny_model.voices["bob"])
    recording(tmp_path / "me.wav")
    (tmp_path / "me.txt").write_text("Hello there.\n")
    assert "voice bob" in say(TEXT, "-o", "1.wav", "--seed", 7, "--voice", "bob")[2]
    assert say(TEXT, "-o", "2.wav", "--seed", 7, "--voice", "bob.json")[0] == 0
    assert (tmp_path / "1.wav").read_bytes() == (tmp_path / "2.wav").read_bytes()
    assert "voice me" in say(TEXT, "-o", "3.wav", "--seed", 7, "--ref-audio", "me.wav", "--ref-text", "me.txt")[2]


def test_stream_sends_a_wav_or_bare_samples(say, monkeypatch, tmp_path):
    sent = {}
    for kind in ("wav", "pcm"):
        sent[kind] = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", BytesOut(sent[kind]))
        assert say(TEXT, "--stream", "--format", kind, "--seed", 7, "-o", f"{kind}.wav")[0] == 0
    assert sent["wav"].getvalue()[:4] == b"RIFF"
    assert sent["wav"].getvalue()[44:] == sent["pcm"].getvalue()
    kept = read_audio(tmp_path / "wav.wav").samples
    assert np.abs(np.frombuffer(sent["pcm"].getvalue(), "<i2") / 32768 - kept).max() < 1e-4


def test_a_terminal_is_no_listener(say, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    status, out, err = say(TEXT, "--stream")
    assert (status, out) == (2, "")
    assert "that is a terminal; pipe it or redirect it" in err


def test_a_skipped_sentence_is_named(say):
    status, _, err = say("Это по-русски. And this is not.", "-o", "out.wav")
    assert status == 0
    assert "skipped, nothing in it that this voice can say: Это по-русски" in err


def test_a_word_that_is_left_out_is_named(say, caplog):
    assert say("We went to Москва by train.", "-o", "out.wav")[0] == 0
    assert "cannot say 'Москва' and leaves it out" in caplog.text


def test_a_lexicon_changes_what_is_said_and_how_long_it_takes(say, tmp_path):
    (tmp_path / "words.txt").write_text("Zyx=z ih1 k s\n", encoding="utf-8")
    saids = [(), ("--lexicon", "Zyx=z ih1 k s"), ("--lexicon", "words.txt")]
    plain, entry, file = (say("Zyx is here.", "-o", "out.flac", *options, "--seed", "1")[2] for options in saids)
    assert (plain == entry, "Zyx" in entry) == (False, False)
    assert entry.split(" in ")[0] == file.split(" in ")[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--language", "zz"), "no text normalisation for language 'zz'; there is: en, zh, ja, ko"),
        (("--lexicon", "行长=xang7"), "lexicon:1: 'xang7' is no pinyin syllable"),
        (("--lexicon", "none.txt"), "no lexicon at 'none.txt'"),
    ],
)
def test_wrong_languages_and_lexicons_are_refused(say, options, message):
    status, _, err = say(TEXT, "-o", "out.wav", *options)
    assert (status, err.count("\n")) == (2, 1)
    assert message in err


def test_a_model_without_voices_says_so(cli, tiny_folder, tmp_path):
    (tmp_path / "config.json").write_bytes((tiny_folder / "config.json").read_bytes())
    status, out, err = cli("voices", "--model", tmp_path)
    assert (status, out) == (0, "")
    assert "no voices of its own; clone one" in err


def test_a_listener_who_leaves_is_no_error(say, monkeypatch):
    class Closed(io.BytesIO):
        def write(self, data):
            raise BrokenPipeError

    redirected = []
    monkeypatch.setattr(sys, "stdout", BytesOut(Closed()))
    monkeypatch.setattr("parlando.cli.output.close_stdout", lambda: redirected.append(True))
    assert say(TEXT, "--stream", "--seed", 7)[0] == 0
    assert redirected == [True]


def test_play_hands_the_samples_to_the_player(say, monkeypatch):
    played = []
    monkeypatch.setattr("parlando.result.play", lambda samples, rate: played.append((len(samples), rate)))
    assert say(TEXT, "--play", "--seed", 7)[0] == 0
    assert played[0][0] > 1000
    assert played[0][1] == 24_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((TEXT,), "nowhere to put the speech"),
        (("", "-o", "a.wav"), "nothing to pronounce"),
        (("?!", "-o", "a.wav"), "nothing to pronounce"),
        (("-o", "a.wav"), "nothing to say"),
        ((TEXT, "-o", "a.xyz"), "no audio format '.xyz'"),
        ((TEXT, "-o", "a"), "has no ending"),
        ((TEXT, "-o", "."), "is a folder"),
        ((TEXT, "-o", "none/a.wav"), "no folder at 'none'"),
        ((TEXT, "-o", "a.wav", "--format", "mp9"), "no audio format 'mp9'"),
        ((TEXT, "-o", "a.wav", "--subtitles", "a.txt"), "'a.txt' is not a name for subtitles; end it in .srt or .vtt"),
        ((TEXT, "-o", "a.wav", "--subtitles", "none/a.srt"), "no folder at 'none'"),
        ((TEXT, "-o", "a.wav", "--file", "b.txt"), "leave one of them out"),
        (("--file", "b.txt", "-o", "a.wav"), "no text file at 'b.txt'"),
        ((TEXT, "-o", "a.wav", "--voice", "adda"), "Did you mean 'ada'"),
        ((TEXT, "-o", "a.wav", "--voice", "none.json"), "no voice file at 'none.json'"),
        ((TEXT, "-o", "a.wav", "--ref-text", "Hi."), "add --ref-audio"),
        ((TEXT, "-o", "a.wav", "--ref-audio", "r.wav", "--voice", "ada"), "leave one of them out"),
        ((TEXT, "-o", "a.wav", "--ref-audio", "r.wav"), "words"),
        ((TEXT, "-o", "a.wav", "--ref-audio", "r.wav", "--ref-text", "Hi."), "no audio file at 'r.wav'"),
        ((TEXT, "-o", "a.wav", "--ref-audio", "short.wav", "--ref-text", "Hi."), "at least 1 s"),
        ((TEXT, "-o", "a.wav", "--ref-audio", "noise.wav", "--ref-text", "Hi."), "'noise.wav': no speech found"),
        ((TEXT, "-o", "a.wav", "--voice", "noise.wav"), "to clone a recording, use --ref-audio"),
        ((TEXT, "-o", "a.wav", "--ref-audio", "text.txt", "--ref-text", "Hi."), "cannot be read as audio"),
        ((TEXT, "-o", "a.wav", "--dtype", "int3"), "no dtype 'int3'"),
        ((TEXT, "-o", "a.wav", "--ref-audio", "long.wav", "--ref-text", "Hi."), "exceed the model's context"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_status_2_and_no_file(say, tmp_path, arguments, message):
    recording(tmp_path / "short.wav", 0.3)
    recording(tmp_path / "long.wav", 25.0)
    write_audio(tmp_path / "noise.wav", 0.1 * np.random.default_rng(0).standard_normal(72_000), 24_000)
    (tmp_path / "text.txt").write_text("not audio")
    before = sorted(path.name for path in tmp_path.iterdir())
    status, out, err = say(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("parlando: ")
    assert err.count("\n") == 1
    assert message in err
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_file_that_is_not_utf8_is_refused(say, tmp_path):
    (tmp_path / "text.txt").write_bytes(b"\xff\xfe\x00")
    status, _, err = say("--file", "text.txt", "-o", "a.wav")
    assert status == 2
    assert "is not UTF-8" in err


def test_a_model_that_is_not_there_is_one_line(cli):
    status, _, err = cli("say", "Hi.", "-o", "a.wav", "--model", "no-model")
    assert (status, err.count("\n")) == (2, 1)
    assert "no-model" in err


def test_an_unknown_option_is_status_2(cli):
    assert cli("say", "Hi.", "--no-such-option")[0] == 2


def test_an_operating_system_error_is_one_line(cli, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "a.wav")

    monkeypatch.setattr("parlando.cli.say.check_target", refuse)
    status, _, err = cli("say", "Hi.", "-o", "a.wav")
    assert (status, err) == (2, "parlando: Permission denied: 'a.wav'\n")


def test_ctrl_c_is_130_and_leaves_no_file(say, monkeypatch, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("parlando.models.higgs.sampler.HiggsSampler.next", interrupt)
    assert say(TEXT, "-o", "a.wav")[0] == 130
    assert list(tmp_path.iterdir()) == []


def test_subtitles_come_with_the_audio_or_a_stream_of_it(say, tmp_path):
    text = "He paid $3.50 for it. Then he left the shop, and nobody ever saw him again in the town where he was born."
    assert say(text, "-o", "a.wav", "--seed", 7, "--quiet", "--subtitles", "a.srt") == (0, "", "")
    first, second, *_ = (tmp_path / "a.srt").read_text(encoding="utf-8").split("\n\n")
    assert first.startswith("1\n00:00:00,")
    assert first.endswith("\nHe paid $3.50 for it.")
    assert second.split("\n")[2].startswith("Then he left the shop,")
    assert max(map(len, second.split("\n")[2:])) <= 42
    assert say(text, "-o", "b.wav", "--seed", 7, "--quiet", "--subtitles", "b.VTT")[0] == 0
    lines = (tmp_path / "b.VTT").read_text(encoding="utf-8").split("\n")
    assert (lines[0], lines[3]) == ("WEBVTT", "He paid $3.50 for it.")
    assert lines[2].replace(".", ",") == first.split("\n")[1]


def test_subtitles_of_a_dialogue_name_its_speakers(cli, tiny_folder, tmp_path):
    (tmp_path / "script.txt").write_text("Anna: Good morning to you.\nBen: And to you, my friend.\n  Sleep well.\n")
    arguments = ("script.txt", "-o", "out.wav", "--subtitles", "out.vtt", "--model", tiny_folder, "--seed", 3)
    assert cli("dialogue", *arguments)[0] == 0
    shown = [block.split("\n")[1] for block in (tmp_path / "out.vtt").read_text().strip().split("\n\n")[1:]]
    assert shown == ["<v Anna>Good morning to you.", "<v Ben>And to you, my friend.", "<v Ben>Sleep well."]


def test_dialogue_gives_each_speaker_a_voice(cli, tiny_folder, tmp_path):
    (tmp_path / "script.txt").write_text(
        "Anna: Good morning to you.\nBen: And to you, my friend.\nAnna: How are you?\n"
    )
    arguments = ("dialogue", "script.txt", "-o", "out.wav", "--seed", 3, "--model", tiny_folder)
    status, _, err = cli(*arguments)
    assert status == 0
    assert "voice ada, bob" in err
    first = (tmp_path / "out.wav").read_bytes()
    assert cli("dialogue", "-", *arguments[2:], stdin=(tmp_path / "script.txt").read_text())[0] == 0
    assert (tmp_path / "out.wav").read_bytes() == first
    assert cli(*arguments, "--pause", 61)[0] == 2
    assert cli(*arguments, "--cast", "Anna=bob,Ben=ada")[0] == 0
    assert (tmp_path / "out.wav").read_bytes() != first


@pytest.mark.parametrize(
    ("script", "cast", "message"),
    [
        ("Hello.", None, "line 1: no speaker"),
        ("", None, "no lines"),
        ("Anna: Hi.", "Ann=ada", "no speaker 'Ann'"),
        ("Anna: Hi.", "Anna", "not speaker=voice"),
        ("Anna: Hi.", "Anna=eve", "no voice named 'eve'"),
    ],
)
def test_a_script_that_cannot_be_spoken_is_explained(cli, tiny_folder, tmp_path, script, cast, message):
    (tmp_path / "script.txt").write_text(script)
    cast_options = () if cast is None else ("--cast", cast)
    status, _, err = cli("dialogue", "script.txt", "-o", "out.wav", "--model", tiny_folder, *cast_options)
    assert status == 2
    assert message in err
    assert not (tmp_path / "out.wav").exists()


def test_voices_are_assigned_by_cast_then_name_then_order():
    turns = [Line(speaker, "Hi.") for speaker in ("Anna", "bob", "Ben", "Cleo")]
    assert assign(turns, {"Ben": "ada"}, ["ada", "bob", "dan"], "ada") == {
        "Anna": "dan",
        "bob": "bob",
        "Ben": "ada",
        "Cleo": "ada",
    }
    assert parse_cast(" Anna = ada , ") == {"Anna": "ada"}
    with pytest.raises(InputError):
        parse_cast("=ada")


def test_voices_lists_names_and_marks_the_default(cli, tiny_folder):
    status, out, _ = cli("voices", "--model", tiny_folder)
    assert status == 0
    assert out.splitlines() == [
        "* ada  en  a mature American woman, calm and clear",
        "  bob  en  an American man, steady and warm",
    ]
    listed = json.loads(cli("voices", "--model", tiny_folder, "--json")[1])
    assert [(row["name"], row["default"]) for row in listed] == [("ada", True), ("bob", False)]


@pytest.mark.parametrize("model", ["higgs-mini", "cosyvoice-mini"])
def test_packaged_voices_have_names_and_descriptions_for_people(cli, model):
    listed = json.loads(cli("voices", "--model", model, "--json")[1])
    assert {row["name"]: row["display_name"] for row in listed}["slt"] == "Stella"
    assert len({row["display_name"] for row in listed}) == len(listed)
    for row in listed:
        assert row["display_name"].istitle(), row
        assert len(row["description"]) > 10, row
    assert "  slt       en  Stella, a young American woman, bright and even" in cli("voices", "--model", model)[1]


def test_models_lists_size_licence_and_place(cli, tiny_folder):
    status, out, _ = cli("models", tiny_folder)
    assert status == 0
    assert "tiny  family higgs" in out
    assert "licence CC0-1.0" in out
    assert str(tiny_folder) in out
    rows = json.loads(cli("models", tiny_folder, "--json")[1])
    assert rows[-1]["bytes_on_disk"] == sum(path.stat().st_size for path in tiny_folder.iterdir())


def test_inspect_measures_and_draws(cli, tmp_path):
    recording(tmp_path / "a.wav")
    status, out, _ = cli("inspect", "a.wav", "--png", "a.png")
    assert status == 0
    assert "4.00 s" in out
    assert (tmp_path / "a.png").read_bytes()[1:4] == b"PNG"
    data = json.loads(cli("inspect", "a.wav", "--json")[1])
    assert data["duration_seconds"] == 4.0
    assert data["sample_rate"] == 24_000
    assert data["peak_dbfs"] == pytest.approx(-10.5, abs=0.2)


@pytest.mark.parametrize(
    ("name", "message"), [("a.xyz", "use .png, .svg, .pdf"), ("none/a.png", "no folder at 'none'")]
)
def test_inspect_refuses_a_picture_before_it_measures(cli, tmp_path, monkeypatch, name, message):
    recording(tmp_path / "a.wav")
    monkeypatch.setattr("parlando.audio.inspect.inspect_audio", None)
    status, out, err = cli("inspect", "a.wav", "--png", name)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_inspect_shows_a_bar_on_a_terminal_when_it_takes_long(cli, tmp_path, monkeypatch):
    recording(tmp_path / "a.wav")
    assert cli("inspect", "a.wav")[2] == ""
    monkeypatch.setattr("parlando.cli.output.PROGRESS_AFTER_SECONDS", 1e-9)
    monkeypatch.setattr("parlando.audio.inspect.find_clicks", lambda *_: time.sleep(0.15) or [])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert "80%|" in cli("inspect", "a.wav")[2]


def test_inspect_of_silence_is_json_too(cli, tmp_path):
    write_audio(tmp_path / "a.wav", np.zeros(24_000, np.float32), 24_000)
    assert json.loads(cli("inspect", "a.wav", "--json")[1])["peak_dbfs"] is None


@pytest.mark.parametrize("command", ["say", "dialogue", "convert", "voices", "models", "inspect"])
def test_every_command_has_help_with_an_example(cli, command):
    status, out, _ = cli(command, "--help")
    assert status == 0
    assert f"Example: parlando {command}" in out


def test_help_lists_the_commands_and_version_is_a_number(cli):
    status, out, _ = cli("--help")
    assert status == 0
    for command in COMMANDS:
        assert command in out
    assert cli("--version")[1].strip() == "0.1.0"
    assert build_app().info.name == "parlando"


@pytest.mark.parametrize("group", [(), ("train",), ("data",), ("eval",)], ids=" ".join)
def test_every_summary_fits_a_terminal_of_80_columns(cli, monkeypatch, group):
    monkeypatch.setenv("COLUMNS", "80")
    listed = cli(*group, "--help")[1].split("Commands:\n")[1].splitlines()
    assert len(listed) > 2
    assert [line for line in listed if not line.endswith(".") or line.endswith("...") or len(line) > 80] == []


@pytest.mark.parametrize(("name", "streams"), [("say", True), ("convert", True), ("dialogue", False)])
def test_help_lists_the_formats(cli, name, streams):
    shown = " ".join(cli(name, "--help")[1].split())
    assert f"does not say it: {', '.join(FILE_FORMATS)}" in shown
    assert (f"of the stream: {', '.join(STREAM_FORMATS).replace('wav', 'wav (default)', 1)}." in shown) == streams


def test_summary_names_sentences_that_were_cut():
    report = GenerationReport((SentenceReport("Hello.", 30, 3, "repetition", 1),))
    speech = Speech(np.zeros(24_000, np.float32), 24_000, "Hello.", "ada", 1, Timings(0.1, 0.5), report)
    assert summary(speech, None).splitlines() == [
        "1.0 s of speech, voice ada, in 0.5 s (RTF 0.50), seed 1",
        "cut (repetition, 3 attempts): Hello.",
    ]


@pytest.mark.slow
def test_help_needs_no_torch():
    program = (
        "import sys\nfrom parlando.cli.app import main\n"
        "try:\n    main(['say', '--help'])\nexcept SystemExit:\n    pass\n"
        "print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1].startswith("False")


def test_standard_input_that_is_not_utf8_is_refused(monkeypatch):
    broken = io.TextIOWrapper(io.BytesIO(b"caf\xe9"), encoding="utf-8", errors="surrogateescape")
    monkeypatch.setattr("parlando.cli.sources.sys.stdin", broken)
    with pytest.raises(TextError, match="standard input is not UTF-8"):
        read_standard_input()


def test_a_dialogue_names_the_seed_that_makes_it_again(cli, tiny_folder, tmp_path):
    (tmp_path / "script.txt").write_text("Anna: Hello.\nBob: Good day.\n")
    arguments = ("dialogue", "script.txt", "--model", tiny_folder, "--device", "cpu")
    status, _, err = cli(*arguments, "-o", "first.wav")
    seed = err.split("seed ")[1].split()[0]
    assert (status, seed != "0") == (0, True)
    assert cli(*arguments, "-o", "again.wav", "--seed", seed)[0] == 0
    assert (tmp_path / "first.wav").read_bytes() == (tmp_path / "again.wav").read_bytes()


@pytest.mark.parametrize(("arguments", "threads"), [((), 1), (("--threads", 2), 2)])
def test_a_small_model_has_one_thread_unless_told_otherwise(say, arguments, threads):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert say(TEXT, "-o", "out.wav", *arguments)[0] == 0
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
