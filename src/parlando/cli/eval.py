"""`parlando eval`: measure a model: intelligibility, clones, codec."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parlando.cli import eval_suite
from parlando.cli.eval_understanding import understanding
from parlando.cli.options import ModelOptions, command
from parlando.core.errors import InputError

if TYPE_CHECKING:
    from parlando.audio.clip import Clip
    from parlando.evaluate.protocol import WerReport

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Measure speech, of our models and of anybody's.")
for _name, _function in eval_suite.COMMANDS.items():
    app.command(_name)(_function)
app.command("understanding")(understanding)

REPORT_HELP = "Write the report here as JSON, and a picture beside it."


@dataclass(frozen=True, kw_only=True)
class WerOptions(ModelOptions):
    """Options of `parlando eval wer`."""

    voice: Annotated[str | None, typer.Option("--voice", "-v", help="A voice of the model.")] = None
    reference: Annotated[
        Path | None, typer.Option(help="Recordings of the same sentences: manifest, table or folder.")
    ] = None
    teacher: Annotated[str | None, typer.Option(help="Compare with a Flite voice instead: slt, rms, awb, kal16.")] = (
        None
    )
    limit: Annotated[int, typer.Option(help="How many of the 100 held-out sentences.", min=1, max=100)] = 100
    seed: Annotated[int, typer.Option(help="Seed of the first sentence; the next has the next.")] = 0
    save_audio: Annotated[Path | None, typer.Option(help="Keep the audio here, and take up what is there.")] = None
    out: Annotated[Path | None, typer.Option("--out", "-o", help=REPORT_HELP)] = None


@app.command("wer")
@command(WerOptions)
def wer(options: WerOptions) -> None:
    """Word error rate of held-out sentences.

    That of a reference stands next to it.

    Example: parlando eval wer --teacher slt --out report.json
    """
    from parlando.evaluate.protocol import Plan, length_prior, run_wer
    from parlando.evaluate.references import held_out_sentences
    from parlando.evaluate.wer_report import plot_wer, wer_markdown

    sentences = held_out_sentences(options.limit)
    reference = _reference(options, sentences)
    with ExitStack() as stack:
        folder = options.save_audio or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="parlando-")))
        synthesizer = stack.enter_context(options.load())
        plan = Plan(tuple(sentences), folder, synthesizer.model.name, options.voice, options.seed)
        report: WerReport = run_wer(synthesizer, plan, reference, length_prior(synthesizer, options.voice))
    _publish(report, wer_markdown(report), options.out, plot_wer)


def _reference(options: WerOptions, sentences: list[str]) -> tuple[str, list[Clip]] | None:
    from parlando.evaluate.references import recorded, taught

    if options.reference is not None and options.teacher is not None:
        raise InputError("both --reference and --teacher were given; leave one of them out")
    if options.reference is not None:
        return str(options.reference), recorded(options.reference, sentences)
    if options.teacher is not None:
        return f"flite {options.teacher}", taught(options.teacher, sentences)
    return None


def _publish(report: Any, text: str, out: Path | None, plot: Callable[[Any, Path], None] | None = None) -> None:
    from parlando.evaluate.report import save_json

    typer.echo(text)
    if out is not None:
        save_json(report, out)
        if plot is not None:
            plot(report, out.with_suffix(".png"))


@dataclass(frozen=True, kw_only=True)
class SimilarityOptions(ModelOptions):
    """Options of `parlando eval similarity`."""

    reference: Annotated[Path, typer.Argument(help="Recordings of several speakers: manifest, table or folder.")]
    speakers: Annotated[int, typer.Option(help="How many speakers at most.", min=1)] = 10
    limit: Annotated[int, typer.Option(help="Sentences each clone says.", min=1, max=100)] = 3
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the report here as JSON.")] = None


@app.command("similarity")
@command(SimilarityOptions)
def similarity(options: SimilarityOptions) -> None:
    """Clone speakers and see which recording each is nearest to.

    Example: parlando eval similarity recordings/ --speakers 5
    """
    from parlando.evaluate.references import held_out_sentences, speakers
    from parlando.evaluate.similarity import run_similarity, similarity_markdown

    recordings = speakers(options.reference, options.speakers)
    with options.load() as synthesizer:
        report = run_similarity(synthesizer, synthesizer.model.name, recordings, held_out_sentences(options.limit))
    _publish(report, similarity_markdown(report), options.out)
