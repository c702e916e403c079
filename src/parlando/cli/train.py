"""`parlando train`: every part by recipe; resumes to the step, Ctrl-C saves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parlando.cli.options import command

if TYPE_CHECKING:
    from parlando.train.loop.parallel import Process
    from parlando.train.loop.task import Task
    from parlando.train.loop.trainer import Budget

app = typer.Typer(help="Train every part of a model from scratch.", no_args_is_help=True)


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of every training."""

    recipe: Annotated[Path, typer.Argument(help="Recipe file (.toml); see recipes/.")]
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; an unfinished run in it is resumed.")]
    minutes: Annotated[float | None, typer.Option(help="Budget in minutes, instead of the recipe's.")] = None
    steps: Annotated[int | None, typer.Option(help="Budget in steps, instead of the recipe's.")] = None
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu"
    threads: Annotated[int | None, typer.Option(help="CPU threads of this process.")] = None

    def budget(self, given: Budget) -> Budget:
        """The recipe's budget, or the one on the command line."""
        if self.minutes is None and self.steps is None:
            return given
        return replace(given, minutes=self.minutes, steps=self.steps)


@dataclass(frozen=True, kw_only=True)
class CodecOptions(TrainOptions):
    """Options of `parlando train codec`."""

    corpus: Annotated[Path, typer.Option(help="Packed corpus.")]
    start_from: Annotated[Path | None, typer.Option("--from", help="Folder of a trained codec to start from.")] = None


@dataclass(frozen=True, kw_only=True)
class VocoderOptions(TrainOptions):
    """Options of `parlando train vocoder`."""

    corpus: Annotated[Path, typer.Option(help="Packed corpus, its pitch measured (parlando data pitch).")]
    start_from: Annotated[Path | None, typer.Option("--from", help="Folder of a trained vocoder to start from.")] = None
    mels: Annotated[Path | None, typer.Option(help="The corpus's mels as a flow makes them (data mels).")] = None


@dataclass(frozen=True, kw_only=True)
class RevoicerOptions(TrainOptions):
    """Options of `parlando train revoicer`."""

    corpus: Annotated[Path, typer.Option(help="Packed corpus.")]
    codes: Annotated[Path, typer.Option(help="The same corpus, encoded.")]


@dataclass(frozen=True, kw_only=True)
class FlowOptions(RevoicerOptions):
    """Options of `parlando train flow`."""

    start_from: Annotated[Path | None, typer.Option("--from", help="Folder of a trained flow to start from.")] = None
    retold: Annotated[Path | None, typer.Option(help="The codes as a language model says them (data retell).")] = None


@dataclass(frozen=True, kw_only=True)
class LMOptions(TrainOptions):
    """Options of `parlando train lm`."""

    codes: Annotated[Path, typer.Option(help="Encoded corpus.")]
    codec: Annotated[Path | None, typer.Option(help="Folder of the codec that encoded it (Higgs).")] = None
    corpus: Annotated[Path | None, typer.Option(help="Packed corpus with its pitch (CosyVoice).")] = None


@dataclass(frozen=True, kw_only=True)
class CorpusOptions(TrainOptions):
    """Options of a training on a packed corpus alone."""

    corpus: Annotated[Path, typer.Option(help="Packed corpus.")]


@app.command("codec")
@command(CodecOptions)
def train_codec(options: CodecOptions) -> None:
    """Train the light codec, or tune its decoder.

    An adversarial recipe with --from tunes the decoder against discriminators.

    Example: parlando train codec recipes/higgs-mini/codec.toml --corpus corpus/packed -o runs/codec
    """
    process = _prepare(options)
    from parlando.train.higgs.recipes import CodecRecipe, make_codec_task, read_recipe

    recipe: CodecRecipe = read_recipe(CodecRecipe, options.recipe)
    if options.start_from is not None:
        recipe = replace(recipe, train=replace(recipe.train, start_from=str(options.start_from)))
    _run(make_codec_task(recipe, options.corpus), recipe, options, process)


