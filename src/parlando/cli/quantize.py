"""`parlando quantize`: a model's folder anew, with its weights in fewer bits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from parlando.cli.options import command


@dataclass(frozen=True, kw_only=True)
class QuantizeOptions:
    """Options of `parlando quantize`."""

    model: Annotated[str, typer.Argument(help="Packaged name, folder or hub id.")]
    out: Annotated[Path, typer.Argument(help="Folder to write.")]
    to: Annotated[str, typer.Option(help="int8, int4 or fp8.")] = "int8"


@command(QuantizeOptions)
def run(options: QuantizeOptions) -> None:
    """Write a model with its weights in few bits.

    It is smaller to keep, sooner loaded, and speaks as the model does that is loaded with --quantize.

    Example: parlando quantize cosyvoice-mini small --to int8
    """
    from parlando.models.locate import locate
    from parlando.models.options import known_kind
    from parlando.models.registry import quantize_folder

    kind = known_kind(options.to, "--to")
    folder, out = locate(options.model), options.out
    quantize_folder(folder, out, kind)
    before, after = (sum(file.stat().st_size for file in each.glob("*")) / 10**6 for each in (folder, out))
    typer.echo(f"{out}: {after:.1f} MB, was {before:.1f} MB")
