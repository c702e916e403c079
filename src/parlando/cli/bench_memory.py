"""`parlando bench memory`: what the weights of the published models take, in every kind of bits."""

from __future__ import annotations

from dataclasses import dataclass

import typer

from parlando.cli.options import command


@dataclass(frozen=True, kw_only=True)
class BenchMemoryOptions:
    """Options of `parlando bench memory`: none."""


@command(BenchMemoryOptions)
def run(_: BenchMemoryOptions) -> None:
    """Sum up the weights of the published models, part by part; nothing is loaded.

    Example: parlando bench memory
    """
    from parlando.evaluate.speed.published import memory_markdown

    typer.echo(memory_markdown())
