"""`parlando inspect`: what is in an audio file, as text, as JSON, as a picture."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parlando.cli.options import command
from parlando.cli.output import share_done

if TYPE_CHECKING:
    from parlando.audio.report import AudioReport


@dataclass(frozen=True, kw_only=True)
class InspectOptions:
    """Options of `parlando inspect`."""

    file: Annotated[Path, typer.Argument(help="An audio file.")]
    png: Annotated[
        Path | None, typer.Option(help="Draw waveform and spectrogram into this picture: .png, .svg or .pdf.")
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; clicks and speech are in samples.")] = False


@command(InspectOptions)
def run(options: InspectOptions) -> None:
    """Measure an audio file, and draw it.

    Duration, loudness, clipping, silence, clicks, pitch, bandwidth.

    Example: parlando inspect out.wav --png out.png
    """
    from parlando.audio.inspect import check_picture, draw_report, inspect_audio

    if options.png is not None:
        check_picture(options.png)
    with share_done() as on_progress:
        report = inspect_audio(options.file, on_progress)
    if options.png is not None:
        draw_report(report, options.png)
    if options.as_json:
        typer.echo(json.dumps(as_data(report)))
        return
    rows = report.rows()
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        typer.echo(f"{name:<{width}}  {value}")


def as_data(report: AudioReport) -> dict[str, Any]:
    """Everything but the samples; a level of minus infinity (silence) is null."""
    names = [spec.name for spec in dataclasses.fields(report) if spec.name not in ("clip", "speech")]
    values = {name: getattr(report, name) for name in names}
    return {
        **{key: None if isinstance(value, float) and math.isinf(value) else value for key, value in values.items()},
        "duration_seconds": report.clip.duration_seconds,
        "sample_rate": report.clip.sample_rate,
        "speech": [[span.start, span.end] for span in report.speech],
        "speech_share": report.speech_share,
    }
