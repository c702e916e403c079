"""`parlando chat`, `translate` and `audiobook`, as a person types them."""

from __future__ import annotations

import json

import pytest

from epub_maker import make_epub
from parlando.audio.files import read_audio, write_audio
from talk_parts import DyingMind, Ears, question, silence

STORY = "Chapter 1\n\n“Come in,” said Tom.\n\n“Thank you,” said Anna, and she sat.\n"


@pytest.fixture
def ears(monkeypatch):
    """Everybody who is asked to hear."""
    heard = Ears("Hello there.")
    for command in ("chat", "translate"):
        monkeypatch.setattr(f"parlando.cli.{command}.recogniser_of", lambda spec: heard)
    return heard


@pytest.fixture
def run(cli, tiny_folder, tmp_path):
    write_audio(tmp_path / "asked.wav", question(1.5), 24_000)
    write_audio(tmp_path / "quiet.wav", silence(2.0), 24_000)
    return lambda name, *more, **options: cli(name, *more, "--model", tiny_folder, "--device", "cpu", **options)


def test_a_recording_is_answered_into_a_file(run, ears, tmp_path):
    status, out, err = run("chat", "asked.wav", "-o", "answer.wav", "--seed", 1)
    assert (status, out) == (0, "")
    assert "you: Hello there.\nanswer: Hello there." in err
    assert read_audio(tmp_path / "answer.wav").duration_seconds >= 0.04
    assert ears.clips[0][0].duration_seconds == pytest.approx(2.3, abs=0.3)


def test_typed_lines_are_answered_in_turn(run):
    status, _, err = run("chat", "--text", "-o", "answer.wav", stdin="Good day.\n\nAnd now?\n")
    assert status == 0
    assert [line for line in err.splitlines() if line.startswith("you")] == ["you: Good day.", "you: And now?"]


def test_a_text_model_that_dies_is_heard_and_is_status_1(run, ears, monkeypatch, tmp_path):
    monkeypatch.setattr("parlando.converse.text_models.text_model", lambda spec, key: DyingMind())
    status, _, err = run("chat", "asked.wav", "-o", "answer.wav")
    assert status == 1
    assert "parlando: " in err
    assert read_audio(tmp_path / "answer.wav").duration_seconds >= 0.04


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["quiet.wav", "-o", "x.wav"], "nobody speaks in 'quiet.wav'"),
        (["none.wav", "-o", "x.wav"], "no audio file at 'none.wav'"),
        (["asked.wav"], "nowhere to put the speech"),
        (["asked.wav", "--text", "-o", "x.wav"], "leave one of them out"),
        (["--text", "-o", "x.wav"], "nothing was typed"),
        (["asked.wav", "-o", "x.wav", "--text-model", "nowhere"], "no folder with a text model at 'nowhere'"),
        (["asked.wav", "-o", "x.wav", "--manners", "none.toml"], "no table of manners"),
    ],
)
def test_mistakes_are_one_line_and_status_2(run, ears, arguments, reason):
    status, _, err = run("chat", *arguments)
    assert status == 2
    assert reason in err.splitlines()[-1]


def test_a_recording_is_said_in_another_language(run, ears, tmp_path):
    ears.heard = ["Guten Morgen!"]
    status, _, err = run("translate", "asked.wav", "--from", "de", "--to", "en", "--voice", "bob", "-o", "en.wav")
    assert status == 0
    assert "a small phrasebook translates the few words that it knows" in err
    assert "de: Guten Morgen!\nen: Good morning." in err
    assert read_audio(tmp_path / "en.wav").duration_seconds >= 0.04
    status, _, err = run("translate", "quiet.wav", "--from", "de", "--to", "en", "-o", "en.wav")
    assert (status, "nobody speaks in 'quiet.wav'" in err) == (2, True)
    status, _, err = run("translate", "asked.wav", "--from", "xx", "--to", "en", "-o", "en.wav")
    assert (status, "no table [xx-en]" in err) == (2, True)


def test_a_book_is_read_by_characters_and_taken_up_again(run, tmp_path, monkeypatch):
    import av

    (tmp_path / "book.txt").write_text(STORY)
    listing = run("audiobook", "book.txt", "--list-cast", "--voice", "ada")[1].splitlines()
    assert [line.split("\t")[0] for line in listing] == ["narrator", "Anna", "Tom"]
    assert sorted(tmp_path.glob("book.m4b*")) == []
    assert run("audiobook", "book.txt", "--voice", "ada", "--cast", "Tom=bob", "--keep")[0] == 0
    assert json.loads((tmp_path / "book.m4b.parts" / "cast.json").read_text())["Tom"] == "bob"
    status, _, err = run("audiobook", "book.txt", "--voice", "ada")
    assert (status, "0 lines spoken now" in err) == (0, True)
    assert not (tmp_path / "book.m4b.parts").exists()
    with av.open(str(tmp_path / "book.m4b")) as container:
        assert [each["metadata"]["title"] for each in container.chapters()] == ["Chapter 1"]


def test_broken_books_and_wrong_names_are_one_line(run, tmp_path):
    make_epub(tmp_path / "broken.epub", {"one.xhtml": "<p>Hello.</p>"}, {"OPS/one.xhtml": None})
    (tmp_path / "empty.txt").write_text("***")
    (tmp_path / "book.txt").write_text(STORY)
    for arguments, reason in (
        (["broken.epub"], "is not a whole EPUB"),
        (["empty.txt"], "has no words to read out"),
        (["book.txt", "-o", "book.mp3"], "give -o FILE.m4b"),
        (["book.txt", "--cast", "Tim=bob"], "nobody is called 'Tim' in the book"),
        (["none.txt"], "no book at 'none.txt'"),
    ):
        status, _, err = run("audiobook", *arguments)
        assert status == 2
        assert reason in err.splitlines()[-1]
