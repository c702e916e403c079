"""Where text and voices come from: files, standard input, recordings, names."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parlando.core.errors import FileMissingError, InputError, TextError
from parlando.core.types import Voice

if TYPE_CHECKING:
    from parlando.speech import Synthesizer


@dataclass(frozen=True, kw_only=True)
class VoiceOptions:
    """Whose voice it is."""

    voice: Annotated[
        str | None, typer.Option("--voice", "-v", help="A name, or a voice file; see: parlando voices")
    ] = None
    ref_audio: Annotated[Path | None, typer.Option(help="Clone the voice of this recording.")] = None


@dataclass(frozen=True, kw_only=True)
class CloneOptions(VoiceOptions):
    """The same, where what is said in a recording matters too."""

    ref_text: Annotated[str | None, typer.Option(help="What is said in it: words, or a text file.")] = None


def choose_voice(options: VoiceOptions, synthesizer: Synthesizer, words: str | None = None) -> Voice | str | None:
    """A clone of the reference recording, a voice file, or a name.

    Raises:
        InputError: a voice and a recording were both given, or a transcript without its recording.
    """
    if options.ref_audio is not None:
        if options.voice is not None:
            raise InputError("both --voice and --ref-audio were given; leave one of them out")
        return synthesizer.clone(options.ref_audio, transcript(words), name=options.ref_audio.stem)
    if words is not None:
        raise InputError("--ref-text belongs to a recording; add --ref-audio FILE")
    return None if options.voice is None else named_voice(options.voice)


def named_voice(name: str) -> Voice | str:
    """The voice in a file, where the name is that of one; else the name.

    Raises:
        FileMissingError: there is no such file.
        ConfigError: it is not a voice.
        InputError: it is a recording.
    """
    from parlando.core.voicefile import read_voice

    if name.endswith(".json"):
        return read_voice(Path(name))
    if Path(name).suffix and Path(name).is_file():
        raise InputError(
            f"--voice: '{name}' is not a voice name or a .json voice file; to clone a recording, use --ref-audio"
        )
    return name


def transcript(text: str | None) -> str | None:
    """The transcript itself, read from a file where it names one."""
    if text is not None and text.endswith(".txt"):
        return read_text_file(Path(text)).strip()
    return text


def read_standard_input() -> str:
    """The whole of standard input.

    Raises:
        TextError: it is not UTF-8.
    """
    try:
        # Not by the locale's rules: under some of them, no bytes are wrong.
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise TextError(f"standard input is not UTF-8 text ({error.reason}); convert it, as iconv does") from error


def read_text_file(path: Path) -> str:
    """The whole of a text file.

    Raises:
        FileMissingError: it is not there.
        TextError: it is not UTF-8.
    """
    if not path.is_file():
        raise FileMissingError(path, "text file")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise TextError(f"'{path}' is not UTF-8 text ({error.reason}); save it as UTF-8") from error
