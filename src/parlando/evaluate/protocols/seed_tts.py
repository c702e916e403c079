"""Seed-TTS Eval (Anastassiou et al., 2024), *seed-compatible* and *strict* side by side, from lists in its layout."""

from __future__ import annotations

from collections.abc import Sequence

from parlando.evaluate.judges.base import Asr
from parlando.evaluate.protocols.shared import (
    Frame,
    Judges,
    mark_figures,
    similarity_figure,
    speed_figures,
    strict_figure,
    system_report,
    transcripts,
)
from parlando.evaluate.scoring import seed_tts
from parlando.evaluate.suite.figures import Figure, average
from parlando.evaluate.suite.items import Item, ItemList
from parlando.evaluate.suite.report import EvalReport
from parlando.evaluate.suite.run import Output, Run
from parlando.evaluate.suite.systems import System

NOTES = (
    "WER seed-tts: mean of utterances, the published normalisation, missing outputs skipped as published",
    "WER strict: all errors over all words, Whisper's normaliser, a missing output counts as all its words",
)


def run_seed_tts(run: Run, systems: Sequence[System], items: ItemList, judges: Judges, machine: str) -> EvalReport:
    """Have every system say the list, and score it both ways."""
    reports = []
    for system in systems:
        outputs = run.speak(system, items.items)
        reports.append(system_report(system, outputs, figures(run, outputs, judges)))
    return Frame("seed-tts", items, judges.cards, machine, NOTES).report(run, reports)


def figures(run: Run, outputs: Sequence[Output], judges: Judges) -> list[Figure]:
    """All figures of one system that there is a judge for."""
    found = word_figures(run, outputs, judges.asr) if judges.asr else []
    if judges.mos:
        found += mark_figures(run, judges.mos, outputs)
    if judges.speaker and any(output.item.sample for output in outputs):
        found.append(similarity_figure(run, judges.speaker, outputs))
    return [*found, *speed_figures(outputs)]


def word_figures(run: Run, outputs: Sequence[Output], asr: Asr) -> list[Figure]:
    """The published error rate and the strict one."""
    heard = transcripts(run, asr, outputs)
    return [compatible_figure([o.item for o in outputs], heard, str(asr.card)), strict_figure(outputs, heard, asr.card)]


def compatible_figure(items: Sequence[Item], heard: Sequence[str | None], by: str) -> Figure:
    """The mean of utterance error rates, in percent, of the utterances that were heard."""
    rates = [
        None if words is None else 100 * seed_tts.utterance_rates(item.text, words, item.language).wer
        for item, words in zip(items, heard, strict=True)
    ]
    return average("WER seed-tts", rates, by, " %")
