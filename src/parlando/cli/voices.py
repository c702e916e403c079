"""`parlando voices`: the voices of a model; and a voice of one's own, kept in a file."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from parlando.cli.options import ModelOptions, command
from parlando.cli.sources import CloneOptions, choose_voice
from parlando.core.errors import FileMissingError, InputError
from parlando.core.types import Voice

SPEAKERS_SUFFIX = ".pt"


@dataclass(frozen=True, kw_only=True)
class VoicesOptions(ModelOptions, CloneOptions):
    """Options of `parlando voices`."""

    save: Annotated[
        Path | None,
        typer.Option(help="Keep the voice of --ref-audio, or --voice, in this .json file; or add it to a spk2info.pt."),
    ] = None
    name: Annotated[str | None, typer.Option(help="Its name among the speakers of a spk2info.pt.")] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False


@command(VoicesOptions)
def run(options: VoicesOptions) -> None:
    """List a model's voices; or keep a cloned voice in a file.

    The default one is marked with a star.

    Such a file can be given wherever a voice can: --voice me.json

    Example: parlando voices --save me.json --ref-audio me.wav --ref-text "What I say in it."
    """
    if options.save is not None:
        save(options, options.save)
    elif (options.voice, options.ref_audio, options.ref_text) != (None, None, None):
        raise InputError(
            "nothing to do with the given voice; add --save FILE.json to keep it, or speak with it: parlando say"
        )
    else:
        show(options)


def save(options: VoicesOptions, path: Path) -> None:
    """Write the voice that the options choose into a file, under the file's name, or into one of many speakers.

    Raises:
        InputError: the file would not be taken for a voice, or no voice was given.
        FileMissingError: its folder is not there.
        VoiceNotFoundError: the model has no such voice.
    """
    if path.suffix not in (".json", SPEAKERS_SUFFIX):
        raise InputError(f"'{path}': a voice is kept in a .json file; name it {path.with_suffix('.json')}")
    if not path.parent.is_dir():
        raise FileMissingError(path.parent, "folder")
    if options.voice is None and options.ref_audio is None:
        raise InputError("no voice to save; give a recording (--ref-audio FILE), or one of the model's (--voice NAME)")
    from parlando.core.voicefile import write_voice
    from parlando.models.registry import add_published_voice

    synthesizer = options.load()
    chosen = choose_voice(options, synthesizer, options.ref_text)
    voice = chosen if isinstance(chosen, Voice) else synthesizer.request(chosen).voice
    if path.suffix == SPEAKERS_SUFFIX:
        voice = replace(voice, name=options.name or voice.name)
        add_published_voice(synthesizer.model, path, voice)
    else:
        voice = replace(voice, name=path.stem)
        write_voice(path, voice)
    print(f"voice {voice.name} → {path}", file=sys.stderr)


def show(options: VoicesOptions) -> None:
    """Print the model's voices, without loading it."""
    from parlando.models.locate import locate, voices_of

    voices, default = voices_of(locate(options.model))
    if options.as_json:
        rows = [
            {
                "name": voice.name,
                "display_name": voice.display_name,
                "language": voice.language,
                "description": voice.description,
                "default": voice.name == default,
            }
            for voice in voices.values()
        ]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    if not voices:
        typer.echo(
            "this model has no voices of its own; clone one: parlando say … --ref-audio FILE --ref-text WORDS", err=True
        )
    width = max((len(name) for name in voices), default=0)
    for voice in voices.values():
        star = "*" if voice.name == default else " "
        about = voice.description or "follows its reference clip"
        named = f"{voice.display_name}, {about}" if voice.display_name else about
        typer.echo(f"{star} {voice.name:<{width}}  {voice.language}  {named}")
