"""`parlando models`: what is on this machine, how big, and where."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from parlando.cli.options import command

BYTES_PER_MEGABYTE = 1_000_000


@dataclass(frozen=True, kw_only=True)
class ModelsOptions:
    """Options of `parlando models`."""

    folders: Annotated[list[Path] | None, typer.Argument(help="Folders of other models to list as well.")] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False


@command(ModelsOptions)
def run(options: ModelsOptions) -> None:
    """List models: name, family, size on disk, licence and folder.

    Example: parlando models
    """
    from parlando.models.locate import describe, locate, packaged_models

    found = [*packaged_models().values(), *(locate(folder) for folder in options.folders or ())]
    entries = [describe(folder) for folder in found]
    if options.as_json:
        rows = [{**vars(entry), "folder": str(entry.folder)} for entry in entries]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    if not entries:
        typer.echo("no models in the package; train one with: parlando train", err=True)
    for entry in entries:
        size = f"{entry.bytes_on_disk / BYTES_PER_MEGABYTE:.1f} MB"
        typer.echo(f"{entry.name}  family {entry.family}  {size}  licence {entry.licence}")
        typer.echo(f"    {entry.folder}")
        if entry.summary:
            typer.echo(f"    {entry.summary}")
