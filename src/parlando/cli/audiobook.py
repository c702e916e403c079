"""`parlando audiobook`: a book as one file with chapter marks, and a voice for every character."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parlando.cli.dialogue import parse_cast
from parlando.cli.options import SpeakOptions, command
from parlando.cli.sources import VoiceOptions, choose_voice
from parlando.core.errors import FileMissingError, InputError

if TYPE_CHECKING:
    import numpy as np

    from parlando.audiobook.chapters import Book
    from parlando.audiobook.making import Say, Spoken, Workshop
    from parlando.core.types import Voice
    from parlando.speech import Synthesizer

SUFFIXES = (".m4b", ".m4a")
DEFAULT_SEED = 0
CAST_FILE = "cast.json"


@dataclass(frozen=True, kw_only=True)
class AudiobookOptions(SpeakOptions, VoiceOptions):
    """Options of `parlando audiobook`."""

    book: Annotated[Path, typer.Argument(help="A .txt, .md or .epub file.")]
    cast: Annotated[
        str | None, typer.Option(help="Voices of characters: Alice=slt,Rabbit=awb; the others get one that fits.")
    ] = None
    list_cast: Annotated[
        bool, typer.Option("--list-cast", help="Print who speaks, how much and with which voice; speak nothing.")
    ] = False
    keep: Annotated[bool, typer.Option("--keep", help="Keep the spoken lines beside the file when it is done.")] = False


@command(AudiobookOptions)
def run(options: AudiobookOptions) -> None:
    """Read a book out, a voice for every character.

    The narrator speaks in --voice; chapters are marked. A run that was stopped goes on where it was; its voices are
    in the folder FILE.parts, in cast.json, to be changed.

    Example: parlando audiobook book.epub -o book.m4b
    """
    from parlando.audiobook.book import read_book
    from parlando.audiobook.making import bind, script_of, speak_book

    out = _target(options)
    book = read_book(options.book)
    script = script_of(book)
    synthesizer = options.load()
    workshop = _workshop(options, out, synthesizer)
    cast, voices = _cast(options, (book, script), synthesizer, workshop)
    if options.list_cast:
        _show(script, cast)
        return
    say = _say(options, synthesizer, voices)
    characters = sum(len(line.text) for chapter in script for line in chapter.lines)
    with _progress(characters, options.quiet) as bar:
        made = speak_book(script, cast, workshop, say, bar.update)
    marks = bind(out, book, script, cast, workshop)
    if not options.keep:
        shutil.rmtree(workshop.folder)
    if not options.quiet:
        minutes = sum(mark.seconds for mark in marks) / 60
        typer.echo(
            f"{out}: {len(marks)} chapters, {minutes:.1f} min, {len(cast)} voices' parts, {made} lines spoken now",
            err=True,
        )


def _target(options: AudiobookOptions) -> Path:
    from parlando.audio.m4b import check_m4b

    if options.play or options.format is not None:
        raise InputError("an audiobook is a file; leave --play and --format out, and give -o FILE.m4b")
    out = options.out or options.book.with_suffix(SUFFIXES[0])
    if out.suffix.lower() not in SUFFIXES:
        raise InputError(f"'{out}' is not the name of an audiobook; give -o FILE.m4b")
    if not out.parent.is_dir():
        raise FileMissingError(out.parent, "folder")
    check_m4b()
    return out


def _workshop(options: AudiobookOptions, out: Path, synthesizer: Synthesizer) -> Workshop:
    from parlando.audiobook.making import Workshop

    manner = {**options.sampling(), **options.manner(), "language": options.language, "lexicon": options.lexicon}
    reference = str(options.ref_audio.resolve()) if options.ref_audio else options.voice
    setup = json.dumps([synthesizer.model.name, reference, manner], default=str)
    folder = out.with_name(f"{out.name}.parts")
    return Workshop(folder, setup, synthesizer.sample_rate)


def _cast(
    options: AudiobookOptions, read: tuple[Book, list[Spoken]], synthesizer: Synthesizer, workshop: Workshop
) -> tuple[dict[str, str], dict[str, Voice]]:
    """Who has which voice, and the voices by name, the narrator's own among them."""
    from parlando.audiobook.cast import cast_of, read_cast, write_cast
    from parlando.text.speakers import genders_of

    narrator = synthesizer.request(choose_voice(options, synthesizer)).voice
    voices = {**synthesizer.voices, narrator.name: narrator}
    book, script = read
    lines = [line for chapter in script for line in chapter.lines]
    names = {line.speaker for line in lines if line.speaker is not None}
    genders = genders_of([each for chapter in book.chapters for each in chapter.paragraphs], names)
    chosen = parse_cast(options.cast)
    kept = workshop.folder / CAST_FILE
    if not options.list_cast:
        workshop.folder.mkdir(exist_ok=True)
        chosen = {**read_cast(kept), **chosen}
    cast = cast_of(lines, genders, voices, narrator.name, chosen)
    if not options.list_cast:
        write_cast(kept, cast)
    return cast, voices


def _say(options: AudiobookOptions, synthesizer: Synthesizer, voices: Mapping[str, Voice]) -> Say:
    manner = {"seed": DEFAULT_SEED, **options.sampling(), **options.manner(), **options.reading()}

    def say(text: str, voice: str) -> np.ndarray:
        return synthesizer.say(text, voices[voice], **manner).samples

    return say


def _show(script: list[Spoken], cast: Mapping[str, str]) -> None:
    from parlando.audiobook.cast import NARRATOR

    for name, voice in cast.items():
        said = [line.text for chapter in script for line in chapter.lines if (line.speaker or NARRATOR) == name]
        typer.echo(f"{name}\t{voice}\t{len(said)} lines\t{sum(map(len, said))} characters")


def _progress(characters: int, quiet: bool) -> Any:
    from tqdm import tqdm

    hidden = quiet or not sys.stderr.isatty()
    return tqdm(total=characters, unit="char", disable=hidden, leave=False, file=sys.stderr)