@app.command("vocoder")
@command(VocoderOptions)
def train_vocoder(options: VocoderOptions) -> None:
    """Train CosyVoice's vocoder: mel frames to samples.

    Example: parlando train vocoder recipes/cosyvoice-mini/vocoder.toml --corpus corpus/packed -o runs/vocoder
    """
    process = _prepare(options)
    from parlando.train.cosyvoice.recipes import VocoderRecipe, make_vocoder_task
    from parlando.train.higgs.recipes import read_recipe

    recipe: VocoderRecipe = read_recipe(VocoderRecipe, options.recipe)
    if options.start_from is not None:
        recipe = replace(recipe, train=replace(recipe.train, start_from=str(options.start_from)))
    _run(make_vocoder_task(recipe, options.corpus, options.mels), recipe, options, process)


@app.command("flow")
@command(FlowOptions)
def train_flow(options: FlowOptions) -> None:
    """Train CosyVoice's flow: codes and a speaker to mels.

    Example: parlando train flow recipes/cosyvoice-mini/flow.toml --corpus corpus/packed --codes corpus/codes
    -o runs/flow
    """
    process = _prepare(options)
    from parlando.train.cosyvoice.recipes import FlowRecipe, make_flow_task
    from parlando.train.higgs.recipes import read_recipe

    recipe: FlowRecipe = read_recipe(FlowRecipe, options.recipe)
    if options.start_from is not None:
        recipe = replace(recipe, train=replace(recipe.train, start_from=str(options.start_from)))
    task = make_flow_task(recipe, options.corpus, options.codes, options.retold)
    _run(task, recipe, options, process)


@app.command("revoicer")
@command(RevoicerOptions)
def train_revoicer(options: RevoicerOptions) -> None:
    """Train what gives sentences another speaker's voice.

    It says other speakers' sentences in the voice of one with few recordings (parlando data revoice).

    Example: parlando train revoicer recipes/higgs-mini/revoicer.toml --corpus corpus/packed --codes corpus/codes
    -o runs/revoicer
    """
    process = _prepare(options)
    from parlando.train.higgs.recipes import RevoicerRecipe, make_revoicer_task, read_recipe

    recipe: RevoicerRecipe = read_recipe(RevoicerRecipe, options.recipe)
    _run(make_revoicer_task(recipe, options.corpus, options.codes), recipe, options, process)


@app.command("lm")
@command(LMOptions)
def train_lm(options: LMOptions) -> None:
    """Train the language model of either family.

    On an encoded corpus; under torchrun, on all its processes.

    Example: parlando train lm recipes/higgs-mini/lm.toml --codes corpus/codes --codec runs/codec -o runs/lm
    """
    process = _prepare(options)
    from parlando.train.lm_recipes import LMSources, make_task, read_lm_recipe

    recipe, sources = read_lm_recipe(options.recipe), LMSources(options.codes, options.codec, options.corpus)
    _run(make_task(recipe, sources), recipe, options, process)


@app.command("speech-tokenizer")
@command(CorpusOptions)
def train_speech_tokenizer(options: CorpusOptions) -> None:
    """Train CosyVoice's speech tokenizer.

    It is a phone recogniser, cut off by a quantiser.

    Example: parlando train speech-tokenizer recipes/cosyvoice-mini/speech_tokenizer.toml --corpus corpus/packed
    -o runs/tokenizer
    """
    process = _prepare(options)
    from parlando.train.cosyvoice.recipes import SpeechTokenizerRecipe, make_speech_tokenizer_task
    from parlando.train.higgs.recipes import read_recipe

    recipe: SpeechTokenizerRecipe = read_recipe(SpeechTokenizerRecipe, options.recipe)
    _run(make_speech_tokenizer_task(recipe, options.corpus), recipe, options, process)


