"""A book spoken into files, put together with marks, and taken up again after a kill."""

from __future__ import annotations

import json

import numpy as np
import pytest

from parlando.audiobook.cast import NARRATOR, cast_of, read_cast, write_cast
from parlando.audiobook.chapters import Book, Chapter
from parlando.audiobook.making import Workshop, bind, script_of, speak_book
from parlando.core.errors import ConfigError, TextError, VoiceNotFoundError
from parlando.core.types import Voice
from parlando.text.speakers import Line

RATE = 24_000
VOICES = {
    name: Voice(name, description=f"a {what}")
    for name, what in {"ada": "woman", "eve": "woman", "mia": "woman", "bob": "man", "joe": "man"}.items()
}
BOOK = Book(
    "A Story",
    (
        Chapter("One", ("It was cold.", "“Come in,” said Tom.", "“Thank you,” said Anna.")),
        Chapter("Two", ("The end.", "“***!”")),
    ),
    "Ann Author",
)
LINES = [Line("x", None), Line("xx" * 9, "Tom"), Line("xxx", "Anna"), Line("x", "Fox"), Line("x", "Ben")]


class Mouth:
    """Says a tenth of a second a word, as loud as the voice's first letter; breaks at the n-th line."""

    def __init__(self, breaks_at=None):
        self.said, self.breaks_at = [], breaks_at

    def __call__(self, text, voice):
        if len(self.said) == self.breaks_at:
            raise KeyboardInterrupt
        if not any(map(str.isalnum, text)):
            raise TextError("nothing to pronounce")
        self.said.append((voice, text))
        return np.full(RATE // 10 * len(text.split()), (ord(voice[0]) - 96) / 32, np.float32)


def test_voices_fit_and_are_shared_last():
    cast = cast_of(LINES, {"Tom": "male", "Anna": "female", "Ben": "male"}, VOICES, "ada", {})
    assert cast[NARRATOR] == "ada"
    assert {cast["Tom"], cast["Ben"]} <= {"bob", "joe"}
    assert cast["Anna"] in ("eve", "mia")
    assert len({cast[name] for name in (NARRATOR, "Tom", "Anna", "Fox")}) == 4
    assert cast_of(LINES[::-1], {"Tom": "male", "Anna": "female", "Ben": "male"}, VOICES, "ada", {}) == cast
    crowd = [Line("x", f"Man {number}") for number in range(6)]
    used = cast_of(crowd, {line.speaker: "male" for line in crowd}, VOICES, "bob", {})
    assert sorted(used.values()) == ["bob"] * 3 + ["joe"] * 4 or sorted(used.values()) == ["bob"] * 4 + ["joe"] * 3


def test_a_choice_goes_before_and_is_checked():
    assert cast_of(LINES, {}, VOICES, "ada", {"tom": "eve", "narrator": "joe"})["Tom"] == "eve"
    with pytest.raises(ConfigError, match="nobody is called 'Tim' in the book"):
        cast_of(LINES, {}, VOICES, "ada", {"Tim": "eve"})
    with pytest.raises(VoiceNotFoundError, match="no voice named 'eva'"):
        cast_of(LINES, {}, VOICES, "ada", {"Tom": "eva"})


def test_a_cast_is_kept_and_can_be_changed_by_hand(tmp_path):
    path = tmp_path / "cast.json"
    assert read_cast(path) == {}
    write_cast(path, {"Tom": "bob"})
    assert read_cast(path) == {"Tom": "bob"}
    for broken in ("{", "[]", json.dumps({"Tom": 1})):
        path.write_text(broken)
        with pytest.raises(ConfigError, match="mend it, or delete it"):
            read_cast(path)


@pytest.fixture
def workshop(tmp_path):
    folder = tmp_path / "book.m4b.parts"
    folder.mkdir()
    return Workshop(folder, "model", RATE)


def test_a_run_that_was_killed_goes_on_and_repeats_nothing(workshop):
    script = script_of(BOOK)
    cast = {NARRATOR: "ada", "Tom": "bob", "Anna": "eve"}
    first = Mouth(breaks_at=3)
    with pytest.raises(KeyboardInterrupt):
        speak_book(script, cast, workshop, first)
    second, done = Mouth(), []
    made = speak_book(script, cast, workshop, second, done.append)
    assert made == len(second.said)
    assert not set(first.said) & set(second.said)
    assert first.said + second.said == [
        ("ada", "One"),
        ("ada", "It was cold."),
        ("bob", "Come in,"),
        ("ada", "said Tom."),
        ("eve", "Thank you,"),
        ("ada", "said Anna."),
        ("ada", "Two"),
        ("ada", "The end."),
    ]
    assert sum(done) == sum(len(line.text) for chapter in script for line in chapter.lines)
    assert speak_book(script, {**cast, "Tom": "joe"}, workshop, Mouth()) == 1, "only who was given another voice"


def test_the_file_has_chapters_where_they_begin(workshop, tmp_path):
    import av

    script, cast = script_of(BOOK), {NARRATOR: "ada", "Tom": "bob", "Anna": "eve"}
    speak_book(script, cast, workshop, Mouth())
    path = tmp_path / "book.m4b"
    marks = bind(path, BOOK, script, cast, workshop)
    with av.open(str(path)) as container:
        chapters = container.chapters()
        seconds = container.duration / av.time_base
        told = dict(container.metadata)
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert [each["metadata"]["title"] for each in chapters] == ["One", "Two"]
    assert chapters[1]["start"] * float(chapters[1]["time_base"]) == pytest.approx(marks[0].seconds, abs=0.002)
    assert seconds == pytest.approx(sum(mark.seconds for mark in marks), abs=0.1)
    assert (told["title"], told["artist"]) == ("A Story", "Ann Author")
    assert np.abs(samples[:1000]).max() > 0.01
    assert sorted(each.name for each in tmp_path.iterdir()) == ["book.m4b", "book.m4b.parts"]


def test_a_book_of_nothing_that_can_be_said_is_refused(workshop):
    script = script_of(Book("x", (Chapter("***", ("***",)),)))
    with pytest.raises(TextError, match="nothing to pronounce"):
        speak_book(script, {NARRATOR: "ada"}, workshop, Mouth())
