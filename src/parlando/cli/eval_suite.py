"""`parlando eval seed-tts`, `esd`, `emergent`, `dialogue`, `codec`, `robust`, `latency`: any systems, one report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parlando.cli.judging import NONE, JudgeOptions
from parlando.cli.options import command
from parlando.core.errors import InputError

if TYPE_CHECKING:
    from parlando.evaluate.suite.items import ItemList
    from parlando.evaluate.suite.report import EvalReport
    from parlando.evaluate.suite.run import Run
    from parlando.evaluate.suite.systems import System

SYSTEM_HELP = (
    "A model [@voice]; recordings; folder:WAVS; teacher:VOICE; http://host[#model][@voice]; "
    "command:'say {text} {out}'; call:FILE.py:FUNCTION[@voice]. May be repeated; default: the built-in model."
)


@dataclass(frozen=True, kw_only=True)
class SuiteOptions:
    """What every protocol understands."""

    system: Annotated[list[str] | None, typer.Option("--system", "-s", help=SYSTEM_HELP)] = None
    list_: Annotated[str | None, typer.Option("--list", "-l", help="The list; default: the packaged one.")] = None
    limit: Annotated[int | None, typer.Option(help="How many items at most.", min=1)] = None
    seed: Annotated[int, typer.Option(help="Seed of the first item; the next has the next.", min=0)] = 0
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for audio and report; a run goes on with what is there.")
    ] = Path("eval")
    key: Annotated[str | None, typer.Option(help="The API key of services.")] = None
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 …; default: the best there is.")] = None
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16.")] = None
    threads: Annotated[int, typer.Option(help="Processor threads of models.", min=1)] = 1

    def run(self) -> Run:
        """The run over the folder."""
        import torch

        from parlando.evaluate.suite.run import Run

        torch.set_num_threads(self.threads)
        return Run(self.out, self.seed)

    def systems(self) -> list[System]:
        """The systems asked for."""
        from parlando.models.locate import DEFAULT_MODEL

        return [self.system_of(spec) for spec in self.system or [DEFAULT_MODEL]]

    def system_of(self, spec: str) -> System:
        """The system of this name."""
        from parlando.evaluate.suite.specs import Place, make_system

        return make_system(spec, Place(self.device, self.dtype, self.key))

    def items(self, read: Callable[[str], ItemList], packaged: str) -> ItemList:
        """The list, as ``read`` reads it."""
        items = read(self.list_ or packaged)
        if not items.items:
            first = f"; the first: {items.problems[0]}" if items.problems else ""
            raise InputError(f"list '{items.name}' has no usable line{first}")
        return items.first(self.limit)

    def publish(self, report: EvalReport) -> None:
        """Print the report, and write it."""
        from parlando.evaluate.suite.report import eval_markdown, publish

        typer.echo(eval_markdown(report))
        for path in publish(report, self.out):
            typer.echo(f"wrote {path}", err=True)


@dataclass(frozen=True, kw_only=True)
class JudgedOptions(JudgeOptions, SuiteOptions):
    """What protocols understand that have judges."""


@dataclass(frozen=True, kw_only=True)
class SeedTtsOptions(JudgedOptions):
    """Options of `parlando eval seed-tts`."""

    language: Annotated[str, typer.Option(help="Of the list: en, zh …")] = "en"


@command(SeedTtsOptions)
def seed_tts(options: SeedTtsOptions) -> None:
    """Seed-TTS Eval: words, similarity, marks and speed.

    The word error rate is given as published and strictly.

    Lists have the published layout: id|prompt text|prompt wav|text, id|text|wav, or id|text.

    Example: parlando eval seed-tts --list meta.lst -s higgs-mini -s teacher:slt -o eval/seed
    """
    from parlando.evaluate.protocols.seed_tts import run_seed_tts
    from parlando.evaluate.speed.machine import describe_machine
    from parlando.evaluate.suite.items import read_seed_tts

    items = options.items(lambda source: read_seed_tts(source, options.language), "seed_tts_en.lst")
    judges = options.judges()
    options.publish(run_seed_tts(options.run(), options.systems(), items, judges, describe_machine()))


@dataclass(frozen=True, kw_only=True)
class EsdOptions(JudgedOptions):
    """Options of `parlando eval esd`."""

    corpus: Annotated[
        Path | None, typer.Option(help="The Emotional Speech Dataset; without it, a small list with its own clips.")
    ] = None
    emotion: Annotated[str, typer.Option(help="Who hears emotions: emotion2vec[:folder], or none.")] = NONE


@command(EsdOptions)
def esd(options: EsdOptions) -> None:
    """Whether a reference's emotion is cloned.

    Over the Emotional Speech Dataset, or over recordings that a list names.

    Example: parlando eval esd --corpus ESD/ --emotion emotion2vec -o eval/esd
    """
    from parlando.evaluate.protocols.esd import read_esd, read_small, run_esd
    from parlando.evaluate.speed.machine import describe_machine

    corpus = options.corpus
    if corpus is None:
        items = options.items(read_small, "esd_small.tsv")
    else:
        items = options.items(lambda source: read_esd(source, corpus), "esd.tsv")
    judges = options.judges(options.emotion)
    options.publish(run_esd(options.run(), options.systems(), items, judges, describe_machine()))


@command(JudgedOptions)
def robust(options: JudgedOptions) -> None:
    """Words left out or said twice in lists, digits and twisters.

    Example: parlando eval robust -s higgs-mini -s cosyvoice-mini -o eval/robust
    """
    from parlando.evaluate.protocols.robust import read_robust, run_robust
    from parlando.evaluate.speed.machine import describe_machine

    items = options.items(read_robust, "robust_en.tsv")
    judges = options.judges()
    options.publish(run_robust(options.run(), options.systems(), items, judges, describe_machine()))


@command(SuiteOptions)
def latency(options: SuiteOptions) -> None:
    """How soon something is heard, one request at a time.

    Example: parlando eval latency -s higgs-mini -s http://127.0.0.1:50000 -o eval/latency
    """
    from parlando.evaluate.protocols.latency import run_latency
    from parlando.evaluate.speed.machine import describe_machine
    from parlando.evaluate.suite.items import read_seed_tts

    items = options.items(lambda source: read_seed_tts(source, "en"), "latency_en.lst")
    options.publish(run_latency(options.run(), options.systems(), items, describe_machine()))


@dataclass(frozen=True, kw_only=True)
class EmergentOptions(JudgedOptions):
    """Options of `parlando eval emergent`."""

    baseline: Annotated[str, typer.Option(help="The system that others are compared with; as --system.")] = "higgs-mini"
    judge: Annotated[
        str, typer.Option(help="An OpenAI-compatible model that hears audio (URL#model), or figures: errors, marks.")
    ] = "figures"


@command(EmergentOptions)
def emergent(options: EmergentOptions) -> None:
    """Hard texts, pair by pair against a baseline: win rates.

    By category (emotions, syntax, foreign words …) and depth.

    Example: parlando eval emergent -s cosyvoice-mini --judge http://127.0.0.1:8000#model -o eval/emergent
    """
    from parlando.evaluate.judges.registry import pair_judge
    from parlando.evaluate.protocols.emergent import read_emergent, run_emergent
    from parlando.evaluate.speed.machine import describe_machine

    items = options.items(read_emergent, "emergent_en.jsonl")
    judges = options.judges()
    pair = pair_judge(options.judge, options.key, judges.asr, judges.mos)
    baseline = options.system_of(options.baseline)
    options.publish(run_emergent(options.run(), options.systems(), baseline, items, (pair, judges), describe_machine()))


@command(JudgedOptions)
def dialogue(options: JudgedOptions) -> None:
    """Whether each turn of a dialogue has its speaker's voice.

    Example: parlando eval dialogue -s higgs-mini -s cosyvoice-mini --limit 6 -o eval/dialogue
    """
    from parlando.evaluate.protocols.dialogue import read_dialogues, run_dialogue
    from parlando.evaluate.speed.machine import describe_machine

    items = options.items(read_dialogues, "dialogue_en.jsonl")
    judges = options.judges()
    options.publish(run_dialogue(options.run(), options.systems(), items, judges, describe_machine()))


@dataclass(frozen=True, kw_only=True)
class CodecOptions(JudgedOptions):
    """Options of `parlando eval codec`."""

    recordings: Annotated[
        str | None, typer.Argument(help="Recordings: manifest, table, or folder; default: the packaged list.")
    ] = None
    model: Annotated[list[str] | None, typer.Option("--model", help="A model whose codec it is; may be repeated.")] = (
        None
    )


@command(CodecOptions)
def codec(options: CodecOptions) -> None:
    """What recordings lose on their way through a codec.

    With --system folder:WAVS, copies that another codec made are measured as well.

    Example: parlando eval codec recordings/ --model higgs-mini --model cosyvoice-mini --limit 20
    """
    from parlando.evaluate.protocols.codec import CodecSystem, read_recordings, run_codec
    from parlando.evaluate.speed.machine import describe_machine
    from parlando.models.locate import DEFAULT_MODEL

    items = options.items(lambda source: read_recordings(options.recordings or source), "codec_en.tsv")
    others = options.systems() if options.system else []
    names = options.model or ([] if others else [DEFAULT_MODEL])
    systems = [*(CodecSystem(name, options.device, options.dtype) for name in names), *others]
    options.publish(run_codec(options.run(), systems, items, options.judges(), describe_machine()))


COMMANDS = {
    "seed-tts": seed_tts,
    "esd": esd,
    "emergent": emergent,
    "dialogue": dialogue,
    "codec": codec,
    "robust": robust,
    "latency": latency,
}
