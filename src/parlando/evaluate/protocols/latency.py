"""How soon something is heard, as the open leaderboard measures it: first playable chunk, one at a time, the median."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from parlando.evaluate.protocols.shared import Frame, system_report
from parlando.evaluate.suite.figures import average, ratio
from parlando.evaluate.suite.items import ItemList
from parlando.evaluate.suite.report import EvalReport
from parlando.evaluate.suite.run import Run
from parlando.evaluate.suite.systems import System

WARM_UP = 3
NOTES = (
    f"one request at a time, the first {WARM_UP} left out; what does not stream counts with its whole utterance",
    "timings are this machine's: compare systems of one run",
)


def run_latency(run: Run, systems: Sequence[System], items: ItemList, machine: str) -> EvalReport:
    """Ask every system for one text after the other."""
    reports = []
    for system in systems:
        outputs = run.speak(system, items.items)
        timed = outputs[WARM_UP:]
        firsts = [o.first_audio_seconds and 1000 * o.first_audio_seconds for o in timed]
        wholes = [o.work_seconds and 1000 * o.work_seconds for o in timed]
        figures = (
            average("first audio, median", firsts, unit=" ms", of=np.median),
            average("first audio, p95", firsts, unit=" ms", of=_percentile_95),
            average("whole utterance, median", wholes, unit=" ms", of=np.median),
            ratio("RTF", [o.work_seconds for o in timed], [o.audio_seconds for o in timed]),
        )
        reports.append(system_report(system, outputs, figures))
    return Frame("latency", items, (), machine, NOTES).report(run, reports)


def _percentile_95(values: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(np.percentile(values, 95, axis=axis))
