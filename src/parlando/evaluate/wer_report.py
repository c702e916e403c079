"""The WER protocol's result for people: a table, the worst sentences, and a picture."""

from __future__ import annotations

from pathlib import Path

from parlando.evaluate.optional import require
from parlando.evaluate.protocol import LONGEST_RATIO, SHORTEST_RATIO, WerReport
from parlando.evaluate.report import markdown_table


def wer_markdown(report: WerReport) -> str:
    """The WER protocol's result as a table, and its worst sentences."""
    of = f"of {report.sentences}"
    bounds = f"{SHORTEST_RATIO}–{LONGEST_RATIO} × {_yardstick(report)}"
    lines: list[tuple[str, str]] = [("WER of the model", str(report.model_rates))]
    if report.reference_rates and report.difference_points is not None:
        lines.append((f"WER of {report.reference}", str(report.reference_rates)))
        lines.append(("difference", f"{report.difference_points:+.1f} points"))
    lines += [
        ("CER of the model", f"{report.model_rates.cer:.1%}"),
        ("ended by themselves", f"{report.ended_by_themselves} {of}"),
        ("… and in bounds", f"{report.ended_in_bounds} {of} ({bounds})"),
        ("median length ratio", "–" if report.median_ratio is None else f"{report.median_ratio:.2f}"),
        ("said again after a failure", f"{report.retried} {of}"),
        ("real-time factor", f"{report.real_time_factor:.2f}"),
    ]
    worst = sorted(report.rows, key=lambda row: -row.wer)[:5]
    return "\n\n".join(
        [
            markdown_table((f"{report.model}, voice {report.voice or 'default'}", "value"), lines),
            markdown_table(("worst", "said", "heard"), [(f"{r.wer:.0%}", r.text, r.heard) for r in worst]),
        ]
    )


def _yardstick(report: WerReport) -> str:
    if report.median_ratio is None:
        return "no reference length"
    return f"the length of {report.reference}" if report.reference else "the length prior"


def plot_wer(report: WerReport, path: Path) -> None:
    """A picture of the length ratios and the word error rates of all sentences.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    require("matplotlib").use("Agg")
    pyplot = require("matplotlib.pyplot")
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.hist([row.ratio for row in report.rows if row.ratio is not None], bins=30)
    for bound in (SHORTEST_RATIO, LONGEST_RATIO):
        left.axvline(bound, linestyle="--", color="gray")
    left.set(xlabel="spoken length / expected length", ylabel="sentences", title="Length")
    right.scatter([row.spoken_seconds for row in report.rows], [row.wer for row in report.rows], s=12)
    right.set(xlabel="seconds", ylabel="word error rate", title="Errors by length")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
