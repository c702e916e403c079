"""Command options as frozen dataclasses: one field is one option, shared ones are inherited."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from parlando.audio.formats import FILE_FORMATS
from parlando.core.errors import ConfigError

if TYPE_CHECKING:
    from parlando.speech import Synthesizer

T = TypeVar("T")
# Written down, for asking `parlando.audio.containers` takes a second, and help is not to wait.
STREAM_FORMATS = "wav (default), pcm, flac, mp3, opus, aac, ulaw, alaw"
SMALL_MODEL_BYTES = 256 * 2**20


def command(kind: type[T]) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Make a function of one options dataclass into a command whose options are the fields."""
    hints = typing.get_type_hints(kind, include_extras=True)
    parameters = [
        inspect.Parameter(
            spec.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if spec.default is dataclasses.MISSING else spec.default,
            annotation=hints[spec.name],
        )
        for spec in dataclasses.fields(kind)  # type: ignore[arg-type]
    ]

    def wrap(function: Callable[[T], None]) -> Callable[..., None]:
        def entry(**values: Any) -> None:
            function(kind(**values))

        entry.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        entry.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        entry.__doc__ = function.__doc__
        return entry

    return wrap


def group_of(alone: Callable[..., None], commands: Mapping[str, Callable[..., None]]) -> typer.Typer:
    """A command that does one thing by itself, and others by their names."""

    def entry(context: typer.Context, **values: Any) -> None:
        if context.invoked_subcommand is None:
            alone(**values)

    first = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    parameters = inspect.signature(alone).parameters
    entry.__signature__ = inspect.Signature([first, *parameters.values()])  # type: ignore[attr-defined]
    entry.__annotations__ = {"context": typer.Context, **alone.__annotations__}
    entry.__doc__ = alone.__doc__
    app = typer.Typer(rich_markup_mode=None)
    app.callback(invoke_without_command=True)(entry)
    for name, function in commands.items():
        app.command(name)(function)
    return app


