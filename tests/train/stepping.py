"""A task's stepper, which remembers its optimisers from one step of a test to the next."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from parlando.train.loop.step import Stepper
from parlando.train.loop.task import Task


@lru_cache(maxsize=8)
def stepper(task: Task[Any]) -> Stepper[Any]:
    """The same one for a task, however often it is asked for."""
    return Stepper(task)
