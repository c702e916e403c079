"""Curves of a training, from its log: people look rather than read."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HIDDEN = {"step", "minutes", "held_out", "norm", "tokens"}


def read_log(path: Path) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Metric name to its two curves, "training" and "held out", each a list of (minutes, value)."""
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry: dict[str, Any] = json.loads(line)
        kinds = {"held out": entry.get("held_out", {}), "training": {k: v for k, v in entry.items() if k not in HIDDEN}}
        for kind, metrics in kinds.items():
            for name, value in metrics.items():
                curves.setdefault(name, {}).setdefault(kind, []).append((entry["minutes"], value))
    return curves


def draw_log(path: Path) -> Path | None:
    """Write ``log.png`` beside a log, one panel a metric; returns None where matplotlib is not installed."""
    if find_spec("matplotlib") is None or not path.is_file():
        return None
    from matplotlib.figure import Figure

    curves = read_log(path)
    columns = 3
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(4.2 * columns, 2.6 * rows), layout="constrained")
    for index, (name, kinds) in enumerate(curves.items(), 1):
        axes = figure.add_subplot(rows, columns, index)
        for kind, points in kinds.items():
            minutes, values = zip(*points, strict=True)
            axes.plot(minutes, values, marker="o" if kind == "held out" else "", markersize=3, label=kind, linewidth=1)
        axes.set_title(name.replace("_", " "))
        axes.set_xlabel("minutes of training")
        axes.legend(frameon=False, fontsize=7)
        axes.grid(alpha=0.3)
    target = path.with_suffix(".png")
    figure.savefig(target, dpi=110)
    return target
