"""What a load showed, as a table, as numbers and as a picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from parlando.evaluate.load.serve_load import Heard, LevelResult
from parlando.evaluate.report import markdown_table

PERCENTS = (50, 95, 99)
LEAST_FOR_99 = 100
MOMENTS: dict[str, Callable[[Heard], float | None]] = {
    "first byte": lambda heard: heard.first_byte_seconds,
    "playable": lambda heard: heard.playable_seconds,
    "audible": lambda heard: heard.audible_seconds,
}
INTERRUPTED_SECONDS = 0.001


@dataclass(frozen=True)
class LevelReport:
    """One load in numbers. ``moments`` has p50, p95 and p99 in seconds (p99 from 100 requests on)."""

    load: str
    requests: int
    done: int
    refused: int
    failed: int
    interrupted: int
    worst_underrun_seconds: float
    requests_per_second: float
    audio_per_second: float
    worst_lag_seconds: float
    moments: dict[str, tuple[float | None, ...]]
    errors: dict[str, int]


def percentile(values: Sequence[float], percent: int) -> float | None:
    """The value that so many percent do not exceed; none without values, or of too few for the 99th."""
    if not values or (percent == PERCENTS[-1] and len(values) < LEAST_FOR_99):
        return None
    return sorted(values)[max(math.ceil(percent / 100 * len(values)), 1) - 1]


def summarise(result: LevelResult) -> LevelReport:
    """The numbers of one load; only what was spoken counts for the moments and for the underruns."""
    done = [heard for heard in result.heard if heard.outcome == "done"]
    moments = {}
    for name, moment in MOMENTS.items():
        values = [seconds for heard in done if (seconds := moment(heard)) is not None]
        moments[name] = tuple(percentile(values, percent) for percent in PERCENTS)
    failures = [heard for heard in result.heard if heard.outcome == "failed"]
    reasons = [heard.error or f"status {heard.status}" for heard in failures]
    return LevelReport(
        load=f"{result.level.kind} {result.level.value:g}",
        requests=len(result.heard),
        done=len(done),
        refused=sum(heard.outcome == "refused" for heard in result.heard),
        failed=len(failures),
        interrupted=sum(heard.underrun_seconds > INTERRUPTED_SECONDS for heard in done),
        worst_underrun_seconds=max((heard.underrun_seconds for heard in done), default=0.0),
        requests_per_second=len(done) / result.seconds,
        audio_per_second=sum(heard.audio_seconds for heard in done) / result.seconds,
        worst_lag_seconds=max((heard.lag_seconds for heard in result.heard), default=0.0),
        moments=moments,
        errors={reason: reasons.count(reason) for reason in dict.fromkeys(reasons)},
    )


def load_markdown(reports: Sequence[LevelReport]) -> str:
    """The table: milliseconds at p50 / p95 / p99, and who was refused, failed, or had to wait while listening."""

    def cell(report: LevelReport, name: str) -> str:
        return " / ".join("–" if value is None else f"{value * 1000:.0f}" for value in report.moments[name])

    header = ["load", "requests", "refused", "failed", "interrupted", "worst underrun s"]
    header += [f"{name} ms" for name in MOMENTS] + ["requests/s", "audio s/s"]
    rows = [
        [
            *(report.load, report.requests, report.refused, report.failed, report.interrupted),
            f"{report.worst_underrun_seconds:.3f}",
            *(cell(report, name) for name in MOMENTS),
            f"{report.requests_per_second:.2f}",
            f"{report.audio_per_second:.2f}",
        ]
        for report in reports
    ]
    return markdown_table(header, rows)


def draw_load(reports: Sequence[LevelReport], path: Path) -> Path:
    """Two panels over the loads: how long until something is heard, and what became of the requests.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    times, outcomes = figure.subplots(1, 2)
    places, names = range(len(reports)), [report.load for report in reports]
    for index, percent in enumerate(PERCENTS[:2]):
        for name in MOMENTS:
            values = [report.moments[name][index] for report in reports]
            seconds = [math.nan if value is None else value * 1000 for value in values]
            times.plot(places, seconds, marker="o", linestyle="-" if index == 0 else ":", label=f"{name}, p{percent}")
    times.set_ylabel("milliseconds")
    times.set_yscale("log")
    bottom = [0] * len(reports)
    for name, colour in (("done", "tab:green"), ("interrupted", "tab:orange"), ("refused", "grey"), ("failed", "red")):
        counts = [report.done - report.interrupted if name == "done" else getattr(report, name) for report in reports]
        outcomes.bar(places, counts, bottom=bottom, color=colour, label=name)
        bottom = [low + count for low, count in zip(bottom, counts, strict=True)]
    outcomes.set_ylabel("requests")
    for axes in (times, outcomes):
        axes.set_xticks(places, names, rotation=30)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return path
