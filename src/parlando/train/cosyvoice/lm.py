"""Training of the CosyVoice language model: next code, and the frame's phone as an aid.

The codes are numbers with digits (`nn.fsq`), and codes that share digits sound alike. While it is trained, a code's row
in the speech table and in the head is therefore its own plus one for each of its digits; the sums are what is exported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from parlando.core.types import IGNORED_LABEL
from parlando.models.cosyvoice.config import LMConfig
from parlando.models.cosyvoice.lm import INITIAL_STD, CosyVoiceLM, DecoderLayer
from parlando.models.cosyvoice.lm_weights import ADAPTER_NAMES
from parlando.nn.attention import causal_mask
from parlando.nn.lora import merged_state
from parlando.nn.packed import Packing
from parlando.nn.peft import Names
from parlando.nn.rope import RopeTable, rotate
from parlando.train.cosyvoice.alignment import UNALIGNED, TextAligner
from parlando.train.cosyvoice.digits import digits_of_codes
from parlando.train.cosyvoice.lm_examples import CosyVoiceExampleSampler, LabelledExample
from parlando.train.cosyvoice.start import LMStart
from parlando.train.loop.task import Arrays
from parlando.train.shared.lm import Examples, SequenceTask, SequenceTrainConfig, known_phones, prompt_lengths

TABLE, HEAD = "embed_speech.weight", "speech_head.weight"
Seen = tuple[Tensor, RopeTable, Tensor | Packing]


@dataclass(frozen=True)
class CosyVoiceTrainConfig(SequenceTrainConfig):
    """``code_levels`` is how many values a digit of a code has; 1 shares nothing between codes, and nothing is shared
    where not all of the model learns.

    ``guide_weight`` is that of the guide at the beginning, from where it goes to ``guide_final``; its head is in the
    model's guided layer, or else in the middle one. ``misread_share`` is how many of the codes before a code are wrong
    ones, see `misread`.
    """

    lm: LMConfig
    code_levels: int = 3
    guide_weight: float = 0.0
    guide_final: float = 0.0
    misread_share: float = 0.0


@dataclass(frozen=True)
class Batch(Arrays):
    """Padded examples; position p's labels are what p predicts, ``aligned`` where the phoneme of that stands."""

    tokens: Int[Tensor, "batch position"]
    codes: Int[Tensor, "batch position"]
    is_speech: Bool[Tensor, "batch position"]
    targets: Int[Tensor, "batch position"]
    phones: Int[Tensor, "batch position"]
    aligned: Int[Tensor, "batch position"]
    lengths: Int[Tensor, " batch"] | None = None


def collate(examples: Sequence[LabelledExample], aligner: TextAligner) -> Batch:
    """Pad on the right to the longest example."""
    size = (len(examples), max(len(example.prompt) for example, _ in examples))
    tokens, codes = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    is_speech = np.zeros(size, dtype=bool)
    targets, phones, aligned = (np.full(size, IGNORED_LABEL) for _ in range(3))
    for row, (example, labels) in enumerate(examples):
        prompt = example.prompt
        speech = np.flatnonzero(prompt.audio_mask)
        tokens[row, : len(prompt)] = prompt.tokens
        is_speech[row, speech] = True
        codes[row, speech] = prompt.codes[:, 0]
        targets[row, : len(prompt)] = example.labels
        phones[row, speech - 1] = known_phones(labels)
        places = aligner.positions(prompt, labels)
        is_seen = (places != UNALIGNED) & (places < speech)
        aligned[row, speech - 1] = np.where(is_seen, places, IGNORED_LABEL)
    return Batch(*map(torch.from_numpy, (tokens, codes, is_speech, targets, phones, aligned)))


def misread(
    codes: Int[Tensor, "batch position"], is_speech: Bool[Tensor, "batch position"], share: float
) -> Int[Tensor, "batch position"]:
    """Codes of which some are replaced by others of the batch: none to twice the share, drawn for each row.

    What a model says is never quite what it learned from. One that learned to trust every code before follows its own
    mistakes away from the text; one whose past is unreliable has to look at the text (Tacotron's dropout on what was
    said, Wang et al., 2017, is to the same end).
    """
    said = codes[is_speech]
    if not share or not len(said):
        return codes
    rates = 2 * share * torch.rand(len(codes), 1, device=codes.device)
    is_wrong = (torch.rand(codes.shape, device=codes.device) < rates) & is_speech
    return torch.where(is_wrong, said[torch.randint(len(said), codes.shape, device=codes.device)], codes)


class SharedDigits(nn.Module):
    """What codes have in common: a row for every value of every digit, for the speech table and for the head.

    Tables that were trained before have it in them already: ``std`` is 0 for those, so that nothing is added to them.

    Raises:
        ConfigError: the codes are no such numbers.
    """

    one_hot: Tensor

    def __init__(self, config: LMConfig, levels: int, std: float = INITIAL_STD) -> None:
        super().__init__()
        one_hot = digits_of_codes(config.codebook_size, levels)
        rows = functional.pad(one_hot, (0, 0, 0, config.table_rows - config.codebook_size))
        self.register_buffer("one_hot", rows, persistent=False)
        self.table = nn.Parameter(torch.randn(one_hot.shape[1], config.hidden_size) * std)
        self.head = nn.Parameter(torch.randn(one_hot.shape[1], config.hidden_size) * std)

    def tables(self, lm: CosyVoiceLM) -> dict[str, Float[Tensor, "row dim"]]:
        """The speech table and the head's weight, with what their rows share added."""
        return {
            TABLE: lm.embed_speech.weight + self.one_hot @ self.table,
            HEAD: lm.speech_head.weight + self.one_hot @ self.head,
        }


