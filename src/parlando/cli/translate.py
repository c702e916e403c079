"""`parlando translate`: a recording in one language, spoken in another in the speaker's own voice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parlando.cli.chat import LISTENING_RATE, ThinkingOptions, pieces_of
from parlando.cli.hearing import recogniser_of
from parlando.cli.options import command
from parlando.cli.output import check_target, deliver
from parlando.cli.sources import choose_voice
from parlando.core.errors import AudioError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parlando.converse.interpreting import Interpreter
    from parlando.converse.translators import Translator
    from parlando.result import Chunk

STUB = "no --text-model: a small phrasebook translates the few words that it knows"


@dataclass(frozen=True, kw_only=True)
class TranslateOptions(ThinkingOptions):
    """Options of `parlando translate`."""

    recording: Annotated[Path, typer.Argument(help="What is said, as a file.")]
    source: Annotated[str, typer.Option("--from", help="The language that is spoken: de, zh, en …")]
    target: Annotated[str, typer.Option("--to", help="The language to speak.")]
    text_model: Annotated[
        str | None, typer.Option(help="Who translates: a URL with #model, or a folder; else the phrasebook.")
    ] = None  # type: ignore[assignment]
    phrasebook: Annotated[
        Path | None, typer.Option(help='TOML file with a table [FROM-TO] of "phrase" = "translation".')
    ] = None


@command(TranslateOptions)
def run(options: TranslateOptions) -> None:
    """Say a recording in another language, in its voice.

    That is the voice that speaks in it, or --voice.

    Example: parlando translate me.wav --from de --to en --text-model http://127.0.0.1:8000#model -o me-en.wav
    """
    check_target(options)
    if options.text_model is not None and options.phrasebook is not None:
        raise InputError("both --text-model and --phrasebook were given; leave one of them out")
    translator = _translator(options)
    interpreter = _interpreter(options, translator)
    from parlando.result import join

    speech = join(_spoken(options, interpreter), voice=options.voice or "speaker", seed=options.seed or 0)
    deliver(speech, options, seeded=options.seed is not None)


def _translator(options: TranslateOptions) -> Translator:
    from parlando.converse.text_models import text_model
    from parlando.converse.translators import ModelTranslator, read_phrasebook

    if options.text_model is not None:
        model = text_model(options.text_model, options.text_model_key)
        return ModelTranslator(model, options.source, options.target)
    if options.phrasebook is None:
        typer.echo(STUB, err=True)
    return read_phrasebook(options.source, options.target, options.phrasebook)


def _interpreter(options: TranslateOptions, translator: Translator) -> Interpreter:
    from parlando.converse.interpreting import Interpreter

    recogniser = recogniser_of(options.asr)
    synthesizer = options.load()
    voice = choose_voice(options, synthesizer, options.ref_text)
    return Interpreter(synthesizer, recogniser, translator, (options.source, options.target), voice)


def _spoken(options: TranslateOptions, interpreter: Interpreter) -> Iterator[Chunk]:
    manner = {**options.sampling(), **options.manner()}
    said = False
    for turn in interpreter.turns(pieces_of(options.recording), LISTENING_RATE, **manner):
        said = True
        yield from turn.chunks
        if not options.quiet:
            typer.echo(
                f"{options.source}: {turn.heard}\n{options.target}: {''.join(turn.translated).strip()}", err=True
            )
    if not said:
        raise AudioError(f"nobody speaks in '{options.recording}', or no word of it was understood")
