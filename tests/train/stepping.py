"""A task's stepper, which remembers its optimisers from one step of a test to the next."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from parlando.train.loop.checkpoint import newest_checkpoint, resume, save_checkpoint
from parlando.train.loop.step import Stepper
from parlando.train.loop.task import Task


@lru_cache(maxsize=8)
def stepper(task: Task[Any]) -> Stepper[Any]:
    """The same one for a task, however often it is asked for."""
    return Stepper(task)


def hand_on(task: Task[Any], other: Task[Any]) -> None:
    """Have another task go on where a task is, by a checkpoint."""
    with TemporaryDirectory() as folder:
        save_checkpoint(Path(folder), 1, stepper(task).state(), {}, leads=True)
        resume(newest_checkpoint(Path(folder)), stepper(other).state())
