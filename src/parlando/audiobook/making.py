"""A book spoken line by line into files that a later run finds again, and put together with chapter marks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from parlando.audio.files import read_audio, write_audio
from parlando.audio.m4b import Mark, write_m4b
from parlando.audiobook.cast import NARRATOR
from parlando.audiobook.chapters import Book
from parlando.core.errors import TextError
from parlando.text.speakers import Line, lines_of

LINE_PAUSE_SECONDS, CHAPTER_PAUSE_SECONDS = 0.35, 1.2
SPOKEN = ".flac"


@dataclass(frozen=True)
class Spoken:
    """A chapter as lines; its title is the narrator's first one."""

    title: str
    lines: tuple[Line, ...]


# Speaks a text as a character: samples (float32 [n]).
Say = Callable[[str, str], np.ndarray]


def script_of(book: Book) -> list[Spoken]:
    """Who says what in a book, chapter by chapter."""
    return [Spoken(each.title, (Line(each.title), *lines_of(each.paragraphs))) for each in book.chapters]


@dataclass(frozen=True)
class Workshop:
    """Where spoken lines are kept: ``folder``; ``setup`` is whatever, besides voice and words, decides their sound."""

    folder: Path
    setup: str
    sample_rate: int

    def path(self, voice: str, text: str) -> Path:
        """The file of a line, by what it is."""
        key = json.dumps([self.setup, voice, text], ensure_ascii=False)
        return self.folder / (hashlib.sha256(key.encode()).hexdigest()[:24] + SPOKEN)


def speak_book(
    script: Sequence[Spoken],
    cast: Mapping[str, str],
    workshop: Workshop,
    say: Say,
    on_progress: Callable[[int], object] = lambda characters: None,
) -> int:
    """Have every line spoken that is not yet; returns how many were. ``on_progress`` is told characters that are done.

    Raises:
        TextError: there is no line that can be spoken.
    """
    made = spoken = 0
    unspoken: TextError | None = None
    for chapter in script:
        for line in chapter.lines:
            voice = cast[line.speaker or NARRATOR]
            path = workshop.path(voice, line.text)
            try:
                if not path.exists():
                    write_audio(path, say(line.text, voice), workshop.sample_rate)
                    made += 1
                spoken += 1
            except TextError as error:  # a line of nothing but signs must not cost the book
                unspoken = error
            on_progress(len(line.text))
    if not spoken:
        raise unspoken or TextError("the book has no line that can be spoken")
    return made


def bind(path: Path, book: Book, script: Sequence[Spoken], cast: Mapping[str, str], workshop: Workshop) -> list[Mark]:
    """Put the spoken lines together into one file; returns its chapters."""
    marks = [Mark(each.title, sum(map(len, _sound(each, cast, workshop))) / workshop.sample_rate) for each in script]
    pieces = (piece for each in script for piece in _sound(each, cast, workshop))
    about = {"title": book.title, "artist": book.author, "album": book.title, "genre": "Audiobook"}
    write_m4b(path, pieces, workshop.sample_rate, marks, {name: value for name, value in about.items() if value})
    return marks


def _sound(chapter: Spoken, cast: Mapping[str, str], workshop: Workshop) -> Iterator[np.ndarray]:
    """A chapter's samples, line by line, with the pauses behind them."""
    paths = [workshop.path(cast[line.speaker or NARRATOR], line.text) for line in chapter.lines]
    for number, path in enumerate(each for each in paths if each.exists()):
        yield read_audio(path).samples
        pause_seconds = LINE_PAUSE_SECONDS if number else 2 * LINE_PAUSE_SECONDS
        yield np.zeros(round(pause_seconds * workshop.sample_rate), np.float32)
    yield np.zeros(round(CHAPTER_PAUSE_SECONDS * workshop.sample_rate), np.float32)
