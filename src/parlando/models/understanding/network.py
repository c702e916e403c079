"""The network: an audio tower whose states a decoder-only language model reads before it writes the answer.

So is the understanding side of Higgs Audio built; beside it, symbols are told frame by frame (CTC), which aligns early
and keeps transcripts to what was said (Watanabe et al., 2017).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from parlando.data.shards import PHONES
from parlando.models.understanding.config import AnswererConfig, UnderstandingConfig
from parlando.models.understanding.ear import Ear
from parlando.models.understanding.tokens import SPOKEN, START, VOCABULARY
from parlando.models.understanding.tower import AudioTower
from parlando.nn.attention import CausalSelfAttention, places
from parlando.nn.heads import AttentionConfig
from parlando.nn.mlp import GatedMLP
from parlando.nn.norm import RMSNorm
from parlando.nn.rope import RopeConfig, RopeTable

BLANK = SPOKEN
"""The CTC symbol for nothing new."""


class Impression(NamedTuple):
    """What a batch of recordings sounds like.

    ``prefix`` is what the language model reads; of ``symbols`` (logits) and ``phones`` (logits) there are some per
    frame. ``num_…`` are how many of each are real.
    """

    prefix: Float[Tensor, "batch position dim"]
    num_positions: Int[Tensor, " batch"]
    symbols: Float[Tensor, "batch slot symbol"]
    phones: Float[Tensor, "batch slot phone"]
    num_slots: Int[Tensor, " batch"]

    def of(self, row: int) -> Impression:
        """That of one recording."""
        return Impression(*(each[row : row + 1] for each in self))


class Projector(nn.Module):
    """States of the tower as the language model reads them."""

    def __init__(self, dim: int, hidden_size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, hidden_size)

    def forward(self, states: Float[Tensor, "batch position dim"]) -> Float[Tensor, "batch position hidden"]:
        """Project."""
        return self.linear(states)


class AnswererLayer(nn.Module):
    """A layer of Llama's kind."""

    def __init__(self, config: AnswererConfig) -> None:
        super().__init__()
        dim, heads = config.hidden_size, config.num_heads
        self.self_attn = CausalSelfAttention(AttentionConfig(dim, heads, heads, dim // heads))
        self.mlp = GatedMLP(dim, config.intermediate_size)
        self.input_layernorm = RMSNorm(dim, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(dim, config.rms_norm_eps)

    def forward(
        self, x: Float[Tensor, "batch position dim"], rope: RopeTable, mask: Float[Tensor, "position position"]
    ) -> Float[Tensor, "batch position dim"]:
        """One layer."""
        x = x + self.self_attn(self.input_layernorm(x), rope, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class UnderstandingNetwork(nn.Module):
    """Ear, tower, projector and language model."""

    def __init__(self, config: UnderstandingConfig) -> None:
        super().__init__()
        self.config = config
        dim, own = config.answerer.hidden_size, config.tower.d_model
        self.ear = Ear(config.ear)
        self.audio_tower = AudioTower(config.tower, config.ear.num_bands)
        self.audio_encoder_proj = Projector(own, dim)
        self.ctc_head = nn.Linear(own, config.ctc_symbols * (SPOKEN + 1))
        self.phone_head = nn.Linear(own, config.ctc_symbols * len(PHONES))
        self.embed_tokens = nn.Embedding(VOCABULARY, dim)
        self.layers = nn.ModuleList(AnswererLayer(config.answerer) for _ in range(config.answerer.num_layers))
        self.norm = RMSNorm(dim, config.answerer.rms_norm_eps)
        self.text_lm_head = nn.Linear(dim, VOCABULARY, bias=False)
        nn.init.normal_(self.embed_tokens.weight, std=0.02)

    def hear(self, features: Float[Tensor, "batch band mel"], mels: Int[Tensor, " batch"]) -> Impression:
        """What recordings sound like, of whose features ``mels`` are real."""
        heard = self.audio_tower(features, mels)
        count = self.config.ctc_symbols
        symbols, phones = (
            head(heard.frames).unflatten(2, (count, -1)).flatten(1, 2).float()
            for head in (self.ctc_head, self.phone_head)
        )
        prefix = self.audio_encoder_proj(heard.pooled)
        return Impression(prefix, heard.num_pooled, symbols, phones, count * heard.num_frames)

    def answer(
        self, heard: Impression, tokens: Int[Tensor, "batch token"], present: Bool[Tensor, "batch token"]
    ) -> Float[Tensor, "batch place symbol"]:
        """Logits of each token of an answer, and of what follows its last one.

        Recordings and answers are as long as they are: what is padded comes after all that is real.
        """
        begun = torch.nn.functional.pad(tokens, (1, 0), value=START)
        counts = (present.sum(1) + 1).tolist()
        positions = heard.num_positions.tolist()
        written = self.embed_tokens(begun).to(heard.prefix.dtype)
        rows = zip(heard.prefix, written, positions, counts, strict=True)
        x = pad_sequence([torch.cat((p[:a], w[:c])) for p, w, a, c in rows], batch_first=True)
        config = self.config.answerer
        rope, mask = places(
            RopeConfig(config.rope_theta), config.hidden_size // config.num_heads, x.shape[1], x.float(), None
        )
        for layer in self.layers:
            x = layer(x, rope, mask)
        states = [row[a : a + c] for row, a, c in zip(x, positions, counts, strict=True)]
        return self.text_lm_head(self.norm(pad_sequence(states, batch_first=True))).float()