def numbers(given: Iterable[str], option: str) -> dict[str, int]:
    """What repeated NAME=NUMBER say.

    Raises:
        ConfigError: one of them says something else.
    """
    found = {}
    for each in given:
        name, equals, number = each.partition("=")
        if not equals or not number.isdecimal():
            raise ConfigError(f"{option}: '{each}' is not NAME=NUMBER; write, say, {option} solver_steps=6")
        found[name.strip()] = int(number)
    return found


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model, and where it computes."""

    model: Annotated[str | None, typer.Option(help="Packaged name, folder or hub id; the default is built in.")] = None
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …; default: the best there is.")] = None
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16, float16, or auto: bfloat16 where a large model is faster so.")
    ] = None
    quantize: Annotated[str | None, typer.Option(help="Keep weights in few bits: int8, int4, or fp8 on a GPU.")] = None
    flow: Annotated[
        list[str] | None,
        typer.Option(help="How the flow is followed: solver_steps=N, left_chunks=N or first_tokens=N; repeat it."),
    ] = None
    cuda_graphs: Annotated[
        bool, typer.Option("--cuda-graphs", help="Record the language model's steps on a CUDA device: fewer launches.")
    ] = False
    adapter: Annotated[Path | None, typer.Option(help="Folder of a LoRA adapter (peft's layout) to speak with.")] = None
    threads: Annotated[
        int | None, typer.Option(help="Processor threads; default: one for a small model, else all.", min=1)
    ] = None

    def load(self, rows: int = 8) -> Synthesizer:
        """The model, ready to speak; up to ``rows`` requests share a batch."""
        from parlando.models.options import LoadOptions
        from parlando.speech import load

        self.set_threads()
        asked = LoadOptions(
            adapter=self.adapter,
            quantize=self.quantize,
            flow=numbers(self.flow or (), "--flow"),
            cuda_graphs=self.cuda_graphs,
        )
        return load(self.model, self.device, self.dtype, rows, **asked)

    def set_threads(self) -> None:
        """As many as asked for; the steps of a small model are too short to be shared out."""
        import torch

        from parlando.models.locate import locate

        files = [path for path in locate(self.model).iterdir() if path.is_file()]
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        elif sum(path.stat().st_size for path in files) < SMALL_MODEL_BYTES:
            torch.set_num_threads(1)


@dataclass(frozen=True, kw_only=True)
class OutputOptions(ModelOptions):
    """What every command that makes audio understands."""

    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write: wav, flac, mp3, opus, ogg; - is standard output.")
    ] = None
    format: Annotated[
        str | None, typer.Option(help=f"Format, where the file's ending does not say it: {', '.join(FILE_FORMATS)}.")
    ] = None
    speed: Annotated[
        float | None, typer.Option(help="Tempo at the same pitch: 0.25 (slow) to 4 (fast).", min=0.25, max=4.0)
    ] = None
    lead_silence: Annotated[
        float | None, typer.Option(help="Most seconds of silence before the first word; default: 0.01.", min=0.0)
    ] = None
    play: Annotated[bool, typer.Option("--play", help="Play it through the loudspeaker.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No summary and no progress bar.")] = False


@dataclass(frozen=True, kw_only=True)
class StreamOptions(OutputOptions):
    """What a command understands besides that can send its audio out while it is made."""

    stream: Annotated[bool, typer.Option("--stream", help="Send audio to stdout as it is made, in --format.")] = False
    format: Annotated[
        str | None,
        typer.Option(
            help=f"Format, where the file's ending does not say it: {', '.join(FILE_FORMATS)}; "
            f"with --stream that of the stream: {STREAM_FORMATS}."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class SpeakOptions(OutputOptions):
    """What every command that speaks a text understands."""

    instruction: Annotated[
        str | None, typer.Option(help="How to speak, in words ('speak slowly'), for models that take instructions.")
    ] = None
    language: Annotated[
        str | None, typer.Option(help="en, zh, ja, ko, or auto; default: the voice's. Mixed text is read in each.")
    ] = None
    lexicon: Annotated[
        list[str] | None,
        typer.Option(help="A file of lines like 行长=háng zhǎng or Parlando=p aa0 r l aa1 n d ow0, or one of them."),
    ] = None
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same audio.")] = None
    temperature: Annotated[float | None, typer.Option(help="0 is greedy; higher is livelier.", min=0.0)] = None
    top_k: Annotated[int | None, typer.Option(help="Draw from the k likeliest codes; 0 switches it off.", min=0)] = None
    top_p: Annotated[
        float | None, typer.Option(help="Draw from the likeliest codes of this mass.", min=0.0, max=1.0)
    ] = None
    subtitles: Annotated[Path | None, typer.Option(help="File for subtitles of what is heard when: .srt or .vtt.")] = (
        None
    )

    def sampling(self) -> dict[str, Any]:
        """The sampling choices that were made, as keyword arguments of `Synthesizer.say`."""
        given: dict[str, Any] = {"seed": self.seed, "temperature": self.temperature, "top_p": self.top_p}
        chosen = {name: value for name, value in given.items() if value is not None}
        if self.top_k is not None:
            chosen["top_k"] = self.top_k or None
        return chosen

    def manner(self) -> dict[str, Any]:
        """How it is to be spoken, as keyword arguments of `Synthesizer.say`."""
        given: dict[str, Any] = {"speed": self.speed, "instruction": self.instruction}
        given["lead_silence_seconds"] = self.lead_silence
        return {name: value for name, value in given.items() if value is not None}

    def reading(self) -> dict[str, Any]:
        """How the text is to be read out, as keyword arguments of `Synthesizer.say`."""
        from parlando.text.user_lexicon import UserLexicon

        return {"language": self.language, "lexicon": UserLexicon.collect(self.lexicon or ())}
