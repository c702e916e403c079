"""Training of any family's language model: what is said next, and which phone that is as an aid.

A family says what its batches look like and what is lost on them.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from parlando.core.errors import ConfigError
from parlando.core.types import IGNORED_LABEL
from parlando.data.shards import PHONES, UNKNOWN_PHONE
from parlando.nn.checkpoint import load_strictly, save_tensors
from parlando.nn.lora import LoRAConfig
from parlando.nn.peft import Names, write_adapter
from parlando.train.loop.adapters import EVERYTHING, choose_trainable
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.task import Batch, BatchT, Extent, Learner, Objective, Task
from parlando.train.shared.losses import known_cross_entropy
from parlando.train.shared.start import ADAPTER_FOLDER, LM_CONFIG, LM_WEIGHTS, Start


@dataclass(frozen=True, kw_only=True)
class SequenceTrainConfig:
    """How a language model is trained; the phone aid's weight goes from ``phone_weight`` to ``phone_final``.

    All of it learns, or the parameters that ``trainable`` names (by patterns of their names' ends), or an ``adapter``.
    """

    optim: OptimConfig = field(default_factory=lambda: OptimConfig(rate=1.2e-3))
    phone_weight: float = 0.5
    phone_final: float = 0.1
    dropout: float = 0.0
    frame_rate: float = 25.0
    trainable: tuple[str, ...] = EVERYTHING
    adapter: LoRAConfig | None = None

    @property
    def learns_all(self) -> bool:
        """Whether every parameter learns."""
        return self.adapter is None and self.trainable == EVERYTHING

    def phone_weight_at(self, progress: float) -> float:
        """Weight of the phone aid at a share of the budget."""
        return self.phone_weight + progress * (self.phone_final - self.phone_weight)


ExampleT = TypeVar("ExampleT")


class Trained(nn.ModuleList):
    """A language model and its aids, as one module: what gathers its weights sees every use of them."""

    def __init__(self, parts: Sequence[nn.Module], losses: Callable[[Any], dict[str, Tensor]]) -> None:
        super().__init__(parts)
        self._losses = losses

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The losses of a batch, by name."""
        return self._losses(batch)


class Mix(Protocol):
    """What every way of drawing examples says."""

    @property
    def pack(self) -> bool:
        """Whether nothing is computed for what pads the examples of a batch to one length."""
        ...


class Examples(Protocol[ExampleT]):
    """Where examples come from; a `SentenceSampler` is such a place."""

    @property
    def mix(self) -> Mix:
        """How they are drawn."""
        ...

    def batch(self, number: int) -> list[ExampleT]:
        """Those of a batch, of similar length."""
        ...

    def held_out(self) -> list[ExampleT]:
        """Some that training never sees; the same ones every time."""
        ...


class SequenceTask(Task[BatchT], Generic[ExampleT, BatchT]):
    """Trains a language model ``lm``, whose config is ``lm.config``, and ``aids`` that are left behind."""

    autocast_on = ("cpu", "cuda")
    batch_setting = "mix.tokens_per_batch"

    def __init__(
        self,
        sampler: Examples[ExampleT],
        lm: nn.Module,
        config: SequenceTrainConfig,
        start: Start[Any, Any],
        aids: Sequence[nn.Module] = (),
    ) -> None:
        self.sampler, self.config, self.start = sampler, config, start
        if start.tensors is not None:
            load_strictly(lm, start.tensors, "the language model to start from")
        if config.adapter is not None and start.tensors is None:
            raise ConfigError("adapter: there is no model to adapt; name one with --from, or leave the table out")
        choose_trainable(lm, config.trainable, config.adapter)
        self._lm, self._sizes = lm, cast("Any", lm.config)
        self.phone_head = nn.Linear(self._sizes.hidden_size, len(PHONES))
        self.trained = Trained([lm, self.phone_head, *aids], self.losses)

    @abstractmethod
    def collate(self, examples: Sequence[ExampleT]) -> BatchT:
        """Pad examples to a batch."""

    @abstractmethod
    def losses(self, batch: BatchT) -> dict[str, Float[Tensor, ""]]:
        """Losses and accuracies by name; ``phone`` among them."""

    @abstractmethod
    def log_probabilities(self, batch: BatchT, lm: nn.Module) -> Float[Tensor, "batch position"]:
        """Of what is said after every position, by a language model of this task's shape; 0 where that is nothing."""

    @abstractmethod
    def total(self, losses: Mapping[str, Tensor], progress: float) -> Float[Tensor, ""]:
        """What is minimised besides the phone aid at a share of the budget."""

    @abstractmethod
    def targets(self, batch: BatchT) -> Int[Tensor, "batch position"]:
        """What is to be said at every position, ignored where that is nothing."""

    @abstractmethod
    def tensors(self) -> Mapping[str, Tensor]:
        """The language model's."""

    @property
    def speaker(self) -> nn.Module:
        """The language model."""
        return self._lm

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The language model's layers."""
        return tuple(cast("Any", self._lm).layers)

    @property
    @abstractmethod
    def adapter_names(self) -> Names:
        """How its adapters are translated to the names of the published model."""

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The language model and its aids."""
        return {"trained": self.trained}

    @property
    def learners(self) -> Mapping[str, Learner]:
        """All of them."""
        return {"model": Learner(self.trained, self.config.optim)}

    def batch(self, number: int) -> BatchT:
        """Examples of about one length."""
        return self.collate(self.sampler.batch(number))

    def extent(self, batch: BatchT) -> Extent:
        """In frames to be learned, and positions."""
        targets = self.targets(batch)
        frames = int((targets != IGNORED_LABEL).sum())
        lengths = batch.lengths  # type: ignore[attr-defined]
        return Extent(
            frames, frames / self.config.frame_rate, targets.numel() if lengths is None else int(lengths.sum())
        )

    def objectives(self, batch: BatchT, progress: float) -> Iterator[Objective]:
        """The language model's, with its aids."""
        losses = self.trained(batch)
        aid = self.config.phone_weight_at(progress) * losses["phone"]
        yield Objective("model", self.total(losses, progress) + aid, losses)

    def phone_losses(
        self, hidden: Float[Tensor, "frame dim"], phones: Int[Tensor, " frame"]
    ) -> dict[str, Float[Tensor, ""]]:
        """Of the phone of the frame to be said, wherever it is known."""
        logits = self.phone_head(hidden).float()
        known = phones != IGNORED_LABEL
        right = (logits.argmax(-1) == phones)[known].float()
        return {
            "phone": known_cross_entropy(logits, phones, IGNORED_LABEL),
            "phone_accuracy": right.sum() / max(1, len(right)),
        }

    def evaluate(self, device: torch.device) -> Mapping[str, float]:
        """Losses and next-frame phone accuracy on held-out sentences."""
        return self.mean_losses(self.sampler.held_out(), device)

    def mean_losses(self, examples: Sequence[ExampleT], device: torch.device) -> dict[str, float]:
        """Losses of examples by name, in batches of about one length."""
        parts = [self.trained(self.collate(batch).to(device)) for batch in by_length(examples)]
        return {name: float(np.mean([float(part[name]) for part in parts])) for name in parts[0]}

    def export(self, folder: Path) -> None:
        """``lm.safetensors`` (float32), ``lm.json``, and how text becomes tokens.

        An adapter is merged in there, and beside it is ``adapter``, a folder in peft's layout.
        """
        self.start.save_text(folder)
        if self.config.adapter is not None:
            write_adapter(self._lm, self.config.adapter, folder / ADAPTER_FOLDER, self.adapter_names, self.start.base)
        save_tensors({k: v.detach().float() for k, v in self.tensors().items()}, folder / LM_WEIGHTS)
        (folder / LM_CONFIG).write_text(json.dumps(asdict(self._sizes), indent=2), encoding="utf-8")


def by_length(examples: Sequence[Any], size: int = 8) -> list[list[Any]]:
    """Batches of examples (pairs that begin with something that has a ``prompt``), short ones together."""
    ordered = sorted(examples, key=lambda example: len(example[0].prompt))
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]


def prompt_lengths(examples: Sequence[Any]) -> Int[Tensor, " batch"]:
    """Positions of each of the examples (pairs that begin with something that has a ``prompt``)."""
    return torch.tensor([len(example.prompt) for example, _ in examples])


def known_phones(labels: np.ndarray) -> np.ndarray:
    """Phone labels as targets: what nobody knows is ignored."""
    return np.where(labels == UNKNOWN_PHONE, IGNORED_LABEL, labels)
