"""`parlando finetune`: recordings of somebody and a model become a model that speaks in that voice."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parlando.cli.options import command
from parlando.core.errors import FileMissingError, MissingDependencyError

if TYPE_CHECKING:
    from parlando.audio.clip import Clip
    from parlando.train.finetune import FineTuning

_SHOWN_FAULTS = 8
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class FineTuneOptions:
    """Options of `parlando finetune`."""

    recordings: Annotated[
        Path, typer.Argument(help="Folder of audio files with their words in .txt beside them, or a list of both.")
    ]
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the new model; an unfinished one is resumed.")]
    model: Annotated[str | None, typer.Option(help="What it begins with: packaged name, folder or hub id.")] = None
    lora: Annotated[bool, typer.Option("--lora", help="Of the language model, only an adapter learns.")] = False
    rank: Annotated[int, typer.Option(help="The adapter's rank.", min=1)] = 8
    minutes: Annotated[float, typer.Option(help="Minutes of training, besides preparing and measuring.")] = 14.0
    description: Annotated[str, typer.Option(help="Whose voice it is, in words.")] = "my own voice"
    language: Annotated[str, typer.Option(help="Language of the recordings.")] = "en"
    asr: Annotated[
        str | None, typer.Option(help="A recogniser (see: parlando judges) to write missing texts and check others.")
    ] = None
    keep: Annotated[bool, typer.Option("--keep", help="Keep what was made on the way (OUT/training).")] = False
    threads: Annotated[int | None, typer.Option(help="Processor threads; default: all.", min=1)] = None


@command(FineTuneOptions)
def run(options: FineTuneOptions) -> None:
    """Make a model speak in the voice of some recordings.

    Ten minutes of speech take about twenty of two processor cores. Ctrl-C saves; the same command goes on.

    Example: parlando finetune recordings/ -o my-voice
    """
    if not options.out.resolve().parent.is_dir():
        raise FileMissingError(options.out.resolve().parent, "folder")
    began = time.monotonic()
    tuning = begin(options)
    checked = tuning.prepare()
    if checked is not None:
        typer.echo(str(checked), err=True)
        for fault in checked.faults[:_SHOWN_FAULTS]:
            typer.echo(f"  skipped {fault}", err=True)
        if len(checked.faults) > _SHOWN_FAULTS:
            typer.echo(f"  … all in {tuning.request.work / 'skipped.txt'}", err=True)
    if not tuning.train():
        typer.echo("stopped, saved; the same command goes on from here", err=True)
        raise typer.Exit(130)
    folder = tuning.assemble()
    typer.echo(f"{folder}: done in {(time.monotonic() - began) / 60:.1f} minutes", err=True)
    for line in measured(tuning, options.asr):
        typer.echo(line, err=True)
    if not options.keep:
        shutil.rmtree(tuning.request.work)
    typer.echo(f"try: parlando say 'Hello.' --model {folder} -o hello.wav", err=True)


def begin(options: FineTuneOptions) -> FineTuning:
    """The fine-tuning that was asked for."""
    import torch

    from parlando.data.recordings import RecordingCheck, find_recordings
    from parlando.models.locate import locate
    from parlando.train.finetune import FineTuneRequest, FineTuning

    torch.set_flush_denormal(True)
    if options.threads:
        torch.set_num_threads(options.threads)
    check = RecordingCheck(options.out.resolve().name, options.language, listener(options.asr, options.language))
    request = FineTuneRequest(
        find_recordings(options.recordings),
        check,
        locate(options.model),
        options.out,
        options.description,
        options.minutes,
        options.rank if options.lora else None,
    )
    return FineTuning(request, lambda line: typer.echo(line, err=True))


def listener(asr: str | None, language: str) -> Callable[[Clip], str] | None:
    """What hears words, if one was named."""
    if asr is None:
        return None
    from parlando.evaluate.judges.registry import asr as recogniser

    judge = recogniser(asr)
    return lambda clip: judge.hear(clip, language)


def measured(tuning: FineTuning, asr: str | None) -> list[str]:
    """What judges say of held-out sentences as the new model speaks them; where none is installed, how to get one."""
    from parlando.evaluate.judges.registry import asr as recogniser
    from parlando.evaluate.judges.registry import speaker_encoder
    from parlando.evaluate.tuned import similarity_line, speak, wer_line
    from parlando.speech import load

    pairs = speak(load(tuning.request.out), tuning.held_out(), tuning.request.work, _SEED)
    return [
        f"{len(pairs)} held-out sentences, spoken by the new model:",
        _told(lambda: similarity_line(pairs, speaker_encoder("resemblyzer"))),
        _told(lambda: wer_line(pairs, recogniser(asr or "whisper"))),
    ]


def _told(judge: Callable[[], str]) -> str:
    try:
        return judge()
    except MissingDependencyError as error:
        return f"  not measured: {error}"