class AttentionGuide:
    """Teaches one head of one layer to look at the phoneme that is said next (after guided attention, Tachibana et al.,
    2018), which a small model takes long to find by itself.

    The targets come from the corpus's phone labels; nothing is added to the model.
    """

    def __init__(self, lm: CosyVoiceLM, layer: int) -> None:
        self._attention = cast("DecoderLayer", lm.layers[layer]).self_attn

    @contextmanager
    def watching(self) -> Iterator[list[Seen]]:
        """What the layer's attention is given in the forward passes meanwhile."""
        seen: list[Seen] = []
        handle = self._attention.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
        try:
            yield seen
        finally:
            handle.remove()

    def loss(self, seen: Seen, aligned: Int[Tensor, "batch position"]) -> Float[Tensor, ""]:
        """Cross entropy of the first head's attention in a forward pass, where there is a target."""
        x, rope, mask = seen
        size = self._attention.config.head_dim
        queries, keys = (
            rotate(part(x)[:, :, None, :size], rope.to(x.dtype))[:, :, 0]
            for part in (self._attention.q_proj, self._attention.k_proj)
        )
        if isinstance(mask, Packing):
            queries, keys, mask = mask.spread(queries), mask.spread(keys), causal_mask(mask.longest, queries)
        scores = (queries * size**-0.5) @ keys.transpose(1, 2) + mask
        has_target = aligned != IGNORED_LABEL
        if not has_target.any():
            return scores.new_zeros(())
        return functional.cross_entropy(scores[has_target].float(), aligned[has_target])


class CosyVoiceLMTask(SequenceTask[LabelledExample, Batch]):
    """Trains a `CosyVoiceLM`."""

    config: CosyVoiceTrainConfig

    def __init__(self, sampler: Examples[LabelledExample], config: CosyVoiceTrainConfig, start: LMStart) -> None:
        self.lm = CosyVoiceLM(config.lm)
        self.lm.set_dropout(config.dropout)
        std = INITIAL_STD if start.tensors is None else 0.0
        shares = config.code_levels > 1 and config.learns_all
        self.shared = SharedDigits(config.lm, config.code_levels, std) if shares else None
        super().__init__(sampler, self.lm, config, start, () if self.shared is None else (self.shared,))
        layer = config.lm.num_layers // 2 if config.lm.guided_layer is None else config.lm.guided_layer
        self.guide, self._aligner = AttentionGuide(self.lm, layer), TextAligner(start.tokenizer)
        self._guided = layer

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The layers but for the guided one, whose weights the guide reads from outside."""
        return tuple(layer for number, layer in enumerate(super().blocks) if number != self._guided)

    def collate(self, examples: Sequence[LabelledExample]) -> Batch:
        """Pad examples to a batch."""
        batch = collate(examples, self._aligner)
        return replace(batch, lengths=prompt_lengths(examples)) if self.sampler.mix.pack else batch

    def targets(self, batch: Batch) -> Int[Tensor, "batch position"]:
        """Speech codes."""
        return batch.targets

    def total(self, losses: Mapping[str, Tensor], progress: float) -> Float[Tensor, ""]:
        """Codes, and the guide while it is given."""
        weight = (1 - progress) * self.config.guide_weight + progress * self.config.guide_final
        return losses["codes"] + weight * losses["guide"]

    def tensors(self) -> Mapping[str, Tensor]:
        """The language model's, with what codes share added to their own."""
        return merged_state(self.lm) | self._tables()

    @property
    def adapter_names(self) -> Names:
        """Those of its backbone in `transformers`."""
        return ADAPTER_NAMES

    def _tables(self) -> dict[str, Tensor]:
        """What stands for the model's own while codes share something."""
        return {} if self.shared is None else self.shared.tables(self.lm)

    def log_probabilities(self, batch: Batch, lm: nn.Module) -> Float[Tensor, "batch position"]:
        """Of the codes, as the language model has them without what codes share."""
        hidden = lm(batch.tokens, batch.codes, batch.is_speech, batch.lengths)
        speaking = batch.targets != IGNORED_LABEL
        logits = cast("CosyVoiceLM", lm).speech_logits(hidden[speaking])
        found = -functional.cross_entropy(logits, batch.targets[speaking], reduction="none")
        return found.new_zeros(speaking.shape).masked_scatter(speaking, found)

    def losses(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Of the codes, of phones, and of where the guided head looks."""
        tables, codes = self._tables(), batch.codes
        own_head = {"weight": tables[HEAD]} if tables else {}
        if self.lm.training:
            codes = misread(codes, batch.is_speech, self.config.misread_share)
        with self.guide.watching() as seen:
            hidden = functional_call(self.lm, tables, (batch.tokens, codes, batch.is_speech, batch.lengths))
        speaking = batch.targets != IGNORED_LABEL
        at_codes, targets = hidden[speaking], batch.targets[speaking]
        logits = functional_call(self.lm.speech_head, own_head, (at_codes,)).float()
        return {
            "codes": functional.cross_entropy(logits, targets),
            "accuracy": (logits.argmax(-1) == targets).float().mean(),
            **self.phone_losses(at_codes, batch.phones[speaking]),
            "guide": self.guide.loss(seen[-1], batch.aligned),
        }

    def evaluate(self, device: torch.device) -> Mapping[str, float]:
        """Losses and accuracies on held-out sentences, and the same where text arrives (``arriving_``...)."""
        # Only examples of a corpus are laid out both ways.
        sampler = cast("CosyVoiceExampleSampler", self.sampler)
        arriving = self.mean_losses(sampler.held_out(arriving=True), device)
        return {**super().evaluate(device), **{f"arriving_{name}": value for name, value in arriving.items()}}
