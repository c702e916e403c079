"""`parlando bench serve`: a load on a server, ours or anybody's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from parlando.cli.options import command


@dataclass(frozen=True, kw_only=True)
class BenchServeOptions:
    """Options of `parlando bench serve`."""

    url: Annotated[str, typer.Argument(help="Where it listens; /v1/audio/speech is added.")] = "http://127.0.0.1:50000"
    rate: Annotated[
        list[float] | None, typer.Option(help="Requests per second, Poisson arrivals; may be repeated.")
    ] = None
    concurrency: Annotated[list[int] | None, typer.Option(help="Requests in flight at all times; may be repeated.")] = (
        None
    )
    seconds: Annotated[float, typer.Option(help="How long each load lasts.", min=0.1)] = 30.0
    model: Annotated[str, typer.Option(help="The model to ask for.")] = "tts-1"
    voice: Annotated[str, typer.Option(help="The voice to ask for.")] = "alloy"
    key: Annotated[str | None, typer.Option(help="The API key.")] = None
    format: Annotated[str, typer.Option(help="pcm or wav.")] = "pcm"
    sample_rate: Annotated[int, typer.Option(help="Hertz, where the server does not say.", min=8000)] = 24000
    timeout: Annotated[float, typer.Option(help="Seconds after which a request has failed.", min=1.0)] = 120.0
    seed: Annotated[int, typer.Option(help="Of the texts and of their arrivals.")] = 0
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the report here as JSON.")] = None
    plot: Annotated[Path | None, typer.Option(help="Draw it here; needs matplotlib.")] = None


@command(BenchServeOptions)
def run(options: BenchServeOptions) -> None:
    """Ask an OpenAI-like server for speech, and listen: time to first sound, underruns, throughput, failures.

    Every text is said once. A simulated player begins with the first 20 ms; where it stands still is an underrun.

    Example: parlando bench serve http://127.0.0.1:50000 --concurrency 1 --rate 0.5 --seconds 20
    """
    from parlando.audio.draw import check_picture
    from parlando.evaluate.load.load_report import draw_load, load_markdown, summarise
    from parlando.evaluate.load.serve_load import Ask, Level, run_load
    from parlando.evaluate.report import save_json

    form: Literal["pcm", "wav"] = "wav" if options.format == "wav" else "pcm"
    if options.format != form:
        raise typer.BadParameter("use pcm or wav", param_hint="--format")
    if options.plot is not None:
        check_picture(options.plot)
    wanted = Ask(
        options.url,
        options.model,
        options.voice,
        options.key,
        form,
        options.sample_rate,
        timeout_seconds=options.timeout,
    )
    levels = [Level("concurrency", value, options.seconds, options.seed) for value in options.concurrency or ()]
    levels += [Level("rate", value, options.seconds, options.seed) for value in options.rate or ()]
    levels = levels or [Level("concurrency", 1, options.seconds, options.seed)]
    reports = [summarise(result) for result in run_load(wanted, levels, seed=options.seed)]
    typer.echo(load_markdown(reports))
    for report in reports:
        for error, count in report.errors.items():
            typer.echo(f"{report.load}: {count} x {error}", err=True)
    if options.out is not None:
        save_json(reports, options.out)
    if options.plot is not None:
        draw_load(reports, options.plot)
