"""Training of any family's language model: what is said next, and which phone that is as an aid.

A family says what its batches look like and what is lost on them.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, Self, TypeVar, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.data.shards import PHONES, UNKNOWN_PHONE
from parlando.nn.checkpoint import save_tensors
from parlando.nn.placement import training_autocast
from parlando.train.loop import parallel
from parlando.train.loop.checkpoint import load_weights
from parlando.train.loop.optim import OptimConfig, apply_gradients, make_optimizer
from parlando.train.shared.sentences import SentenceSampler

IGNORED_LABEL = -100
LM_WEIGHTS, LM_CONFIG = "lm.safetensors", "lm.json"


@dataclass(frozen=True, kw_only=True)
class SequenceTrainConfig:
    """How a language model is trained; the phone aid's weight goes from ``phone_weight`` to ``phone_final``."""

    optim: OptimConfig = field(default_factory=lambda: OptimConfig(rate=1.2e-3))
    phone_weight: float = 0.5
    phone_final: float = 0.1
    dropout: float = 0.0
    start_from: str | None = None
    frame_rate: float = 25.0

    def phone_weight_at(self, progress: float) -> float:
        """Weight of the phone aid at a share of the budget."""
        return self.phone_weight + progress * (self.phone_final - self.phone_weight)


@dataclass(frozen=True)
class Arrays:
    """A batch: fields are tensors whose first two dimensions are [batch, position]."""

    def to(self, device: torch.device) -> Self:
        """The same on another device."""
        return type(self)(*(getattr(self, each.name).to(device) for each in fields(self)))


ExampleT = TypeVar("ExampleT")
BatchT = TypeVar("BatchT", bound=Arrays)


class SequenceTask(ABC, Generic[ExampleT, BatchT]):
    """Implements `train.loop.Task` for a language model ``lm``, whose config is ``lm.config``."""

    def __init__(
        self,
        sampler: SentenceSampler[ExampleT],
        lm: nn.Module,
        config: SequenceTrainConfig,
        device: str = "cpu",
        rank: int = 0,
    ) -> None:
        self.sampler, self.config, self.device, self.rank = sampler, config, torch.device(device), rank
        if config.start_from:
            load_weights(lm, Path(config.start_from) / LM_WEIGHTS)
        self._sizes = cast("Any", lm.config)
        self.phone_head = nn.Linear(self._sizes.hidden_size, len(PHONES))
        self.trained = nn.ModuleList([lm, self.phone_head, *self._aids()]).to(self.device)
        self.optimizer = make_optimizer(self.trained, config.optim)

    def _aids(self) -> Sequence[nn.Module]:
        """Modules that are trained along, besides the phone head."""
        return ()

    @abstractmethod
    def _collate(self, examples: Sequence[ExampleT]) -> BatchT:
        """Pad examples to a batch on the task's device."""

    @abstractmethod
    def _losses(self, batch: BatchT) -> dict[str, Float[Tensor, ""]]:
        """Losses and accuracies by name; ``phone`` among them."""

    @abstractmethod
    def _total(self, losses: Mapping[str, Tensor], progress: float) -> Float[Tensor, ""]:
        """What is minimised besides the phone aid at a share of the budget."""

    @abstractmethod
    def _extent(self, batch: BatchT) -> tuple[int, int]:
        """Positions of a batch, padding included, and its frames to be learned."""

    @abstractmethod
    def _weights(self) -> Mapping[str, Tensor]:
        """The language model's tensors."""

    def train_step(self, step: int, progress: float) -> Mapping[str, float]:
        """One batch."""
        batch = self._collate(self.sampler.batch(step, self.rank))
        self.trained.train()
        with training_autocast(self.device):
            losses = self._losses(batch)
        loss = self._total(losses, progress) + self.config.phone_weight_at(progress) * losses["phone"]
        loss.backward()
        norm = apply_gradients(self.optimizer, self.trained.parameters(), self.config.optim, progress)
        positions, frames = self._extent(batch)
        return {
            "loss": float(loss.detach()),
            **{name: float(value.detach()) for name, value in losses.items()},
            "norm": norm,
            "tokens": positions * parallel.size(),
            "audio_seconds": frames / self.config.frame_rate * parallel.size(),
        }

    def _phone_losses(
        self, hidden: Float[Tensor, "frame dim"], phones: Int[Tensor, " frame"]
    ) -> dict[str, Float[Tensor, ""]]:
        """Of the phone of the frame to be said, wherever it is known."""
        logits = self.phone_head(hidden).float()
        known = phones != IGNORED_LABEL
        return {
            "phone": functional.cross_entropy(logits, phones, ignore_index=IGNORED_LABEL),
            "phone_accuracy": (logits.argmax(-1) == phones)[known].float().mean(),
        }

    @torch.no_grad()
    def evaluate(self) -> Mapping[str, float]:
        """Losses and next-frame phone accuracy on held-out sentences."""
        return self._mean_losses(self.sampler.held_out())

    def _mean_losses(self, examples: Sequence[ExampleT]) -> dict[str, float]:
        self.trained.eval()
        parts = [self._losses(self._collate(batch)) for batch in by_length(examples)]
        return {name: float(np.mean([float(part[name]) for part in parts])) for name in parts[0]}

    def state(self) -> dict[str, Any]:
        """Weights and optimiser."""
        return {"trained": self.trained.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self.trained.load_state_dict(state["trained"])
        self.optimizer.load_state_dict(state["optimizer"])

    def export(self, folder: Path) -> None:
        """``lm.safetensors`` (float32) and ``lm.json``."""
        save_tensors({k: v.detach().float() for k, v in self._weights().items()}, folder / LM_WEIGHTS)
        (folder / LM_CONFIG).write_text(json.dumps(asdict(self._sizes), indent=2), encoding="utf-8")


def by_length(examples: Sequence[Any], size: int = 8) -> list[list[Any]]:
    """Batches of examples (pairs that begin with something that has a ``prompt``), short ones together."""
    ordered = sorted(examples, key=lambda example: len(example[0].prompt))
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]


def known_phones(labels: np.ndarray) -> np.ndarray:
    """Phone labels as targets: what nobody knows is ignored."""
    return np.where(labels == UNKNOWN_PHONE, IGNORED_LABEL, labels)
