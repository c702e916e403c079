"""THE step: every training's batches, precision, accumulation, backward pass, clipping and learning rate."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic

import torch

from parlando.core.errors import TrainingError
from parlando.train.loop import parallel
from parlando.train.loop.adapters import frozen_names, learned_state
from parlando.train.loop.optim import MovingAverage, advance, begin_optimizer, clip_gradients, make_optimizer
from parlando.train.loop.parallel import ALONE, Process
from parlando.train.loop.prefetch import Prefetcher
from parlando.train.loop.sharding import ParallelConfig, lay_out, put_away, whole
from parlando.train.loop.task import BatchT, Objective, Task

# Every turn of a batch draws from a seed of its own; far more batches than any training has lie between two.
_SEEDS_PER_TURN = 1 << 40


@dataclass(frozen=True)
class Share:
    """Which batches a process makes: ``batches`` in a row of those of a step, which are the same for any processes."""

    rank: int
    batches: int

    @property
    def of_all(self) -> int:
        """How many batches a step has."""
        return self.batches * parallel.size()

    def number(self, place: int) -> int:
        """The number of the batch that is this process's ``place``-th one."""
        step, within = divmod(place, self.batches)
        return step * self.of_all + self.rank * self.batches + within


class Stepper(Generic[BatchT]):
    """Moves a task's learners, ``batches`` batches a step on every process.

    A step is a pure function of weights, optimisers, its number and the share of the budget, and of how many batches
    it has, but not of how many processes have them: a resumed run goes the very way that it would have gone.
    """

    def __init__(
        self,
        task: Task[BatchT],
        process: Process = ALONE,
        batches: int = 1,
        config: ParallelConfig = ParallelConfig(),  # noqa: B008 (frozen)
    ) -> None:
        self.task, self.process, self.device = task, process, torch.device(process.device)
        self.modules = dict(task.modules)
        self.frozen = {name: frozen_names(module) for name, module in self.modules.items()}
        products = config.products(self.device, task.autocast_on)
        narrow = products is not torch.float32
        self.precision = partial(torch.autocast, self.device.type, torch.bfloat16, enabled=narrow)
        lay_out(self.modules.values(), task.blocks, config, self.device, products)
        self.learners = dict(task.learners)
        self.optimizers = {name: make_optimizer(each.module, each.optim) for name, each in self.learners.items()}
        self.averages = {
            name: MovingAverage(each.module, each.optim.ema) for name, each in self.learners.items() if each.optim.ema
        }
        self.share_batches(batches)

    def share_batches(self, batches: int) -> None:
        """Have every process make so many batches of a step."""
        self.share = Share(self.process.rank, batches)
        self.coming = Prefetcher(lambda place: self.task.batch(self.share.number(place)), ahead=batches)

    def step(self, number: int, progress: float) -> dict[str, float]:
        """One step at a share of the budget; returns what to log, and over all processes ``tokens``, ``audio_seconds``.

        Raises:
            TrainingError: a loss or gradient is not finite; no learner has followed it.
        """
        places = range(number * self.share.batches, (number + 1) * self.share.batches)
        numbers = [self.share.number(place) for place in places]
        batches = [self.coming.get(place).to(self.device) for place in places]
        extents = [self.task.extent(batch) for batch in batches]
        units = [extent.units for extent in extents]
        all_units, positions, seconds = parallel.total(
            [sum(units), sum(e.positions for e in extents), sum(e.audio_seconds for e in extents)]
        )
        for module in self.modules.values():
            module.train()
        # Gradients are averaged over processes: each weighs its own by its share of the units, times their number.
        weights = [count * parallel.size() / all_units for count in units]
        running = [
            Running(batch, self.task.objectives(made, progress), weight)
            for batch, made, weight in zip(numbers, batches, weights, strict=True)
        ]
        logged = self._reach(running, number, progress)
        self.task.after_step()
        return {**logged, "tokens": positions, "audio_seconds": seconds}

    def close(self) -> None:
        """Make no more batches."""
        self.coming.close()

    def evaluate(self) -> Mapping[str, float]:
        """The task's held-out metrics, of the averages where there are any."""
        for module in self.modules.values():
            module.eval()
        with torch.no_grad(), self._averaged():
            metrics = self.task.evaluate(self.device)
            put_away(self.modules.values())
        return metrics

    def export(self, folder: Path) -> None:
        """Have the task write its model; all processes gather it, the one that leads writes."""
        with self._averaged(), whole(self.modules.values(), self.process.leads):
            if self.process.leads:
                self.task.export(folder)

    def state(self) -> dict[str, Any]:
        """Everything needed to go on: the weights that learn, optimisers and averages. The tensors are those in use."""
        for optimizer in self.optimizers.values():
            begin_optimizer(optimizer)
        return {
            "modules": {name: learned_state(each, self.frozen[name]) for name, each in self.modules.items()},
            "optimizers": {name: optimizer.state_dict()["state"] for name, optimizer in self.optimizers.items()},
            "averages": {name: average.kept for name, average in self.averages.items()},
        }

    @property
    def frozen_places(self) -> frozenset[str]:
        """The places in a state that whole modules would have, and these have not."""
        return frozenset(f"modules/{module}/{name}" for module, names in self.frozen.items() for name in names)

    def _averaged(self) -> ExitStack:
        stack = ExitStack()
        for average in self.averages.values():
            stack.enter_context(average.in_place())
        return stack

    def _reach(self, running: Sequence[Running], number: int, progress: float) -> dict[str, float]:
        """All batches' first objectives, then their learner moves; then the second ones, and so on."""
        logged: dict[str, float] = defaultdict(float)
        norm, turn = 0.0, 0
        while learner := self._accumulate(running, turn, logged):
            norm = self._move(learner, running, number, progress)
            turn += 1
        everywhere = parallel.total(list(logged.values()))
        return {**dict(zip(logged, everywhere, strict=True)), "norm": norm}

    def _accumulate(self, running: Sequence[Running], turn: int, logged: dict[str, float]) -> str | None:
        """Whose objective is next, with its gradients summed over the batches; nobody's when the step is over."""
        whose, loss = None, 0.0
        for each in running:
            torch.manual_seed(each.number + turn * _SEEDS_PER_TURN)
            with self.precision():
                objective = next(each.objectives, None)
            if objective is None:
                return None
            (objective.loss * each.weight).backward()
            whose, each.loss = objective.learner, float(objective.loss.detach())
            share = each.weight / parallel.size()
            loss += each.loss * share
            for name, value in objective.logged.items():
                logged[name] += float(value.detach()) * share
        logged["loss"] = loss
        return whose

    def _move(self, name: str, running: Sequence[Running], number: int, progress: float) -> float:
        learner = self.learners[name]
        norm = clip_gradients(learner.module.parameters(), learner.optim.clip)
        broken = [each.number for each in running if not math.isfinite(each.loss)]
        first = -parallel.largest(-min(broken, default=math.inf))
        if parallel.any_process(bool(broken) or not math.isfinite(norm)):
            places = _named(range(number * self.share.of_all, (number + 1) * self.share.of_all))
            what = f"batch {first:.0f}" if math.isfinite(first) else f"the gradients of {places}"
            raise TrainingError(
                f"the loss is not finite at step {number + 1} ({what}); "
                "resume from the last checkpoint with a lower rate"
            )
        advance(self.optimizers[name], learner.optim.rate_at(progress))
        if name in self.averages:
            self.averages[name].update()
        return norm


@dataclass
class Running:
    """A batch of a step under way: its number, what is left of its objectives, its weight, and its last loss."""

    number: int
    objectives: Iterator[Objective]
    weight: float
    loss: float = 0.0


def _named(numbers: Sequence[int]) -> str:
    return f"batch {numbers[0]}" if len(numbers) == 1 else f"batches {numbers[0]} to {numbers[-1]}"
