"""`parlando eval understanding`: models that understand, and recognisers beside them, on the same scenes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parlando.cli.judging import NONE
from parlando.cli.options import command
from parlando.core.errors import ConfigError

if TYPE_CHECKING:
    from parlando.evaluate.judges.understanding import Understanding

LONGEST_SECONDS = 11.2


@dataclass(frozen=True, kw_only=True)
class UnderstandingOptions:
    """Options of `parlando eval understanding`."""

    model: Annotated[list[Path], typer.Option(help="Folder of an understanding model; may be repeated.")]
    corpus: Annotated[Path, typer.Option(help="Packed corpus that the scenes are made of.")]
    asr: Annotated[list[str] | None, typer.Option(help="Who writes down as well: whisper (default) …, or none.")] = None
    speaker: Annotated[
        list[str] | None, typer.Option(help="A speaker to hear; default: those the first model never heard.")
    ] = None
    scenes: Annotated[int, typer.Option(help="How many scenes.", min=1)] = 64
    clean: Annotated[bool, typer.Option(help="Sentences as they are: no rooms, no noise, one speaker.")] = False
    seed: Annotated[int, typer.Option(help="Seed of the scenes.", min=0)] = 0
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for scenes and report; a run goes on.")] = Path(
        "eval/understanding"
    )
    threads: Annotated[int, typer.Option(help="Processor threads of models.", min=1)] = 1


@command(UnderstandingOptions)
def understanding(options: UnderstandingOptions) -> None:
    """Words, speakers, events, places, as understood.

    The scenes are of speakers that the model never heard: rooms, telephone, noise, music, events, two speakers.

    Example: parlando eval understanding --model runs/understanding --corpus corpus/packed -o eval/understanding
    """
    import torch

    from parlando.data.scenes.scene import CLEAN, Director, SceneConfig
    from parlando.data.scenes.sources import Speech
    from parlando.data.shards import PackedCorpus
    from parlando.evaluate.judges import registry
    from parlando.evaluate.judges.understanding import Understanding
    from parlando.evaluate.protocols.understanding import run_understanding
    from parlando.evaluate.speed.machine import describe_machine
    from parlando.evaluate.suite.report import eval_markdown, publish
    from parlando.evaluate.suite.run import Run

    torch.set_num_threads(options.threads)
    models = [Understanding(str(folder)) for folder in options.model]
    names = [name for name in options.asr or ["whisper"] if name != NONE]
    listeners: list[Any] = [*models, *map(registry.asr, names)]
    speech = Speech(PackedCorpus(options.corpus), _unheard(options, models), LONGEST_SECONDS)
    rate = models[0].config.ear.sample_rate
    director = Director(speech, CLEAN if options.clean else SceneConfig(), rate, options.seed)
    plans = [director.plan(speech.held_out, 2, number) for number in range(options.scenes)]
    report = run_understanding(Run(options.out, options.seed), director, plans, listeners, describe_machine())
    typer.echo(eval_markdown(report))
    for path in publish(report, options.out):
        typer.echo(f"wrote {path}", err=True)


def _unheard(options: UnderstandingOptions, models: list[Understanding]) -> tuple[str, ...]:
    """The speakers asked for, else those of the corpus that no model has heard.

    Raises:
        ConfigError: a model has learned from one that is asked for.
    """
    from parlando.data.shards import PackedCorpus

    unheard = set.intersection(*(set(model.config.held_out_speakers) for model in models))
    if heard := sorted(set(options.speaker or ()) - unheard):
        raise ConfigError(f"--speaker: a model has learned from {', '.join(heard)}, or may have; leave them out")
    there = {entry.speaker for entry in PackedCorpus(options.corpus).entries}
    chosen = tuple(sorted(options.speaker or unheard & there))
    if not chosen:
        typer.echo(f"nobody in '{options.corpus}' is new to the models; speakers that they know are heard", err=True)
    return chosen
