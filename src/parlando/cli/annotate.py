"""`parlando annotate`: raw recordings into a corpus; here the models are found that the steps are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from parlando.cli.options import command
from parlando.core.errors import ConfigError, MissingDependencyError

if TYPE_CHECKING:
    from parlando.annotate.config import AnnotateConfig, ModelSettings
    from parlando.annotate.plan import Models
    from parlando.annotate.step import Lazy
    from parlando.annotate.steps.transcribe import Listener

T = TypeVar("T")
INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class AnnotateOptions:
    """Options of `parlando annotate`."""

    raw: Annotated[Path, typer.Argument(help="Folder of recordings, of any length and kind.")]
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the corpus; an unfinished one is resumed.")]
    config: Annotated[
        Path | None, typer.Option(help="Settings, models and filters (.toml); see docs/annotation.md.")
    ] = None
    asr: Annotated[
        list[str] | None, typer.Option(help="A recogniser (see: parlando judges); several vote. Replaces the defaults.")
    ] = None
    language: Annotated[list[str] | None, typer.Option(help="A language to keep; default: en. May be repeated.")] = None
    understand: Annotated[
        Path | None, typer.Option(help="Folder of an understanding model, which composes the captions.")
    ] = None
    format: Annotated[str | None, typer.Option(help="Format of the clips: flac (default) or opus.")] = None
    workers: Annotated[
        int | None, typer.Option(help="Processes; 0: none but this one; default: one for each core.", min=0)
    ] = None
    on: Annotated[str, typer.Option(help="Where it runs: local, or ray (see [ray] of the settings).")] = "local"
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary and no progress bar.")] = False


@command(AnnotateOptions)
def run(options: AnnotateOptions) -> None:
    """Turn raw recordings into a corpus to train on.

    Who speaks when, what is said, how it sounds; what is not fit is left out, with its reason.
    Ctrl-C, or a crash, loses nothing: the same command goes on.

    Example: parlando annotate recordings/ -o corpus
    """
    from parlando.annotate.plan import steps_of
    from parlando.annotate.run import Where, annotate, check_folders
    from parlando.annotate.workspace import Workspace

    config, work = settled(options), Workspace(options.raw, options.out)
    check_folders(work)
    say: Callable[[str], None] = (lambda line: None) if options.quiet else partial(typer.echo, err=True)
    steps = steps_of(config, find_models(config, say))
    where = Where(_place(options.on), options.workers, config.patience_seconds, config.ray)
    try:
        outcome = annotate(work, steps, where, not options.quiet)
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from here", err=True)
        raise typer.Exit(INTERRUPTED) from None
    for line in (
        str(outcome.losses),
        f"{outcome.tally.done} steps taken, {outcome.tally.reused} found finished",
        f"hear and see it: {options.out / 'index.html'}",
    ):
        say(line)


def _place(name: str) -> Literal["local", "ray"]:
    if name == "local":
        return "local"
    if name == "ray":
        return "ray"
    raise ConfigError(f"--on: '{name}' is not a place to run; use local or ray")


def settled(options: AnnotateOptions) -> AnnotateConfig:
    """The settings of the file, and over them those of the command line."""
    from parlando.annotate.config import AnnotateConfig, ModelSettings, RecogniserSettings, read_config
    from parlando.core.config import from_mapping, to_mapping

    config = read_config(options.config) if options.config else AnnotateConfig()
    given = {
        "languages": options.language or None,
        "format": options.format,
        "understanding": options.understand and str(options.understand),
    }
    changed = {name: value for name, value in given.items() if value is not None}
    config = from_mapping(AnnotateConfig, {**to_mapping(config), **changed}, "options")
    if options.asr:
        recognisers = tuple(RecogniserSettings(name) for name in options.asr)
        config = replace(config, models=replace(config.models or ModelSettings(), recognisers=recognisers))
    return config


def find_models(config: AnnotateConfig, say: Callable[[str], None]) -> Models:
    """The models of the settings; of those that nobody named, the ones that are installed.

    Raises:
        MissingDependencyError: one that was named is not installed, or there is nobody to tell voices apart.
    """
    from parlando.annotate.config import ModelSettings
    from parlando.evaluate.judges.understanding import Understanding

    found = _Finder(config.models or ModelSettings(), config.models is not None, say).find()
    return replace(found, understanding=lazy(Understanding, config.understanding)) if config.understanding else found


class _Finder:
    def __init__(self, settings: ModelSettings, named: bool, say: Callable[[str], None]) -> None:
        self._settings, self._named, self._say = settings, named, say

    def find(self) -> Models:
        from parlando.annotate.plan import Models
        from parlando.evaluate.judges import registry, steady

        names, wanted = self._settings, self._wanted
        return Models(
            self._listeners(),
            lazy(registry.speaker_encoder, names.speakers),
            wanted(registry.events, names.events),
            wanted(steady.language_listener, names.language),
            wanted(registry.mos, names.mos),
            wanted(registry.emotion_encoder, names.emotion),
            self._aligner(),
        )

    def _listeners(self) -> tuple[Listener, ...]:
        from parlando.annotate.steps.transcribe import Listener
        from parlando.evaluate.judges.steady import steady_asr

        found = [(each, self._wanted(steady_asr, each.name)) for each in self._settings.recognisers]
        return tuple(Listener(each.name, model, each.weight, each.languages) for each, model in found if model)

    def _aligner(self) -> Lazy[Any] | None:
        from importlib.metadata import version

        from parlando.annotate.step import Lazy
        from parlando.annotate.steps.times import PocketSphinxAligner
        from parlando.data.align import align_words

        if not self._settings.aligner:
            return None
        try:
            import numpy as np

            align_words(np.zeros(1600, np.int16), "a")
        except MissingDependencyError as error:
            if self._named:
                raise
            self._say(f"word times by the recognisers: {error}")
            return None
        return Lazy(PocketSphinxAligner, f"pocketsphinx {version('pocketsphinx')}")

    def _wanted(self, open_judge: Callable[[str], T], name: str) -> Lazy[T] | None:
        if not name:
            return None
        try:
            return lazy(open_judge, name)
        except MissingDependencyError as error:
            if self._named:
                raise
            self._say(f"without {name}: {error}")
            return None


def lazy(open_judge: Callable[[str], T], name: str) -> Lazy[T]:
    """A judge that each process opens for itself; that it can be opened is tried here."""
    from parlando.annotate.step import Lazy

    return Lazy(partial(open_judge, name), str(getattr(open_judge(name), "card", name)))
