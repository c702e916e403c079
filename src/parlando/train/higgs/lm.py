"""Training of the Higgs language model: next delayed frame, next text token, and the frame's phone as an aid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.core.errors import ConfigError
from parlando.core.types import IGNORED_LABEL
from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.lm import HiggsLM
from parlando.models.higgs.lm_weights import ADAPTER_NAMES
from parlando.nn.lora import merged_state
from parlando.nn.peft import Names
from parlando.train.higgs.lm_examples import LabelledExample
from parlando.train.higgs.start import LMStart
from parlando.train.loop.task import Arrays
from parlando.train.shared.lm import Examples, SequenceTask, SequenceTrainConfig, known_phones, prompt_lengths


@dataclass(frozen=True)
class LMTrainConfig(SequenceTrainConfig):
    """Weights of losses: of every codebook, or else the first counts ``first_weight`` times; and of the text."""

    lm: LMConfig
    first_weight: float = 2.0
    codebook_weights: tuple[float, ...] = ()
    text_weight: float = 0.02


@dataclass(frozen=True)
class Batch(Arrays):
    """Padded examples; position p's labels are what p predicts."""

    tokens: Int[Tensor, "batch position"]
    codes: Int[Tensor, "batch position codebook"]
    audio_mask: Bool[Tensor, "batch position"]
    targets: Int[Tensor, "batch position codebook"]
    phones: Int[Tensor, "batch position"]
    text_targets: Int[Tensor, "batch position"]
    lengths: Int[Tensor, " batch"] | None = None


def collate(examples: Sequence[LabelledExample], pad_id: int) -> Batch:
    """Pad on the right to the longest example."""
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
        targets[row, :count] = example.labels
        text_targets[row, :count] = example.text_labels
        spoken = audio[len(audio) - len(labels) - codebooks - 1 :][: len(labels)]
        phones[row, spoken] = known_phones(labels)
    arrays = (tokens, codes, mask, targets, phones, text_targets)
    return Batch(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))


class LMTask(SequenceTask[LabelledExample, Batch]):
    """Trains a `HiggsLM`."""

    config: LMTrainConfig

    def __init__(self, sampler: Examples[LabelledExample], config: LMTrainConfig, start: LMStart) -> None:
        """Raises:
        ConfigError: there are not as many weights as codebooks.
        """
        books = config.lm.num_codebooks
        self._weights = config.codebook_weights or (config.first_weight, *(1.0,) * (books - 1))
        if len(self._weights) != books:
            raise ConfigError(f"codebook_weights: {len(self._weights)} for {books} codebooks; give one for each")
        self.lm = HiggsLM(config.lm)
        self.lm.set_dropout(config.dropout)
        super().__init__(sampler, self.lm, config, start)

    def collate(self, examples: Sequence[LabelledExample]) -> Batch:
        """Pad examples to a batch."""
        batch = collate(examples, self.config.lm.end_of_text_id)
        return replace(batch, lengths=prompt_lengths(examples)) if self.sampler.mix.pack else batch

    def targets(self, batch: Batch) -> Int[Tensor, "batch position"]:
        """Of the first codebook."""
        return batch.targets[..., 0]

    def total(self, losses: Mapping[str, Tensor], progress: float) -> Float[Tensor, ""]:
        """Codes, and a little text."""
        del progress
        return losses["codes"] + self.config.text_weight * losses["text"]

    def tensors(self) -> Mapping[str, Tensor]:
        """The language model's."""
        return merged_state(self.lm)

    @property
    def adapter_names(self) -> Names:
        """Those of `transformers`."""
        return ADAPTER_NAMES

    def log_probabilities(self, batch: Batch, lm: nn.Module) -> Float[Tensor, "batch position"]:
        """Of all codebooks' codes together, each as often as its weight says."""
        hidden = lm(batch.tokens, batch.codes, batch.audio_mask, batch.lengths)
        speaking = (batch.targets != IGNORED_LABEL).any(-1)
        logits, targets = cast("HiggsLM", lm).audio_logits(hidden[speaking]), batch.targets[speaking]
        losses = functional.cross_entropy(logits.transpose(1, 2), targets, ignore_index=IGNORED_LABEL, reduction="none")
        found = -(losses * losses.new_tensor(self._weights)).sum(-1)
        return found.new_zeros(speaking.shape).masked_scatter(speaking, found)

    def losses(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Of the codes (the first and last book's too), of phones, and of the text around the clips."""
        hidden = self.lm(batch.tokens, batch.codes, batch.audio_mask, batch.lengths)
        speaking = (batch.targets != IGNORED_LABEL).any(-1)
        at_frames, targets = hidden[speaking], batch.targets[speaking]
        logits = self.lm.audio_logits(at_frames)
        per_book = [
            functional.cross_entropy(logits[:, book], targets[:, book], ignore_index=IGNORED_LABEL)
            for book in range(targets.shape[1])
        ]
        weighted = [weight * loss for weight, loss in zip(self._weights, per_book, strict=True)]
        total = torch.stack(weighted).sum() / sum(self._weights)
        losses = {
            "codes": total,
            "first": per_book[0],
            "last": per_book[-1],
            **self.phone_losses(at_frames, batch.phones[speaking]),
            "text": hidden.new_zeros(()),
        }
        if self.config.lm.text_head:
            writing = batch.text_targets != IGNORED_LABEL
            losses["text"] = functional.cross_entropy(self.lm.text_logits(hidden[writing]), batch.text_targets[writing])
        return losses
