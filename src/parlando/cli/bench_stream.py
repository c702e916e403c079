"""`parlando bench stream`: what a chunk of a long stream costs by where it is, next to recomputing all before it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from parlando.cli.options import command, numbers


@dataclass(frozen=True, kw_only=True)
class BenchStreamOptions:
    """Options of `parlando bench stream`."""

    seconds: Annotated[float, typer.Option(help="How long the stream is.", min=1.0)] = 20.0
    hops: Annotated[
        list[int] | None, typer.Option(help="Tokens of a chunk; repeat it for each, the last one stays.")
    ] = None
    steps: Annotated[int, typer.Option(help="Steps of the flow's solver.", min=1)] = 10
    flow: Annotated[
        list[str] | None, typer.Option(help="How the flow is followed: left_chunks=N or first_tokens=N; repeat it.")
    ] = None
    clip: Annotated[
        float | None,
        typer.Option(
            help="Measure the first sound after a clip of so many seconds instead, at first and again.", min=1.0
        ),
    ] = None
    dtype: Annotated[str, typer.Option(help="With --clip: of the language model.")] = "bfloat16"
    peer: Annotated[bool, typer.Option(help="Measure the whole sequence anew as well.")] = True
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 …")] = "cpu"
    threads: Annotated[int | None, typer.Option(help="Processor threads; default: all.", min=1)] = None
    seed: Annotated[int, typer.Option(help="Of the random weights and tokens.")] = 0
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the report here as JSON.")] = None
    plot: Annotated[Path | None, typer.Option(help="Draw it here; needs matplotlib.")] = None


@command(BenchStreamOptions)
def run(options: BenchStreamOptions) -> None:
    """The CosyVoice decoder at its published size: our stream, and the whole sequence anew for every chunk.

    Both ways take turns, chunk by chunk, on the same random weights. Takes some minutes. With --clip 10 the language
    model takes part, and sentences in the voice of a clip are begun, one after the other.

    Example: parlando bench stream --plot stream.png
    """
    import torch

    from parlando.audio.draw import check_picture
    from parlando.core.config import from_mapping
    from parlando.evaluate.report import save_json
    from parlando.evaluate.speed.stream import StreamLoad, draw_stream, run_stream_bench, stream_markdown
    from parlando.models.cosyvoice.config import followed
    from parlando.models.cosyvoice.parts.flow import FlowConfig
    from parlando.models.options import FlowOptions

    if options.plot is not None:
        check_picture(options.plot)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.clip is not None:
        _clip(options)
        return
    hops = tuple(options.hops) if options.hops else StreamLoad.hops
    flow = followed(FlowConfig(), from_mapping(FlowOptions, numbers(options.flow or (), "--flow"), "--flow"))
    load = StreamLoad(options.seconds, hops, options.steps, flow, peer=options.peer)
    report = run_stream_bench(load, options.device, options.seed)
    typer.echo(stream_markdown(report))
    if options.out is not None:
        save_json(report, options.out)
    if options.plot is not None:
        draw_stream(report, options.plot)


def _clip(options: BenchStreamOptions) -> None:
    from parlando.evaluate.report import save_json
    from parlando.evaluate.speed.clip import ClipLoad, clip_markdown, run_clip_bench
    from parlando.evaluate.speed.contender import Load
    from parlando.nn.placement import Placement

    dtype = Placement.choose("cpu", options.dtype).dtype
    report = run_clip_bench(ClipLoad(options.clip or 0.0, load=Load(dtype=dtype)))
    typer.echo(clip_markdown(report))
    if options.out is not None:
        save_json(report, options.out)
