"""Reports for people and programs: JSON, Markdown tables and pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from parlando.evaluate.optional import require
from parlando.evaluate.protocol import LONGEST_RATIO, SHORTEST_RATIO, WerReport


def save_json(report: Any, path: Path) -> None:
    """Write a report dataclass as JSON; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(asdict(report), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table with its columns padded, so that a terminal shows it well too."""
    cells = [[str(c) for c in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def wer_markdown(report: WerReport) -> str:
    """The WER protocol's result as a table, and its worst sentences."""
    of = f"of {report.sentences}"
    bounds = f"{SHORTEST_RATIO}–{LONGEST_RATIO} × the expected length" if report.reference else "no reference length"
    lines: list[tuple[str, str]] = [("WER of the model", _rate(report.model_rates))]
    if report.reference_rates and report.difference_points is not None:
        lines.append((f"WER of {report.reference}", _rate(report.reference_rates)))
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


def _rate(rates: Any) -> str:
    return f"{rates.wer:.1%} (95 %: {rates.low:.1%}–{rates.high:.1%}, {rates.words} words)"


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
