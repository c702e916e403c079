"""`parlando data preferences`: takes of sentences, ranked by judges, become pairs to tune a model with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parlando.cli.judging import NONE, JudgeOptions
from parlando.cli.options import ModelOptions, command
from parlando.cli.sources import CloneOptions, choose_voice, read_text_file
from parlando.core.errors import InputError

if TYPE_CHECKING:
    from parlando.audio.clip import Clip
    from parlando.evaluate.preferences import TakeMaker


@dataclass(frozen=True, kw_only=True)
class PreferenceOptions(JudgeOptions, CloneOptions, ModelOptions):
    """Options of `parlando data preferences`."""

    sentences: Annotated[Path, typer.Argument(help="Text file, a sentence a line.")]
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the pairs; an unfinished run in it goes on.")]
    takes: Annotated[int, typer.Option(help="How often each sentence is said.", min=2)] = 4
    margin: Annotated[float, typer.Option(help="How much better the best take must be than the worst.", min=0.0)] = 0.1
    reference: Annotated[
        list[Path] | None, typer.Option(help="A recording of whoever should be heard; default: --ref-audio.")
    ] = None
    limit: Annotated[int | None, typer.Option(help="How many lines at most.", min=1)] = None
    seed: Annotated[int, typer.Option(help="Seed of the first take; the next has the next.", min=0)] = 0
    temperature: Annotated[float | None, typer.Option(help="Higher: takes differ more.", min=0.0)] = None
    language: Annotated[str | None, typer.Option(help="en, zh …, or auto; default: the voice's.")] = None
    mos: Annotated[str, typer.Option(help="Who gives marks: distillmos, dnsmos[:FILE], or none.")] = "none"

    def references(self) -> list[Clip]:
        """The recordings that the takes are compared with."""
        from parlando.audio.files import read_audio

        paths = self.reference or ([self.ref_audio] if self.ref_audio is not None else [])
        return [read_audio(path) for path in paths]

    def maker(self) -> TakeMaker:
        """The model and its judges, ready to speak and to hear."""
        from parlando.evaluate.preferences import TakeJudges, TakeMaker
        from parlando.evaluate.suite.systems import folder_digest
        from parlando.models.locate import locate

        references = self.references()
        # Nobody has to be there who would have nothing to compare.
        judges = self.judges() if references else replace(self, speaker=NONE).judges()
        chosen = TakeJudges(judges.asr, judges.speaker, judges.mos, references)
        synthesizer = self.load(rows=self.takes)
        digests = [folder_digest(folder) for folder in (locate(self.model), self.adapter) if folder is not None]
        given: dict[str, Any] = {"temperature": self.temperature, "language": self.language, "seed": self.seed}
        options = {name: value for name, value in given.items() if value is not None}
        voice = choose_voice(self, synthesizer, self.ref_text)
        return TakeMaker(synthesizer, chosen, self.out, self.takes, "+".join(digests), voice=voice, **options)


@command(PreferenceOptions)
def make_preferences(options: PreferenceOptions) -> None:
    """Pair a model's best takes with its worst.

    It says every sentence several times, and judges rank the takes: words heard wrong, likeness to the voice (where a
    recording of it is given), marks, and whether it ended by itself. A model learns from the pairs (train dpo). It
    resumes where it stopped.

    Example: parlando data preferences sentences.txt --ref-audio me.wav --ref-text "What I say in it." -o pairs
    """
    from parlando.evaluate.preferences import Ranking, make_pairs

    lines = read_text_file(options.sentences).splitlines()[: options.limit]
    result = make_pairs(options.maker(), lines, Ranking(margin=options.margin), options.out)
    typer.echo(str(result), err=True)
    if not result.pairs:
        raise InputError(
            f"no sentence has a take that is better than another by {options.margin:g}; "
            "use more --takes, a higher --temperature or a smaller --margin"
        )
    typer.echo(f"{result.pairs} pairs in {options.out}; next: parlando train dpo … --pairs {options.out}", err=True)
