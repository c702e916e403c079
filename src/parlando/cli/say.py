"""`parlando say`: text from the command line, a file or a pipe; speech to a file, the loudspeaker or a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parlando.cli.options import SpeakOptions, StreamOptions, command
from parlando.cli.output import check_subtitles, check_target, deliver, with_progress, write_out, write_subtitles
from parlando.cli.sources import CloneOptions, choose_voice, read_standard_input, read_text_file
from parlando.core.errors import InputError, TextError

if TYPE_CHECKING:
    from parlando.result import Chunk


@dataclass(frozen=True, kw_only=True)
class SayOptions(StreamOptions, SpeakOptions, CloneOptions):
    """Options of `parlando say`."""

    text: Annotated[str | None, typer.Argument(help="What to say; - reads standard input.")] = None
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Read the text from a file.")] = None


@command(SayOptions)
def run(options: SayOptions) -> None:
    """Say a text.

    Example: parlando say "Dr. Smith paid $3.50." -o out.wav
    """
    check_target(options, streams=options.stream)
    check_subtitles(options.subtitles)
    text = read_text(options)
    synthesizer = options.load()
    voice = choose_voice(options, synthesizer, options.ref_text)
    from parlando.request import GROWING, WHOLE_SENTENCES
    from parlando.result import join

    schedule = GROWING if options.stream else WHOLE_SENTENCES
    manner = {**options.sampling(), **options.manner(), **options.reading()}
    request = synthesizer.request(voice, schedule=schedule, **manner)
    chunks = with_progress(synthesizer.run(text, request), len(text), options.quiet)
    if options.stream:
        chunks = sent_out(chunks, options.format or "wav")
    speech = join(chunks, text=text, voice=request.voice.name, seed=request.seed, reading=request.reading)
    deliver(speech, options, options.stream)
    if options.subtitles is not None:
        write_subtitles(options.subtitles, speech)


def read_text(options: SayOptions) -> str:
    """The text, from wherever the options say.

    Raises:
        InputError: there are two sources.
        TextError: there is none, or it is not UTF-8.
        FileMissingError: the text file is not there.
    """
    if options.file is not None and options.text is not None:
        raise InputError("both a text and --file were given; leave one of them out")
    if options.file is not None:
        return read_text_file(options.file)
    if options.text is None:
        raise TextError(
            'nothing to say; give a text, --file, or - for standard input: parlando say "Hello." -o out.wav'
        )
    return read_standard_input() if options.text == "-" else options.text


def sent_out(chunks: Iterable[Chunk], kind: str) -> Iterator[Chunk]:
    """Pass chunks through, each written to standard output as it is made; a listener who leaves ends the work."""
    from parlando.audio.containers import open_encoder

    encoder = None
    for chunk in chunks:
        encoder = encoder or open_encoder(kind, chunk.sample_rate)
        write_out(encoder.feed(chunk.samples))
        yield chunk
    if encoder is not None:
        write_out(encoder.close())
