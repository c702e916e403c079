"""`parlando bench train`: positions a second of the DualFFN language model in training, next to a plain one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from parlando.cli.options import command


@dataclass(frozen=True, kw_only=True)
class BenchTrainOptions:
    """Options of `parlando bench train`."""

    sizes: Annotated[str, typer.Option(help="small or published.")] = "small"
    contenders: Annotated[str, typer.Option(help="Which take turns, of plain and dualffn, packed or not.")] = (
        "plain,dualffn,dualffn packed"
    )
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu"
    seconds: Annotated[float, typer.Option(help="How long they take turns.", min=1.0)] = 20.0
    steps: Annotated[int | None, typer.Option(help="So many steps of each, instead.", min=1)] = None
    strategy: Annotated[str, typer.Option(help="ddp or fsdp; the latter under torchrun, also with one process.")] = (
        "ddp"
    )
    checkpoint_activations: Annotated[bool, typer.Option(help="Recompute activations in the backward pass.")] = False
    compile: Annotated[bool, typer.Option(help="Compile the layers.")] = False
    threads: Annotated[int | None, typer.Option(help="Processor threads; default: all.", min=1)] = None
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the report here as JSON.")] = None


@command(BenchTrainOptions)
def run(options: BenchTrainOptions) -> None:
    """Measure training: DualFFN, plain and packed, step by step in turns, on the same random positions.

    Steps are those of `parlando train`, optimiser included. MFU is what the model needs of the fastest matrix product
    that was measured here; memory is the most that the device held (on a CPU, the process), of all contenders together.

    Example: parlando bench train --seconds 30
    """
    import json

    import torch

    from parlando.core.config import from_mapping
    from parlando.core.errors import ConfigError
    from parlando.train.higgs.speed import SHAPES, Plan, measure
    from parlando.train.loop.parallel import start
    from parlando.train.loop.sharding import ParallelConfig

    if options.sizes not in SHAPES:
        raise ConfigError(f"--sizes: {options.sizes!r} is not one of {', '.join(SHAPES)}")
    contenders = tuple(name.strip() for name in options.contenders.split(","))
    if wrong := [name for name in contenders if name.removesuffix(" packed") not in ("plain", "dualffn")]:
        raise ConfigError(f"--contenders: {wrong[0]!r} is not one of plain, dualffn, plain packed, dualffn packed")
    if options.threads:
        torch.set_num_threads(options.threads)
    given = {name: getattr(options, name) for name in ("strategy", "checkpoint_activations", "compile")}
    config, process = from_mapping(ParallelConfig, given, "the command line"), start(options.device)
    measured = measure(Plan(SHAPES[options.sizes], contenders, options.seconds, options.steps, config, process))
    if not process.leads:
        return
    typer.echo("| | steps | positions per second | ratio | MFU | memory (MiB) |\n|---|---|---|---|---|---|")
    for each in measured:
        ratio = each.tokens_per_second / measured[0].tokens_per_second
        typer.echo(
            f"| {each.name} | {each.steps} | {each.tokens_per_second:.0f} | {ratio:.3f} | {each.mfu:.1%} "
            f"| {each.memory_mib:.0f} |"
        )
    if options.out is not None:
        options.out.write_text(json.dumps([asdict(each) for each in measured], indent=2), encoding="utf-8")
