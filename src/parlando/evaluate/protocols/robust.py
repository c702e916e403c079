"""Where speech language models break: lists, digits, repeats, tongue twisters, very short and very long text, numbers.

Besides error rates it counts words: how many of those that should be said are heard, left out, or heard twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from parlando.core.errors import ParlandoError
from parlando.evaluate.optional import require
from parlando.evaluate.protocols.shared import (
    Frame,
    Judges,
    mark_figures,
    speed_figures,
    strict_figure,
    system_report,
    transcripts,
)
from parlando.evaluate.suite.figures import Figure, average
from parlando.evaluate.suite.items import Item, ItemList, read_items
from parlando.evaluate.suite.report import EvalReport
from parlando.evaluate.suite.run import Output, Run
from parlando.evaluate.suite.systems import System
from parlando.evaluate.wer import normalise
from parlando.text.normalize import normalize
from parlando.text.numbers import digits

DIGIT_GROUPS = ("digits",)
COLUMNS = ("id", "group", "text")


@dataclass(frozen=True)
class WordCounts:
    """The words of one text: heard in their place, left out or misheard, and heard once more than they should be."""

    wanted: int
    heard: int
    left_out: int
    twice: int


def read_robust(source: str) -> ItemList:
    """A list of texts by group; ``\\n`` in a text is a new line.

    Raises:
        FileMissingError: there is no such list.
        InputError: it lacks a column.
    """
    return read_items(source, COLUMNS, _item)


def _item(row: Mapping[str, str], line: int) -> Item:
    return Item(row["id"], row["text"].replace("\\n", "\n"), "en", line, row["group"])


def count_words(text: str, heard: str, by_digit: bool = False) -> WordCounts:
    """Words of a text in what was heard of it; numbers as words on both sides.

    A word counts as heard twice where the recogniser heard it beyond its place and it is one of the text's own.

    Raises:
        MissingDependencyError: jiwer is not installed.
    """
    wanted, said = spoken_words(text, by_digit), spoken_words(heard, by_digit)
    (chunks,) = require("jiwer").process_words(" ".join(wanted), " ".join(said)).alignments
    hits = sum(c.ref_end_idx - c.ref_start_idx for c in chunks if c.type == "equal")
    inserted = [word for c in chunks if c.type == "insert" for word in said[c.hyp_start_idx : c.hyp_end_idx]]
    return WordCounts(len(wanted), hits, len(wanted) - hits, sum(word in set(wanted) for word in inserted))


def spoken_words(text: str, by_digit: bool = False) -> list[str]:
    """A text as words, its numbers as they are read, or, where they are codes, digit by digit."""
    if by_digit:
        text = re.sub(r"\d+", lambda number: f" {digits(number[0])} ", text)
    try:
        read = normalize(text)
    except ParlandoError:
        read = text
    return normalise(read.replace("-", " ")).split()


def run_robust(run: Run, systems: Sequence[System], items: ItemList, judges: Judges, machine: str) -> EvalReport:
    """Have every system say the list, and count by group."""
    reports = []
    for system in systems:
        outputs = run.speak(system, items.items)
        groups = {
            group: tuple(_figures(run, [o for o in outputs if o.item.group == group], judges))
            for group in dict.fromkeys(item.group for item in items.items)
        }
        found = _figures(run, outputs, judges)
        if judges.mos:
            found += mark_figures(run, judges.mos, outputs)
        reports.append(system_report(system, outputs, [*found, *speed_figures(outputs)], groups))
    notes = ("flawless: items whose words are all heard, each once",)
    return Frame("robust", items, judges.cards, machine, notes).report(run, reports)


def _figures(run: Run, outputs: Sequence[Output], judges: Judges) -> list[Figure]:
    if judges.asr is None:
        return []
    heard = transcripts(run, judges.asr, outputs)
    by = str(judges.asr.card)
    counts = [_counts(output, words) for output, words in zip(outputs, heard, strict=True)]
    shares: dict[str, Callable[[WordCounts], float]] = {
        "words heard": lambda c: 100 * c.heard / c.wanted,
        "left out": lambda c: 100 * c.left_out / c.wanted,
        "said twice": lambda c: 100 * c.twice / c.wanted,
        "flawless": lambda c: 100.0 * (c.heard == c.wanted and not c.twice),
    }
    return [
        *(average(name, [None if c is None else share(c) for c in counts], by, " %") for name, share in shares.items()),
        strict_figure(outputs, heard, judges.asr.card),
    ]


def _counts(output: Output, heard: str | None) -> WordCounts | None:
    """An item that was not said is left out as a whole; of one that the judge failed on nothing is known."""
    if output.path is not None and heard is None:
        return None
    return count_words(output.item.text, heard or "", output.item.group in DIGIT_GROUPS)
