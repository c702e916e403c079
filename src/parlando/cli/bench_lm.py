"""`parlando bench lm`: tokens per second of a published language model's sizes in several kinds of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from parlando.cli.options import command

_CONTESTANTS = ("float32", "bfloat16", "int8", "int4", "transformers:float32", "transformers:bfloat16")


@dataclass(frozen=True, kw_only=True)
class BenchLMOptions:
    """Options of `parlando bench lm`."""

    sizes: Annotated[str, typer.Option(help="cosyvoice2 (0.5B) or higgs-v2 (5.8B).")] = "cosyvoice2"
    who: Annotated[
        list[str] | None,
        typer.Option(help=f"Who takes part; repeat it. Default: {', '.join(_CONTESTANTS)}."),
    ] = None
    batch: Annotated[list[int] | None, typer.Option(help="Requests at a time; repeat it. Default: 1, 8.", min=1)] = None
    prompt: Annotated[int, typer.Option(help="Positions of a request's prompt.", min=4)] = 16
    frames: Annotated[int, typer.Option(help="How many frames a request wants.", min=1)] = 12
    repeats: Annotated[int, typer.Option(help="Rounds, of which the median counts.", min=1)] = 3
    few_bits_in: Annotated[str, typer.Option(help="In which dtype int8 and int4 compute.")] = "bfloat16"
    threads: Annotated[int | None, typer.Option(help="Processor threads; default: all.", min=1)] = None
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the report here as JSON.")] = None


@command(BenchLMOptions)
def run(options: BenchLMOptions) -> None:
    """A published language model's sizes with random weights, ours and transformers', by turns.

    All take the same requests; the weights of all are in memory at once. Ratios are to the first.

    Example: parlando bench lm --who float32 --who int8 --batch 1
    """
    import torch

    from parlando.core.errors import ConfigError
    from parlando.evaluate.report import save_json
    from parlando.evaluate.speed.contender import Load
    from parlando.evaluate.speed.published import LANGUAGE_MODELS, family_of
    from parlando.evaluate.speed.published_lm import Contestant, lm_markdown, run_lm_bench
    from parlando.nn.placement import Placement

    if options.sizes not in LANGUAGE_MODELS:
        raise ConfigError(f"--sizes: {options.sizes!r} is not one of {', '.join(LANGUAGE_MODELS)}")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    config = LANGUAGE_MODELS[options.sizes]()
    dtype = Placement.choose("cpu", options.few_bits_in).dtype
    contestants = [Contestant.of(name, dtype) for name in options.who or _CONTESTANTS]
    batches = tuple(options.batch or (1, 8))
    load = Load(
        batches, options.frames, options.frames, rounds=1, repeats=options.repeats, prompt_tokens=options.prompt
    )
    report = run_lm_bench(options.sizes, family_of(config), config, contestants, load)
    typer.echo(lm_markdown(report))
    if options.out is not None:
        save_json(report, options.out)