@app.command("speaker")
@command(CorpusOptions)
def train_speaker(options: CorpusOptions) -> None:
    """Train CosyVoice's speaker encoder.

    It learns to tell voices apart, each at several speeds.

    Example: parlando train speaker recipes/cosyvoice-mini/speaker.toml --corpus corpus/packed -o runs/speaker
    """
    process = _prepare(options)
    from parlando.train.cosyvoice.recipes import SpeakerRecipe, make_speaker_task
    from parlando.train.higgs.recipes import read_recipe

    recipe: SpeakerRecipe = read_recipe(SpeakerRecipe, options.recipe)
    _run(make_speaker_task(recipe, options.corpus), recipe, options, process)


@dataclass(frozen=True, kw_only=True)
class AssembleOptions:
    """Options of `parlando train assemble`; which of the runs are needed is a matter of the recipe's family."""

    recipe: Annotated[Path, typer.Argument(help="Model recipe (.toml): name, voices, sampling.")]
    lm: Annotated[Path, typer.Option(help="Folder of the trained language model.")]
    codes: Annotated[Path, typer.Option(help="Encoded corpus, for the length prior.")]
    out: Annotated[Path, typer.Option("--out", "-o", help="Model folder to write.")]
    codec: Annotated[Path | None, typer.Option(help="Folder of the trained codec (higgs).")] = None
    corpus: Annotated[Path | None, typer.Option(help="Packed corpus, for the voices' clips (cosyvoice).")] = None
    speech_tokenizer: Annotated[Path | None, typer.Option(help="Folder of that training (cosyvoice).")] = None
    speaker: Annotated[Path | None, typer.Option(help="Folder of that training (cosyvoice).")] = None
    flow: Annotated[Path | None, typer.Option(help="Folder of that training (cosyvoice).")] = None
    vocoder: Annotated[Path | None, typer.Option(help="Folder of that training (cosyvoice).")] = None


@app.command("assemble")
@command(AssembleOptions)
def assemble_model(options: AssembleOptions) -> None:
    """Put trained parts and voices into one model folder.

    Example: parlando train assemble recipes/higgs-mini/model.toml --codec runs/decoder --lm runs/lm
    --codes corpus/codes -o my-model
    """
    from parlando.train.model_recipes import Runs, assemble_any

    runs = {key: value for key, value in vars(options).items() if key not in ("recipe", "out")}
    folder = assemble_any(options.recipe, Runs(**runs), options.out)
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    typer.echo(f"{folder}: {size:.1f} MB; try: parlando say 'Hello.' --model {folder} -o hello.wav", err=True)


@app.command("keys")
def keys() -> None:
    """Print every key that a recipe may have.

    Example: parlando train keys > docs/recipes.md
    """
    from parlando.train.recipe_keys import recipe_keys

    typer.echo(recipe_keys(), nl=False)


@app.command("plot")
def plot(log: Annotated[Path, typer.Argument(help="log.jsonl of a run.")]) -> None:
    """Draw a run's curves beside its log.

    Example: parlando train plot runs/lm/log.jsonl
    """
    from parlando.core.errors import FileMissingError, MissingDependencyError
    from parlando.core.install import with_extra
    from parlando.train.loop.plots import draw_log

    if not log.is_file():
        raise FileMissingError(log, "log")
    picture = draw_log(log)
    if picture is None:
        raise MissingDependencyError("matplotlib", with_extra("plots"))
    typer.echo(f"curves in {picture}", err=True)


def _prepare(options: TrainOptions) -> Process:
    import torch

    from parlando.train.loop.parallel import start

    torch.set_flush_denormal(True)
    if options.threads:
        torch.set_num_threads(options.threads)
    return start(options.device)


def _run(task: Task[Any], recipe: Any, options: TrainOptions, process: Process) -> None:
    from parlando.train.loop.trainer import Trainer

    trainer = Trainer(task, options.out, options.budget(recipe.budget), process)
    finished = trainer.run()
    if process.leads:
        typer.echo(f"{'finished' if finished else 'stopped, saved'} at step {trainer.step} in {options.out}", err=True)
    if not finished:
        raise typer.Exit(130)
