"""The one training loop: a budget in steps or minutes, a log, a checkpoint that resumes to the step."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from tqdm import tqdm

from parlando.core.errors import ConfigError
from parlando.train.loop import parallel
from parlando.train.loop.checkpoint import newest_checkpoint, resume, save_checkpoint
from parlando.train.loop.memory import naming_what_to_halve
from parlando.train.loop.parallel import ALONE, Process, any_process, largest
from parlando.train.loop.plots import draw_log
from parlando.train.loop.sharding import ParallelConfig
from parlando.train.loop.step import Stepper
from parlando.train.loop.task import Task


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of steps, a number of minutes, or whichever ends first.

    A step learns from ``batches_per_step`` batches of every process, one after the other, in the memory of one (an
    adversarial step holds what it made of all of them).
    """

    steps: int | None = None
    minutes: float | None = None
    batches_per_step: int = 1
    log_every_steps: int = 20
    evaluate_every_minutes: float = 4.0
    save_every_minutes: float = 4.0

    def __post_init__(self) -> None:
        if not self.steps and not self.minutes:
            raise ConfigError("a training needs a budget: give steps or minutes")
        if self.batches_per_step < 1:
            raise ConfigError(f"budget.batches_per_step must be at least 1, got {self.batches_per_step}")

    def progress(self, step: int, seconds: float) -> float:
        """Share of the budget that is used, from 0 to 1."""
        by_steps = step / self.steps if self.steps else 0.0
        by_time = seconds / (60 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(by_steps, by_time))


def _forget_after(step: int, log: Path) -> None:
    """Take what a kill left past the checkpoint out of a log, since it comes again; a line that was cut off, too."""
    if not log.is_file():
        return
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    if len(kept) < len(lines):
        partial = log.with_suffix(".partial")
        partial.write_text("".join(kept), encoding="utf-8")
        partial.replace(log)


class Trainer:
    """Runs a task in a folder: ``log.jsonl``, a checkpoint, and the task's own export at the end."""

    def __init__(
        self,
        task: Task[Any],
        folder: Path,
        budget: Budget,
        process: Process = ALONE,
        config: ParallelConfig = ParallelConfig(),  # noqa: B008 (frozen)
    ) -> None:
        """Go on where the folder's checkpoint ends, if there is one.

        Raises:
            CheckpointError: the checkpoint is damaged, or another task's.
            ConfigError: these processes cannot share the batches of its steps, or the task cannot be laid out so.
        """
        self.folder, self.budget, self.leads = folder, budget, process.leads
        self.stepper = Stepper(task, process, budget.batches_per_step, config)
        self.step, self.seconds, self.stopped, self._asked = 0, 0.0, False, False
        folder.mkdir(parents=True, exist_ok=True)
        if newest := newest_checkpoint(folder):
            saved = resume(newest, self.stepper.state(), self.stepper.frozen_places)
            self.step, self.seconds = saved["step"], saved["seconds"]
            self._keep_batches(saved)
        if self.leads:
            _forget_after(self.step, folder / "log.jsonl")

    def _keep_batches(self, saved: Mapping[str, Any]) -> None:
        """Learn from as many batches a step as before, on however many processes, unless the recipe has changed."""
        processes, of_all = parallel.size(), saved.get("batches_of_all")
        if of_all is None or saved["batches_per_step"] != self.budget.batches_per_step:
            return
        if of_all % processes:
            raise ConfigError(
                f"the run in '{self.folder}' has {of_all} batches a step, which {processes} processes cannot share; "
                f"resume it on a number of processes that divides {of_all}"
            )
        self.stepper.share_batches(of_all // processes)

    def run(self) -> bool:
        """Train until the budget is used; returns False when a signal stopped it early (everything is saved).

        Raises:
            TrainingError: a loss or gradient is not finite; the last checkpoint is still there.
        """
        marks = {"evaluate": self.seconds, "save": self.seconds}
        with self._stop_on_signal(), closing(self.stepper), self._bar() as bar:
            while not self.stopped and self.budget.progress(self.step, self.seconds) < 1:
                self._one_step(bar)
                if self._due(marks, "evaluate", self.budget.evaluate_every_minutes):
                    self._evaluate()
                if self._due(marks, "save", self.budget.save_every_minutes):
                    self.save()
        self.save()
        if not self.stopped:
            self._evaluate()
        if not self.stopped:
            self.stepper.export(self.folder)
        if not self.stopped and self.leads:
            draw_log(self.folder / "log.jsonl")
        return not self.stopped

    def _evaluate(self) -> None:
        """Every process takes part, since parameters may lie in pieces; the leader writes it down."""
        self._log({"held_out": dict(self.stepper.evaluate())})

    def save(self) -> None:
        """Write the checkpoint, every process its own pieces; the old one stays until the new one is whole."""
        facts = {
            "seconds": self.seconds,
            "batches_per_step": self.budget.batches_per_step,
            "batches_of_all": self.stepper.share.of_all,
        }
        save_checkpoint(self.folder, self.step, self.stepper.state(), facts, self.leads)

    def _one_step(self, bar: Any) -> None:
        started = time.perf_counter()
        before = self.budget.progress(self.step, self.seconds)
        with naming_what_to_halve(self.stepper.task.batch_setting, self.step):
            metrics = self.stepper.step(self.step, before)
        elapsed = largest(time.perf_counter() - started)
        self.step, self.seconds = self.step + 1, self.seconds + elapsed
        self.stopped = any_process(self._asked)
        metrics["audio_seconds_per_second"] = metrics.pop("audio_seconds") / elapsed
        bar.n = round(1000 * self.budget.progress(self.step, self.seconds))
        if self.step % self.budget.log_every_steps == 0:
            self._log(metrics)
            bar.set_postfix(
                {k: f"{v:.3g}" for k, v in list(metrics.items())[:4]}
                | {"x": f"{metrics['audio_seconds_per_second']:.0f}"}
            )
        bar.refresh()

    def _due(self, marks: dict[str, float], name: str, minutes: float) -> bool:
        due = self.seconds - marks[name] >= 60 * minutes
        if due:
            marks[name] = self.seconds
        return due

    def _log(self, metrics: Mapping[str, Any]) -> None:
        if not self.leads:
            return
        line = {"step": self.step, "minutes": round(self.seconds / 60, 3), **metrics}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def _bar(self) -> Any:
        start = round(1000 * self.budget.progress(self.step, self.seconds))
        shape = "{l_bar}{bar}| {elapsed}<{remaining}{postfix}"
        return tqdm(
            total=1000, initial=start, desc=self.folder.name, bar_format=shape, mininterval=2, disable=not self.leads
        )

    @contextmanager
    def _stop_on_signal(self) -> Iterator[None]:
        """A signal asks; the group stops together, after a step, since no process can go on without the others."""

        def stop(number: int, frame: FrameType | None) -> None:
            del number, frame
            self._asked = True

        previous = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
