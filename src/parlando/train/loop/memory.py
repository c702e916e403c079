"""What to do when a step does not fit into memory: the message names the setting that makes it smaller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from parlando.core.errors import TrainingError

_HOST_IS_FULL = ("can't allocate memory", "not enough memory", "out of memory")


@contextmanager
def naming_what_to_halve(setting: str, step: int) -> Iterator[None]:
    """Say of an allocation that failed which ``setting`` of the recipe to halve.

    Raises:
        TrainingError: there was not enough memory for the step.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        full = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not full and not any(sign in str(error).lower() for sign in _HOST_IS_FULL):
            raise
        raise TrainingError(
            f"out of memory at step {step + 1}; halve {setting} in the recipe (budget.batches_per_step doubles what a "
            "step learns from in the same memory), and run the same command: it goes on from the last checkpoint"
        ) from error
