"""Tokens per second of a published language model's sizes, random weights: kinds of numbers and a peer by turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast, get_args

import torch

from parlando.core.errors import ConfigError
from parlando.evaluate.report import markdown_table
from parlando.evaluate.speed.bench import Throughput, measure
from parlando.evaluate.speed.contender import Generator, Load, maker
from parlando.evaluate.speed.machine import describe_machine
from parlando.nn.few_bits import Kind
from parlando.nn.placement import DTYPES

PEER = "transformers"


@dataclass(frozen=True)
class Contestant:
    """Ours or the peer's, computing in ``dtype``; ours may be kept in few bits."""

    name: str
    dtype: torch.dtype
    quantize: Kind | None = None
    is_peer: bool = False

    @classmethod
    def of(cls, name: str, few_bits_in: torch.dtype) -> Contestant:
        """By its name: a dtype, a kind of few bits (computed in ``few_bits_in``), or ``transformers:`` and a dtype.

        Raises:
            ConfigError: it is none of them.
        """
        who, _, numbers = name.rpartition(":")
        if who == "" and numbers in get_args(Kind):
            return cls(name, few_bits_in, cast("Kind", numbers))
        if who in ("", PEER) and numbers in DTYPES:
            return cls(name, DTYPES[numbers], is_peer=who == PEER)
        raise ConfigError(f"'{name}' is not one of {', '.join((*DTYPES, *get_args(Kind)))} and {PEER}:DTYPE")

    def generator(self, family: str, config: Any, load: Load) -> Generator:
        """Whoever takes part under this name.

        Raises:
            MissingDependencyError: the peer is not installed.
        """
        load = replace(load, dtype=self.dtype, quantize=self.quantize)
        return maker(family, "peer" if self.is_peer else "ours")(config, load)


@dataclass(frozen=True)
class LMReport:
    """Speed of every contestant at every batch size; ratios are to the first one."""

    sizes: str
    machine: str
    threads: int
    figures: dict[str, tuple[Throughput, ...]]


def run_lm_bench(sizes: str, family: str, config: Any, contestants: Sequence[Contestant], load: Load) -> LMReport:
    """Measure them by turns, on the same requests; the weights of all are held at once."""
    generators = [contestant.generator(family, config, load) for contestant in contestants]
    columns = measure(generators, load)
    figures = {contestant.name: column for contestant, column in zip(contestants, columns, strict=True)}
    return LMReport(sizes, describe_machine(), torch.get_num_threads(), figures)


def lm_markdown(report: LMReport) -> str:
    """Tokens per second as a table, each with its ratio to the first row's."""
    first = next(iter(report.figures.values()))
    header = [f"{report.sizes}, tokens/s", *(f"{each.batch} at a time" for each in first)]
    rows = [
        [name, *(_beside(mine, other) for mine, other in zip(figures, first, strict=True))]
        for name, figures in report.figures.items()
    ]
    return f"{markdown_table(header, rows)}\n\n{report.machine}, {report.threads} threads"


def _beside(mine: Throughput, other: Throughput) -> str:
    return f"{mine.tokens_per_second:.1f} ({mine.tokens_per_second / other.tokens_per_second:.2f} ×)"
