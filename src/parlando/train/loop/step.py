"""THE step: every training's batches, precision, accumulation, backward pass, clipping and learning rate."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Generic

import torch

from parlando.core.errors import TrainingError
from parlando.nn.placement import training_autocast
from parlando.train.loop import parallel
from parlando.train.loop.adapters import frozen_names, learned_state, restore_learned
from parlando.train.loop.optim import advance, clip_gradients, make_optimizer
from parlando.train.loop.parallel import ALONE, Process
from parlando.train.loop.prefetch import Prefetcher
from parlando.train.loop.task import BatchT, Objective, Task


class Stepper(Generic[BatchT]):
    """Moves a task's learners, ``batches`` batches a step on every process.

    A step is a pure function of weights, optimisers, its number and the share of the budget: a resumed run goes the
    very way that it would have gone.
    """

    def __init__(self, task: Task[BatchT], process: Process = ALONE, batches: int = 1) -> None:
        self.task, self.rank, self.device, self.batches = task, process.rank, torch.device(process.device), batches
        self.modules = dict(task.modules)
        self.frozen = {name: frozen_names(module) for name, module in self.modules.items()}
        for module in self.modules.values():
            module.to(self.device)
            parallel.share_first(module.state_dict().values())
        self.learners = dict(task.learners)
        self.coming = Prefetcher(partial(task.batch, rank=process.rank), ahead=batches)
        self.optimizers = {name: make_optimizer(each.module, each.optim) for name, each in self.learners.items()}

    def step(self, number: int, progress: float) -> dict[str, float]:
        """One step at a share of the budget; returns what to log, and over all processes ``tokens``, ``audio_seconds``.

        Raises:
            TrainingError: a loss or gradient is not finite; no learner has followed it.
        """
        torch.manual_seed(number * parallel.size() + self.rank)
        numbers = range(number * self.batches, (number + 1) * self.batches)
        batches = [self.coming.get(each).to(self.device) for each in numbers]
        extents = [self.task.extent(batch) for batch in batches]
        units = [extent.units for extent in extents]
        all_units, positions, seconds = parallel.total(
            [sum(units), sum(e.positions for e in extents), sum(e.audio_seconds for e in extents)]
        )
        for module in self.modules.values():
            module.train()
        running = [self.task.objectives(batch, progress) for batch in batches]
        # Gradients are averaged over processes: each weighs its own by its share of the units, times their number.
        weights = [count * parallel.size() / all_units for count in units]
        logged = self._reach(running, weights, number, progress)
        self.task.after_step()
        return {**logged, "tokens": positions, "audio_seconds": seconds}

    def close(self) -> None:
        """Make no more batches."""
        self.coming.close()

    def evaluate(self) -> Mapping[str, float]:
        """The task's held-out metrics."""
        for module in self.modules.values():
            module.eval()
        with torch.no_grad():
            return self.task.evaluate(self.device)

    def state(self) -> dict[str, Any]:
        """Everything needed to go on: the weights that learn, and optimisers."""
        return {
            "modules": {name: learned_state(each, self.frozen[name]) for name, each in self.modules.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state`."""
        for name, module in self.modules.items():
            restore_learned(module, state["modules"].get(name, {}), self.frozen[name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])

    def _reach(
        self, running: Sequence[Iterator[Objective]], weights: Sequence[float], number: int, progress: float
    ) -> dict[str, float]:
        """All batches' first objectives, then their learner moves; then the second ones, and so on."""
        logged: dict[str, float] = defaultdict(float)
        norm = 0.0
        while learner := self._accumulate(running, weights, logged):
            norm = self._move(learner, number, progress, logged["loss"])
        return {**logged, "norm": norm}

    def _accumulate(
        self, running: Sequence[Iterator[Objective]], weights: Sequence[float], logged: dict[str, float]
    ) -> str | None:
        """Whose objective is next, with its gradients summed over the batches; nobody's when the step is over."""
        whose, loss, whole = None, 0.0, sum(weights)
        for objectives, weight in zip(running, weights, strict=True):
            with training_autocast(self.device, self.task.autocast_on):
                objective = next(objectives, None)
            if objective is None:
                return None
            (objective.loss * weight).backward()
            whose = objective.learner
            loss += float(objective.loss.detach()) * (weight / whole)
            for name, value in objective.logged.items():
                logged[name] += float(value.detach()) * (weight / whole)
        logged["loss"] = loss
        return whose

    def _move(self, name: str, number: int, progress: float, loss: float) -> float:
        learner = self.learners[name]
        norm = clip_gradients(learner.module.parameters(), learner.optim.clip)
        if parallel.any_process(not math.isfinite(norm) or not math.isfinite(loss)):
            batch = number * self.batches
            places = f"batch {batch}" if self.batches == 1 else f"batches {batch} to {batch + self.batches - 1}"
            raise TrainingError(
                f"the loss is not finite at step {number + 1} ({places}); "
                "resume from the last checkpoint with a lower rate"
            )
        advance(self.optimizers[name], learner.optim.rate_at(progress))
        return norm
