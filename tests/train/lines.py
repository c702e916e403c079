"""The smallest task there is: a line through sums."""

from __future__ import annotations

import signal
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.task import Arrays, Extent, Learner, Objective, Task

OPTIM = OptimConfig()


@dataclass(frozen=True)
class Points(Arrays):
    x: Tensor


class Line(Task[Points]):
    """Fits a line to as many points as ``sizes`` says; its loss is no number at ``breaks``, a signal at ``stops``.

    ``evaluation_stops`` is the evaluation in which the signal comes, counted from 1.
    """

    def __init__(self, breaks=None, stops=None, number=signal.SIGINT, sizes=(4,), noise=0.1, evaluation_stops=None):
        torch.manual_seed(99)
        self.model, self.breaks, self.stops, self.number, self.sizes = nn.Linear(2, 1), breaks, stops, number, sizes
        self.seen, self.evaluated, self.noise = [], 0, noise
        self.evaluation_stops = evaluation_stops

    @property
    def modules(self):
        return {"model": self.model}

    @property
    def learners(self):
        return {"model": Learner(self.model, OPTIM)}

    def batch(self, number):
        generator = torch.Generator().manual_seed(number)
        return Points(torch.randn(self.sizes[number % len(self.sizes)], 2, generator=generator))

    def extent(self, batch):
        return Extent(len(batch.x), 2.0, len(batch.x))

    def objectives(self, batch, progress):
        step = len(self.seen)
        self.seen.append(round(progress, 6))
        x = batch.x + self.noise * torch.randn(batch.x.shape)
        loss = (self.model(x) - x.sum(1, keepdim=True)).square().mean()
        yield Objective("model", loss * float("nan") if step == self.breaks else loss, {})

    def after_step(self):
        if len(self.seen) - 1 == self.stops:
            signal.raise_signal(self.number)

    def evaluate(self, device):
        self.evaluated += 1
        if self.evaluated == self.evaluation_stops:
            signal.raise_signal(self.number)
        return {"loss": 0.5}

    def export(self, folder):
        (folder / "line.txt").write_text("done")
