"""The one report of every protocol: JSON for programs, Markdown for people, and a picture with the intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parlando.evaluate.optional import require
from parlando.evaluate.report import markdown_table, save_json
from parlando.evaluate.suite.figures import Figure
from parlando.evaluate.suite.items import Problem

INSTALL_PLOTS = "pip install matplotlib"
SHOWN_PROBLEMS = 10


@dataclass(frozen=True)
class SystemReport:
    """One system: how many items it was asked for, how many it said, its figures, and those of groups of items."""

    system: str
    asked: int
    said: int
    figures: tuple[Figure, ...]
    groups: Mapping[str, tuple[Figure, ...]] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EvalReport:
    """A protocol's result; ``list_sha256`` and the judges' cards say what it may be compared with."""

    protocol: str
    list_name: str
    list_sha256: str
    systems: tuple[SystemReport, ...]
    judges: tuple[str, ...]
    problems: tuple[Problem, ...]
    machine: str
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


def eval_markdown(report: EvalReport) -> str:
    """All systems in one table, groups in another, then who judged and what went wrong."""
    blocks = [_table("system", [(s.system, s.asked, s.said, s.figures) for s in report.systems])]
    grouped = [(f"{s.system}: {name}", 0, 0, figures) for s in report.systems for name, figures in s.groups.items()]
    if grouped:
        blocks.append(_table("group", grouped))
    facts = [f"protocol {report.protocol}, list {report.list_name} ({report.list_sha256[:12]}), {report.machine}"]
    facts += [f"judged by {judge}" for judge in report.judges]
    blocks.append("\n".join(f"- {fact}" for fact in (*facts, *report.notes)))
    if report.problems:
        shown = [f"- {problem}" for problem in report.problems[:SHOWN_PROBLEMS]]
        more = len(report.problems) - len(shown)
        shown += [f"- … and {more} more in the JSON"] if more else []
        blocks.append("\n".join([f"{len(report.problems)} problems, counted and left out:", *shown]))
    return "\n\n".join(blocks)


def _table(first: str, rows: Sequence[tuple[str, int, int, Sequence[Figure]]]) -> str:
    names = list(dict.fromkeys(figure.name for *_, figures in rows for figure in figures))
    with_counts = any(asked for _, asked, _, _ in rows)
    cells = []
    for name, asked, said, figures in rows:
        by_name = {figure.name: str(figure) for figure in figures}
        counts = [f"{said} of {asked}"] if with_counts else []
        cells.append([name, *counts, *(by_name.get(each, "–") for each in names)])
    return markdown_table([first, *(["said"] if with_counts else []), *names], cells)


def publish(report: EvalReport, out: Path) -> list[Path]:
    """Write ``report.json``, ``report.md`` and, where matplotlib is installed, ``report.png`` into a folder."""
    save_json(report, out / "report.json")
    (out / "report.md").write_text(eval_markdown(report) + "\n", encoding="utf-8")
    return [out / "report.json", out / "report.md", draw(report, out / "report.png")]


def draw(report: EvalReport, path: Path) -> Path:
    """A panel for each figure, a bar for each system, with its interval.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    plots = require("matplotlib.figure", INSTALL_PLOTS)
    names = list(dict.fromkeys(f.name for s in report.systems for f in s.figures if f.value is not None))
    columns = min(max(len(names), 1), 3)
    rows = max(-(-len(names) // columns), 1)
    size = (4.2 * columns, rows * (1.2 + 0.3 * len(report.systems)))
    figure = plots.Figure(figsize=size, layout="constrained")
    for place, name in enumerate(names, 1):
        axes = figure.add_subplot(rows, columns, place)
        held = [
            (s.system, f) for s in reversed(report.systems) for f in s.figures if f.name == name and f.value is not None
        ]
        axes.barh([system for system, _ in held], [f.value for _, f in held], color="tab:blue", alpha=0.7)
        for row, (_, f) in enumerate(held):
            if f.low is not None and f.high is not None:
                axes.plot([f.low, f.high], [row, row], color="black", linewidth=1.5)
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path
