"""`parlando voices`: the voices of a model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import typer

from parlando.cli.options import command


@dataclass(frozen=True, kw_only=True)
class VoicesOptions:
    """Options of `parlando voices`."""

    model: Annotated[str | None, typer.Option(help="Packaged name, folder or hub id; the default is built in.")] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False


@command(VoicesOptions)
def run(options: VoicesOptions) -> None:
    """List a model's voices; the default one is marked with a star.

    Example: parlando voices
    """
    from parlando.models.locate import locate, voices_of

    voices, default = voices_of(locate(options.model))
    if options.as_json:
        rows = [
            {
                "name": voice.name,
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
        typer.echo(
            f"{star} {voice.name:<{width}}  {voice.language}  {voice.description or 'follows its reference clip'}"
        )
