"""A fine-tuning: a model, recordings, and the steps that a family takes from both to a model of that voice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from parlando.data.shards import Entry, PackedCorpus
from parlando.nn.lora import LoRAConfig
from parlando.train.loop.task import Task
from parlando.train.loop.trainer import Budget, Trainer

SEED, LM = 0, "lm"
FULL_RATE, ADAPTER_RATE, USUAL_WIDTH = 2e-4, 1.5e-3, 256
REFERENCE_SECONDS = 6.0
_EVALUATIONS = 5


@dataclass(frozen=True)
class Tuning:
    """What is tuned to whom: ``base`` is the model's folder, ``work`` that of everything on the way.

    ``minutes`` are those of all trainings together. With an ``adapter``, only that learns in the language model.
    """

    base: Path
    work: Path
    speaker: str
    description: str
    minutes: float
    adapter: LoRAConfig | None = None

    def rate(self, hidden_size: int) -> float:
        """The peak rate at which a language model of this width learns; wider ones take smaller steps."""
        usual = FULL_RATE if self.adapter is None else ADAPTER_RATE
        return usual * USUAL_WIDTH / hidden_size

    @property
    def packed(self) -> Path:
        """The folder of the recordings, packed."""
        return self.work / "packed"

    @property
    def codes(self) -> Path:
        """The folder of the recordings as codes."""
        return self.work / "codes"

    def run(self, name: str) -> Path:
        """The folder of a training."""
        return self.work / name


@dataclass(frozen=True)
class Step:
    """A step: ``result`` is a file that is there once it is done, ``take`` says whether it came to its end."""

    what: str
    result: Path
    take: Callable[[], bool]


def training(tuning: Tuning, name: str, share: float, result: str, make: Callable[[Budget], Task[Any]]) -> Step:
    """A training as a step, of a share of the minutes; it resumes, and a signal ends it early."""

    def take() -> bool:
        minutes = share * tuning.minutes
        every = minutes / _EVALUATIONS
        budget = Budget(minutes=minutes, evaluate_every_minutes=every, save_every_minutes=min(1.0, every))
        torch.manual_seed(SEED)
        return Trainer(make(budget), tuning.run(name), budget).run()

    return Step(f"train the {name} ({share * tuning.minutes:.1f} minutes)", tuning.run(name) / result, take)


def reference_entry(corpus: PackedCorpus) -> Entry:
    """The recording that a voice follows: of those that were trained on, the one of the most usual length."""
    wanted = REFERENCE_SECONDS * corpus.config.sample_rate
    return min((e for e in corpus.entries if e.split == "train"), key=lambda entry: abs(entry.samples - wanted))
