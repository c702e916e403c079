"""`parlando bench`: how fast a model is here, next to a peer in the same run; and what else `bench` measures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from parlando.cli import bench_gpu, bench_lm, bench_memory, bench_serve, bench_stream, bench_train
from parlando.cli.options import ModelOptions, command, group_of


@dataclass(frozen=True, kw_only=True)
class BenchOptions(ModelOptions):
    """Options of `parlando bench`."""

    quick: Annotated[bool, typer.Option("--quick", help="One repeat, short, batch sizes 1 and 2.")] = False
    peer: Annotated[bool, typer.Option(help="Measure transformers as well.")] = True
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the report here as JSON.")] = None


@command(BenchOptions)
def run(options: BenchOptions) -> None:
    """Measure how fast a model is here, next to transformers.

    Real-time factor, time to first audio, memory, and tokens per second. Requests of different lengths wait in a queue;
    equal ones are measured as well. Takes a few minutes.

    Example: parlando bench --quick
    """
    from parlando.evaluate.report import save_json
    from parlando.evaluate.speed.bench import bench_markdown, run_bench
    from parlando.evaluate.speed.contender import Load
    from parlando.models.options import known_kind
    from parlando.nn.placement import Placement

    options.set_threads()
    dtype = Placement.choose(options.device, options.dtype).dtype
    work = Load(dtype=dtype, quantize=None if options.quantize is None else known_kind(options.quantize, "--quantize"))
    if options.quick:
        work = replace(work, batches=(1, 2), shortest=8, longest=24, repeats=1)
    report = run_bench(options.load, work, options.peer)
    typer.echo(bench_markdown(report))
    if options.out is not None:
        save_json(report, options.out)


app = group_of(
    run,
    {
        "gpu": bench_gpu.run,
        "lm": bench_lm.run,
        "memory": bench_memory.run,
        "serve": bench_serve.run,
        "stream": bench_stream.run,
        "train": bench_train.run,
    },
)
