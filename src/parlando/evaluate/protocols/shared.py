"""What several protocols measure alike: words, marks, voices and speed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from parlando.evaluate.judges.base import Asr, Card, EmotionEncoder, Mos, SpeakerEncoder
from parlando.evaluate.scoring import strict
from parlando.evaluate.suite.figures import Figure, average, percentage, ratio
from parlando.evaluate.suite.items import Item, ItemList, Problem, Sample
from parlando.evaluate.suite.report import EvalReport, SystemReport
from parlando.evaluate.suite.run import Measure, Output, Run
from parlando.evaluate.suite.store import file_digest
from parlando.evaluate.suite.systems import System


@dataclass(frozen=True)
class Judges:
    """Who judges; what nobody judges is left out of the report."""

    asr: Asr | None = None
    speaker: SpeakerEncoder | None = None
    mos: Mos | None = None
    emotion: EmotionEncoder | None = None

    @property
    def cards(self) -> tuple[str, ...]:
        """All their cards."""
        return tuple(str(j.card) for j in (self.asr, self.speaker, self.mos, self.emotion) if j is not None)


def transcripts(run: Run, asr: Asr, outputs: Sequence[Output]) -> list[str | None]:
    """What was heard of each output; None where there is none, or where the judge failed."""
    measure = Measure("words", asr.card, lambda out: asr.hear(out.clip, out.item.language), lambda item: item.language)
    return run.measure(measure, outputs)


def voices(run: Run, encoder: SpeakerEncoder, outputs: Sequence[Output]) -> list[np.ndarray | None]:
    """The voice of each output."""
    measure = Measure("voice", encoder.card, lambda out: [round(float(v), 6) for v in encoder.embed(out.clip)])
    return [None if found is None else np.array(found) for found in run.measure(measure, outputs)]


def samples_of(items: Sequence[Item]) -> list[Output]:
    """The samples that items follow, as outputs that can be measured."""
    return [as_output(item, item.sample) for item in items]


def as_output(item: Item, sample: Sample | None) -> Output:
    """A recording as an output of nobody."""
    if sample is None or not sample.audio.is_file():
        return Output(item, None)
    return Output(item, sample.audio, file_digest(sample.audio))


def mark_figures(run: Run, judge: Mos, outputs: Sequence[Output]) -> list[Figure]:
    """The mean of each mark; the overall one is called MOS."""
    marks: list[Mapping[str, float] | None] = run.measure(
        Measure("marks", judge.card, lambda out: dict(judge.rate(out.clip))), outputs
    )
    names = list(dict.fromkeys(name for each in marks if each for name in each))
    return [
        average(
            "MOS" if name == "mos" else f"MOS {name}",
            [each.get(name) if each else None for each in marks],
            str(judge.card),
        )
        for name in sorted(names, key=lambda name: name != "mos")
    ]


def strict_figure(outputs: Sequence[Output], heard: Sequence[str | None], by: Card, name: str = "WER strict") -> Figure:
    """Errors over words; a missing output counts as all its words left out, one that the judge failed on not at all."""
    judged = [(o.item, words) for o, words in zip(outputs, heard, strict=True) if o.path is None or words is not None]
    if not judged:
        return Figure(name, None, " %", by=str(by))
    items, words = zip(*judged, strict=True)
    rates = strict.rates([item.text for item in items], words, [item.language for item in items])
    return percentage(name, rates, len(items), str(by))


def similarity_figure(run: Run, encoder: SpeakerEncoder, outputs: Sequence[Output]) -> Figure:
    """Mean cosine between what was said and the sample it should follow."""
    said = voices(run, encoder, outputs)
    wanted = voices(run, encoder, samples_of([output.item for output in outputs]))
    cosines = [None if a is None or b is None else float(a @ b) for a, b in zip(said, wanted, strict=True)]
    return average("SIM", cosines, str(encoder.card))


def speed_figures(outputs: Sequence[Output]) -> list[Figure]:
    """Real-time factor, and the median time until something can be played; none where nothing was timed."""
    factor = ratio("RTF", [o.work_seconds for o in outputs], [o.audio_seconds for o in outputs])
    firsts = [None if o.first_audio_seconds is None else 1000 * o.first_audio_seconds for o in outputs]
    first = average("first audio", firsts, unit=" ms", of=np.median)
    return [figure for figure in (factor, first) if figure.value is not None]


def system_report(
    system: System, outputs: Sequence[Output], figures: Iterable[Figure], groups: Mapping[str, Any] | None = None
) -> SystemReport:
    """What the report says of one system."""
    said = sum(output.path is not None for output in outputs)
    return SystemReport(system.name, len(outputs), said, tuple(figures), groups or {}, dict(system.identity))


@dataclass(frozen=True)
class Frame:
    """What the reports of all protocols have around their systems."""

    protocol: str
    items: ItemList
    judges: tuple[str, ...]
    machine: str
    notes: tuple[str, ...] = ()

    def report(self, run: Run, systems: Sequence[SystemReport], details: Mapping[str, Any] | None = None) -> EvalReport:
        """The whole report; problems of the list come before those of the run."""
        problems: tuple[Problem, ...] = (*self.items.problems, *run.problems)
        return EvalReport(
            self.protocol,
            self.items.name,
            self.items.sha256,
            tuple(systems),
            self.judges,
            problems,
            self.machine,
            (*self.notes, f"{len(self.items.items)} items, {len(self.items.problems)} unusable lines"),
            details or {},
        )
