"""`parlando train`: every part by recipe; resumes to the step, Ctrl-C saves. The parts are those of the registry."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parlando.cli.options import command
from parlando.core.config import from_mapping
from parlando.train.registry import ASSEMBLIES, SOURCES, TRAININGS, Maker

if TYPE_CHECKING:
    from parlando.train.loop.parallel import Process
    from parlando.train.loop.recipe import Sources
    from parlando.train.loop.sharding import ParallelConfig
    from parlando.train.loop.trainer import Budget

app = typer.Typer(help="Train every part of a model from scratch.", no_args_is_help=True)
_FLAGS = {"start_from": ("--from",), "resampled": ("--resampled", "--retold")}
_SEED = 0  # Of the initial weights, so that a training can be repeated.


class SourcesGiven:
    """What the options of a command that reads folders have in common."""

    def sources(self) -> Sources:
        """The folders that were named."""
        from parlando.train.loop.recipe import Sources

        given = ((name, getattr(self, name, None)) for name in SOURCES)
        return Sources((name, folder) for name, folder in given if folder is not None)


@dataclass(frozen=True, kw_only=True)
class TrainOptions(SourcesGiven):
    """Options of every training."""

    recipe: Annotated[Path, typer.Argument(help="Recipe file (.toml); see recipes/.")]
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; an unfinished run in it is resumed.")]
    minutes: Annotated[float | None, typer.Option(help="Budget in minutes, instead of the recipe's.")] = None
    steps: Annotated[int | None, typer.Option(help="Budget in steps, instead of the recipe's.")] = None
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu"
    threads: Annotated[int | None, typer.Option(help="CPU threads of this process.")] = None
    strategy: Annotated[str | None, typer.Option(help="ddp, fsdp or hsdp, instead of the recipe's.")] = None
    shard_size: Annotated[int | None, typer.Option(help="Processes that share one copy of the weights (hsdp).")] = None
    compile: Annotated[bool | None, typer.Option(help="Compile a language model's layers.")] = None
    checkpoint_activations: Annotated[
        bool | None, typer.Option(help="Recompute activations in the backward pass: less memory, a third more work.")
    ] = None

    def budget(self, given: Budget) -> Budget:
        """The recipe's budget, or the one on the command line."""
        if self.minutes is None and self.steps is None:
            return given
        return replace(given, minutes=self.minutes, steps=self.steps)

    def parallel(self, given: ParallelConfig) -> ParallelConfig:
        """How the recipe lies over processes, but for what the command line says."""
        names = ("strategy", "shard_size", "compile", "checkpoint_activations")
        changes = {name: value for name in names if (value := getattr(self, name)) is not None}
        return from_mapping(type(given), {**dataclasses.asdict(given), **changes}, "the command line")


@dataclass(frozen=True, kw_only=True)
class AssembleOptions(SourcesGiven):
    """Options of `parlando train assemble`."""

    recipe: Annotated[Path, typer.Argument(help="Model recipe (.toml): name, voices, sampling.")]
    out: Annotated[Path, typer.Option("--out", "-o", help="Model folder to write.")]


def _with_sources(base: type[SourcesGiven], makers: Mapping[str, Maker]) -> type[Any]:
    """Options and the folders that some recipe may name, those that every recipe needs required."""
    needed = set.intersection(*(set(maker.needs) for maker in makers.values()))
    known = {name for maker in makers.values() for name in (*maker.needs, *maker.takes)}
    required, optional = ([name for name in SOURCES if name in some] for some in (needed, known - needed))
    options = {name: typer.Option(*_FLAGS.get(name, ()), help=text) for name, text in SOURCES.items()}
    described: list[Any] = [(name, Annotated[Path, options[name]]) for name in required]
    described += [(name, Annotated[Path | None, options[name]], dataclasses.field(default=None)) for name in optional]
    return dataclasses.make_dataclass(base.__name__, described, bases=(base,), frozen=True, kw_only=True)


def _trainer_of(name: str) -> Callable[[TrainOptions], None]:
    def train(options: TrainOptions) -> None:
        process = _prepare(options)
        from parlando.train.loop.trainer import Trainer
        from parlando.train.registry import make_task

        task, budget, parallel = make_task(name, options.recipe, options.sources())
        trainer = Trainer(task, options.out, options.budget(budget), process, options.parallel(parallel))
        finished = trainer.run()
        if process.leads:
            said = "finished" if finished else "stopped, saved"
            typer.echo(f"{said} at step {trainer.step} in {options.out}", err=True)
        if not finished:
            raise typer.Exit(130)

    train.__doc__ = TRAININGS[name].help
    return train


def _prepare(options: TrainOptions) -> Process:
    import torch

    from parlando.train.loop.parallel import start

    torch.set_flush_denormal(True)
    torch.manual_seed(_SEED)
    if options.threads:
        torch.set_num_threads(options.threads)
    return start(options.device)


for _name, _training in TRAININGS.items():
    _entry = command(_with_sources(TrainOptions, _training.makers))(_trainer_of(_name))
    app.command(_name)(_entry)
    if _training.former:
        app.command(_training.former, hidden=True)(_entry)


@app.command("assemble")
@command(_with_sources(AssembleOptions, ASSEMBLIES))
def assemble_model(options: AssembleOptions) -> None:
    """Put trained parts and voices into one model folder.

    Which of the parts are needed is a matter of the recipe's family.

    Example: parlando train assemble recipes/higgs-mini/model.toml --codec runs/decoder --lm runs/lm
    --codes corpus/codes -o my-model
    """
    from parlando.train.registry import assemble

    folder = assemble(options.recipe, options.sources(), options.out)
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    typer.echo(f"{folder}: {size:.1f} MB; try: parlando say 'Hello.' --model {folder} -o hello.wav", err=True)


@app.command("grow")
def grow_start(
    text_model: Annotated[Path, typer.Argument(help="Folder of a text model of Llama's shape.")],
    codec: Annotated[Path, typer.Option(help="Folder of the codec that encoded the corpus.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write, for train lm --from.")],
) -> None:
    """Grow a Higgs language model out of a text model.

    Audio gets norms and MLPs of its own, copied from the text's, and the vocabulary the tokens of prompts.

    Example: parlando train grow SmolLM2-135M --codec runs/codec -o start
    """
    import torch

    from parlando.train.higgs.grow import grow

    torch.manual_seed(_SEED)
    config = grow(text_model, codec, out)
    typer.echo(
        f"{out}: {config.num_layers} layers, {config.vocab_size} tokens; next: parlando train lm … --from {out}",
        err=True,
    )


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
