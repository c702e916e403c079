"""The recogniser of text that teaches a speech tokenizer: what whole utterances are, and a decoder that writes them.

Texts are bytes (UTF-8), so that there is one vocabulary for every language.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.core.config import AtLeastOne, Positive, Share, Size
from parlando.core.errors import ConfigError
from parlando.data.sampler import CropConfig
from parlando.data.shards import UNKNOWN_PHONE, Entry, PackedCorpus
from parlando.train.shared.batching import similar

MARK, VOCABULARY, NOTHING = 256, 257, -1
"""What stands before and after the bytes of a text, how many symbols there are, and what follows a text in a batch."""
LONGEST_WAVE = 10_000.0


@dataclass(frozen=True)
class TextConfig:
    """The text of whole utterances, written by ``num_layers`` that attend to what passed the quantiser.

    A batch is some of ``candidates`` utterances, alike in length, of about ``tokens_per_batch`` speech tokens together;
    of ``train.crops`` only ``speaker_weights`` and ``held_out_batch`` matter.
    """

    num_layers: AtLeastOne = 6
    weight: Positive = 1.0
    smoothing: Share = 0.1
    tokens_per_batch: Size = 4000
    candidates: Size = 64
    longest_seconds: Positive = 30.0


class Utterances(NamedTuple):
    """Samples, phone labels, speaker numbers, speech tokens and texts ([utterance, …]), the shorter ones padded."""

    waves: np.ndarray
    labels: np.ndarray
    speakers: np.ndarray
    tokens: np.ndarray
    text: np.ndarray


class UtteranceSampler:
    """Whole utterances of a packed corpus that have a text.

    Raises:
        ConfigError: there are none.
    """

    def __init__(self, corpus: PackedCorpus, crops: CropConfig, config: TextConfig) -> None:
        self.corpus, self.crops, self.config = corpus, crops, config
        longest = config.longest_seconds * corpus.config.sample_rate
        usable = [entry for entry in corpus.entries if entry.text.strip() and entry.samples <= longest]
        self.train = [entry for entry in usable if entry.split == "train"]
        self.validation = [entry for entry in usable if entry.split == "validation"] or self.train[:1]
        if not self.train:
            raise ConfigError(
                f"no utterance of '{corpus.folder}' has a text and at most {config.longest_seconds:g} seconds; "
                "leave out train.text, or raise train.text.longest_seconds"
            )
        weights = np.array([crops.speaker_weights.get(entry.speaker, 1.0) for entry in self.train], dtype=np.float64)
        self.cumulative = np.cumsum(weights / weights.sum())
        self.speakers = sorted({entry.speaker for entry in usable})

    def batch(self, number: int) -> Utterances:
        """The utterances of a batch."""
        generator = np.random.default_rng((19, number))
        picks = np.searchsorted(self.cumulative, generator.random(self.config.candidates))
        drawn = [self.train[min(pick, len(self.train) - 1)] for pick in picks]
        return self._stack(similar(drawn, self._tokens, self.config.tokens_per_batch, generator))

    def held_out(self) -> Utterances:
        """The same utterances every time, which training never sees."""
        return self._stack(self.validation[: self.crops.held_out_batch])

    def _tokens(self, entry: Entry) -> int:
        return entry.samples // self.corpus.config.frame_samples

    def _stack(self, entries: list[Entry]) -> Utterances:
        return Utterances(
            _padded([self.corpus.samples(entry) for entry in entries], 0.0),
            _padded([self.corpus.labels(entry) for entry in entries], UNKNOWN_PHONE),
            np.array([self.speakers.index(entry.speaker) for entry in entries]),
            np.array([self._tokens(entry) for entry in entries]),
            _padded([_symbols(entry.text) for entry in entries], NOTHING),
        )


def _symbols(text: str) -> np.ndarray:
    """What is to be written: the bytes, and that they end."""
    return np.array([*text.strip().encode(), MARK])


def _padded(arrays: list[np.ndarray], value: float) -> np.ndarray:
    longest = max(map(len, arrays))
    return np.stack(
        [np.pad(a, [(0, longest - len(a))] + [(0, 0)] * (a.ndim - 1), constant_values=value) for a in arrays]
    )


class TextDecoder(nn.Module):
    """A transformer that writes a text byte by byte, attending to an utterance (Vaswani et al., 2017)."""

    def __init__(self, dim: int, num_heads: int, num_layers: int) -> None:
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, dim)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(dim, num_heads, 4 * dim, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, VOCABULARY)

    def forward(
        self,
        text: Int[Tensor, "batch byte"],
        heard: Float[Tensor, "batch token dim"],
        present: Bool[Tensor, "batch token"],
    ) -> Float[Tensor, "batch byte symbol"]:
        """Logits of every symbol of a text, each told from those before it and from what was heard."""
        before = functional.pad(text[:, :-1], (1, 0), value=MARK)
        x = self.table(before.where(before != NOTHING, MARK))
        x = x + _positions(x.shape[1], x.shape[2]).to(x)
        later = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device, dtype=x.dtype)
        for layer in self.layers:
            x = layer(x, heard, tgt_mask=later, memory_key_padding_mask=~present, tgt_is_causal=True)
        return self.head(self.norm(x))


def text_loss(
    logits: Float[Tensor, "batch byte symbol"], text: Int[Tensor, "batch byte"], smoothing: float
) -> Float[Tensor, ""]:
    """Mean cross entropy of the symbols of all texts."""
    return functional.cross_entropy(
        logits.flatten(0, 1), text.flatten(), ignore_index=NOTHING, label_smoothing=smoothing
    )


def _positions(count: int, dim: int) -> Float[Tensor, "position dim"]:
    """Sines and cosines of wavelengths up to `LONGEST_WAVE` turns."""
    rates = torch.exp(-math.log(LONGEST_WAVE) * torch.arange(0, dim, 2) / dim)
    angles = torch.arange(count)[:, None] * rates
    return torch.stack((angles.sin(), angles.cos()), dim=2).flatten(1)
