"""What the trainer asks of a task: batches, losses, modules, who learns, evaluation and export.

The trainer owns the step: device, precision, accumulation, backward, clipping, averaging over processes, checkpoints.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from parlando.train.loop.optim import OptimConfig


class Batch(Protocol):
    """What a step learns from; it is made on the host."""

    def to(self, device: torch.device, /) -> Self:
        """The same on another device."""
        ...


@dataclass(frozen=True)
class Arrays:
    """A batch whose fields are tensors, batches themselves, or None."""

    def to(self, device: torch.device) -> Self:
        """The same on another device."""
        parts = (getattr(self, each.name) for each in fields(self))
        return type(self)(*(None if part is None else part.to(device) for part in parts))


@dataclass(frozen=True)
class Extent:
    """How much is in a batch.

    Its losses are means over ``units``: by them, batches of unequal size weigh what they hold. ``positions`` are those
    that are computed, padding included.
    """

    units: int
    audio_seconds: float
    positions: int


@dataclass(frozen=True)
class Learner:
    """Parameters that one optimiser moves, and how."""

    module: nn.Module
    optim: OptimConfig


@dataclass(frozen=True)
class Objective:
    """What a learner minimises within a step, and what of it is written down."""

    learner: str
    loss: Tensor
    logged: Mapping[str, Tensor]


BatchT = TypeVar("BatchT", bound=Batch)


class Task(ABC, Generic[BatchT]):
    """Something to train. What a step learns from depends on nothing but its number and the process's rank."""

    autocast_on: ClassVar[tuple[str, ...]] = ()
    """Types of devices on which products are in bfloat16, where the device has units for them."""

    batch_setting: ClassVar[str] = "the batch"
    """The recipe's key by which batches are smaller."""

    @property
    @abstractmethod
    def modules(self) -> Mapping[str, nn.Module]:
        """Everything that has weights or buffers, by the names that a checkpoint gives it."""

    @property
    @abstractmethod
    def learners(self) -> Mapping[str, Learner]:
        """Who learns; each has an optimiser of its own."""

    @abstractmethod
    def batch(self, number: int, rank: int) -> BatchT:
        """The batch of a number, each process's own, on the host. May run in another thread, beside a step."""

    @abstractmethod
    def extent(self, batch: BatchT) -> Extent:
        """How much is in a batch."""

    @abstractmethod
    def objectives(self, batch: BatchT, progress: float) -> Iterator[Objective]:
        """What is minimised in one step at a share of the budget (0 to 1), one after the other.

        A learner has moved when the next objective is asked for. The last one's loss is the step's. What is drawn comes
        from torch's generator, which the trainer has seeded.
        """

    def after_step(self) -> None:
        """What is left to do when all learners have moved."""

    @abstractmethod
    def evaluate(self, device: torch.device) -> Mapping[str, float]:
        """Held-out metrics; gradients are off and the modules are in their mode for use."""

    @abstractmethod
    def export(self, folder: Path) -> None:
        """Write the trained model for use."""
