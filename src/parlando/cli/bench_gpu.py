"""`parlando bench gpu`: the published sizes on one device, in one run of some minutes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from parlando.cli.options import command


@dataclass(frozen=True, kw_only=True)
class BenchGpuOptions:
    """Options of `parlando bench gpu`."""

    sizes: Annotated[
        list[str] | None, typer.Option(help="higgs-v2 (5.8B) or cosyvoice2 (0.5B); repeat it. Default: both.")
    ] = None
    device: Annotated[str, typer.Option(help="cuda, cuda:1 …; cpu tries it out, which takes hours.")] = "cuda"
    minutes: Annotated[float, typer.Option(help="Begin nothing after so many.", min=0.0)] = 6.0
    peer: Annotated[bool, typer.Option(help="Measure transformers as well.")] = True
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the report here as JSON.")] = None


@command(BenchGpuOptions)
def run(options: BenchGpuOptions) -> None:
    """Measure the published sizes on one GPU, random weights, within eight minutes.

    Steps against reading the weights, tokens a second at batches of 1 to 32, first sound and underruns of 1 and 16
    listeners, memory, quantised and not, and transformers in the same run.

    Example: parlando bench gpu -o gpu.json
    """
    from dataclasses import replace

    from parlando.core.errors import ConfigError
    from parlando.evaluate.report import save_json
    from parlando.evaluate.speed.gpu import Plan, gpu_markdown, run_gpu_bench
    from parlando.nn.placement import Placement

    plan = Plan(minutes=options.minutes, peer=options.peer)
    if unknown := [name for name in options.sizes or () if name not in plan.models]:
        raise ConfigError(f"--sizes: {unknown[0]!r} is not one of {', '.join(plan.models)}")
    device = str(Placement.choose(options.device, "bfloat16").device)
    chosen = {name: plan.models[name] for name in options.sizes or plan.models}
    report = run_gpu_bench(replace(plan, models=chosen, load=replace(plan.load, device=device)))
    typer.echo(gpu_markdown(report))
    if options.out is not None:
        save_json(report, options.out)
