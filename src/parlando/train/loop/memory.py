"""Out of memory, told with the setting that helps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from parlando.core.errors import TrainingError

# What torch says when the host has no more; only devices have an exception of their own.
_HOST_SAYS = "can't allocate memory"


@contextmanager
def naming_what_to_halve(setting: str, where: str) -> Iterator[None]:
    """Do something that may need more memory than there is.

    Raises:
        TrainingError: it did; the message names the setting to halve.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and _HOST_SAYS not in str(error):
            raise
        raise TrainingError(
            f"out of memory at {where}: halve {setting} in the recipe and double budget.batches_per_step, which leaves "
            "steps as they were; for a language model, parallel.checkpoint_activations = true or strategy = 'fsdp' "
            "on several processes save memory as well"
        ) from error
