"""Hard texts, pair by pair against a baseline, in the way of EmergentTTS-Eval (Manku et al., 2025).

Win rates overall, by category and by depth (how often a prompt was made harder); which of the two is heard first is
drawn for each item. A pair that the judge fails on is left out and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from parlando.evaluate.judges.pairwise import PairJudge
from parlando.evaluate.protocols.shared import Frame, Judges, mark_figures, strict_figure, system_report, transcripts
from parlando.evaluate.suite.figures import Figure, average
from parlando.evaluate.suite.items import Item, ItemList, read_json_items
from parlando.evaluate.suite.report import EvalReport
from parlando.evaluate.suite.run import Measure, Output, Run
from parlando.evaluate.suite.systems import System

TIE = 50.0
NOTES = ("win rate: 100 for a win over the baseline, 50 for a tie, 0 for a loss; the baseline itself has 50",)


def read_emergent(source: str) -> ItemList:
    """A list of JSON lines with the published fields: category, text_to_synthesize, evolution_depth, language.

    Raises:
        FileMissingError: there is no such list.
    """
    return read_json_items(source, _item)


def _item(fields: Mapping[str, Any], line: int) -> Item:
    text, depth = str(fields["text_to_synthesize"]), int(fields.get("evolution_depth", 0))
    language = str(fields.get("language") or "en")
    name = str(fields.get("id", f"prompt-{line - 1:04d}"))
    return Item(name, text, language, line, str(fields["category"]).lower(), depth=depth)


def run_emergent(
    run: Run,
    systems: Sequence[System],
    baseline: System,
    items: ItemList,
    judges: tuple[PairJudge, Judges],
    machine: str,
) -> EvalReport:
    """Have the baseline and every system say the list, and the pair judge compare."""
    judge, others = judges
    against = run.speak(baseline, items.items)
    reports = [system_report(baseline, against, _figures(run, [], against, others))]
    for system in systems:
        outputs = run.speak(system, items.items)
        points = _points(run, judge, outputs, against)
        by = str(judge.card)
        groups: dict[str, tuple[Figure, ...]] = {}
        for name, keys in (("", [i.group for i in items.items]), ("depth ", [str(i.depth) for i in items.items])):
            for key in dict.fromkeys(keys):
                kept = [p for p, own in zip(points, keys, strict=True) if own == key]
                groups[f"{name}{key}"] = (_win_rate(kept, by),)
        reports.append(system_report(system, outputs, _figures(run, points, outputs, others, by), groups))
    cards = (str(judge.card), *others.cards)
    return Frame("emergent", items, cards, machine, (*NOTES, f"baseline: {baseline.name}")).report(run, reports)


def _figures(
    run: Run, points: Sequence[float | None], outputs: Sequence[Output], judges: Judges, by: str = ""
) -> list[Figure]:
    found = (
        [_win_rate(points, by), average("ties", [p and 100.0 * (p == TIE) for p in points], by, " %")] if points else []
    )
    if judges.asr:
        found.append(strict_figure(outputs, transcripts(run, judges.asr, outputs), judges.asr.card))
    return found + (mark_figures(run, judges.mos, outputs) if judges.mos else [])


def _win_rate(points: Sequence[float | None], by: str) -> Figure:
    return average("win rate", points, by, " %")


def _points(run: Run, judge: PairJudge, outputs: Sequence[Output], against: Sequence[Output]) -> list[float | None]:
    """100, 50 or 0 of each pair. A missing output is a loss; a missing baseline, or a judge that failed, is no pair."""
    opponents = {output.item.id: output for output in against}

    def compare(output: Output) -> list[Any]:
        item, opponent = output.item, opponents[output.item.id]
        swapped = is_swapped(run.seed, item)
        first, second = (opponent, output) if swapped else (output, opponent)
        verdict = judge.compare(item.text, item.group, first.clip, second.clip)
        own = 2 if swapped else 1
        return [TIE if verdict.winner == 0 else 100.0 * (verdict.winner == own), verdict.reasons]

    measure = Measure(
        "pair", judge.card, compare, lambda item: [opponents[item.id].digest, is_swapped(run.seed, item), item.text]
    )
    paired = [output for output in outputs if opponents[output.item.id].path is not None]
    verdicts = dict(zip((o.item.id for o in paired), run.measure(measure, paired), strict=True))
    points: list[float | None] = []
    for output in outputs:
        verdict = verdicts.get(output.item.id)
        is_missing = output.path is None and opponents[output.item.id].path is not None
        points.append(0.0 if is_missing else None if verdict is None else float(verdict[0]))
    return points


def is_swapped(seed: int, item: Item) -> bool:
    """Whether the baseline is heard first: by chance, but the same in every run and for every system."""
    return bool(np.random.default_rng((seed, item.line)).random() > 0.5)
