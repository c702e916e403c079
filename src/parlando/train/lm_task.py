"""Training of the Higgs language model: next delayed frame, next text token, and the frame's phone as an aid."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.data.shards import PHONES, UNKNOWN_PHONE
from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.delay import IGNORED_LABEL
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.prompt import TrainingExample
from parlando.nn.checkpoint import save_tensors
from parlando.train.checkpoint import load_weights
from parlando.train.examples import ExampleSampler
from parlando.train.optim import OptimConfig, apply_gradients, make_optimizer

Example = tuple[TrainingExample, np.ndarray]


@dataclass(frozen=True)
class LMTrainConfig:
    """Weights of losses; the first codebook counts ``first_weight`` times, the phone aid ends at ``phone_final``."""

    lm: LMConfig
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(rate=1.2e-3))
    first_weight: float = 2.0
    phone_weight: float = 0.5
    phone_final: float = 0.1
    text_weight: float = 0.02
    dropout: float = 0.0
    start_from: str | None = None
    frame_rate: float = 25.0


@dataclass(frozen=True)
class Batch:
    """Padded examples; labels are already shifted, so position p's labels are what p predicts."""

    tokens: Int[Tensor, "batch position"]
    codes: Int[Tensor, "batch position codebook"]
    audio_mask: Bool[Tensor, "batch position"]
    targets: Int[Tensor, "batch position codebook"]
    phones: Int[Tensor, "batch position"]
    text_targets: Int[Tensor, "batch position"]

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def collate(examples: Sequence[Example], pad_id: int) -> Batch:
    """Pad on the right to the longest example and shift the labels."""
    length = max(len(example.prompt) for example, _ in examples)
    codebooks = examples[0][0].prompt.codes.shape[1]
    size = (len(examples), length)
    tokens = np.full(size, pad_id)
    mask = np.zeros(size, dtype=bool)
    codes = np.zeros((*size, codebooks), dtype=np.int64)
    targets = np.full((*size, codebooks), IGNORED_LABEL)
    phones, text_targets = np.full(size, IGNORED_LABEL), np.full(size, IGNORED_LABEL)
    for row, (example, labels) in enumerate(examples):
        count, audio = len(example.prompt), np.flatnonzero(example.prompt.audio_mask)
        tokens[row, :count] = example.prompt.tokens
        mask[row, audio] = True
        codes[row, audio] = example.prompt.codes
        targets[row, audio - 1] = example.labels
        text_targets[row, : count - 1] = example.text_labels[1:]
        spoken = audio[len(audio) - len(labels) - codebooks - 1 :][: len(labels)]
        phones[row, spoken] = np.where(labels == UNKNOWN_PHONE, IGNORED_LABEL, labels)
    arrays = (tokens, codes, mask, targets, phones, text_targets)
    return Batch(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))


class LMTask:
    """Implements `train.loop.Task` for `HiggsLM`."""

    def __init__(self, sampler: ExampleSampler, config: LMTrainConfig, device: str = "cpu", rank: int = 0) -> None:
        self.sampler, self.config, self.device, self.rank = sampler, config, torch.device(device), rank
        self.lm = HiggsLM(config.lm)
        self.lm.set_dropout(config.dropout)
        if config.start_from:
            load_weights(self.lm, Path(config.start_from) / "lm.safetensors")
        self.phone_head = nn.Linear(config.lm.hidden_size, len(PHONES))
        self.trained = nn.ModuleList([self.lm, self.phone_head]).to(self.device)
        self.optimizer = make_optimizer(self.trained, config.optim)

    def train_step(self, step: int, progress: float) -> Mapping[str, float]:
        """One batch."""
        batch = self._collate(self.sampler.batch(step, self.rank))
        self.lm.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            losses = self._losses(batch)
        config = self.config
        phone_weight = config.phone_weight + progress * (config.phone_final - config.phone_weight)
        loss = losses["codes"] + phone_weight * losses["phone"] + config.text_weight * losses["text"]
        loss.backward()
        norm = apply_gradients(self.optimizer, self.trained.parameters(), config.optim, progress)
        numbers = {name: float(value.detach()) for name, value in losses.items()}
        frames = float((batch.targets[..., 0] != IGNORED_LABEL).sum())
        return {
            "loss": float(loss.detach()),
            **numbers,
            "norm": norm,
            "tokens": batch.tokens.numel(),
            "audio_seconds": frames / config.frame_rate,
        }

    def _collate(self, examples: Sequence[Example]) -> Batch:
        return collate(examples, self.config.lm.end_of_text_id).to(self.device)

    def _losses(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        hidden = self.lm(batch.tokens, batch.codes, batch.audio_mask)
        speaking = (batch.targets != IGNORED_LABEL).any(-1)
        at_frames, targets = hidden[speaking], batch.targets[speaking]
        logits = self.lm.audio_logits(at_frames)
        per_book = [
            functional.cross_entropy(logits[:, book], targets[:, book], ignore_index=IGNORED_LABEL)
            for book in range(targets.shape[1])
        ]
        weights = [self.config.first_weight] + [1.0] * (len(per_book) - 1)
        total = sum(w * loss for w, loss in zip(weights, per_book, strict=True)) / sum(weights)
        phones = batch.phones[speaking]
        phone_logits = self.phone_head(at_frames).float()
        known = phones != IGNORED_LABEL
        losses = {
            "codes": total,
            "first": per_book[0],
            "last": per_book[-1],
            "phone": functional.cross_entropy(phone_logits, phones, ignore_index=IGNORED_LABEL),
            "phone_accuracy": (phone_logits.argmax(-1) == phones)[known].float().mean(),
            "text": torch.zeros((), device=self.device),
        }
        if self.config.lm.text_head:
            writing = batch.text_targets != IGNORED_LABEL
            losses["text"] = functional.cross_entropy(self.lm.text_logits(hidden[writing]), batch.text_targets[writing])
        return losses

    @torch.no_grad()
    def evaluate(self) -> Mapping[str, float]:
        """Losses and next-frame phone accuracy on held-out sentences."""
        self.lm.eval()
        examples = sorted(self.sampler.held_out(), key=lambda example: len(example[0].prompt))
        parts = [self._losses(self._collate(examples[i : i + 8])) for i in range(0, len(examples), 8)]
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
        save_tensors({k: v.float() for k, v in self.lm.state_dict().items()}, folder / "lm.safetensors")
        (folder / "lm.json").write_text(json.dumps(asdict(self.config.lm), indent=2), encoding="utf-8")
