"""The Higgs language model: a Llama-style decoder whose audio positions have their own norms and MLPs (DualFFN).

`HiggsLM` holds the weights and is the training forward; `lm_inference.HiggsTokenLM` runs the same weights with a cache.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from parlando.models.higgs.config import LMConfig
from parlando.nn.attention import CausalSelfAttention, places
from parlando.nn.mlp import GatedMLP
from parlando.nn.norm import RMSNorm
from parlando.nn.packed import Packing, merge_rows, take_rows
from parlando.nn.quantized import summed_rows
from parlando.nn.residual import Residual, set_residual_dropout
from parlando.nn.rope import RopeTable

INITIAL_STD = 0.02


@dataclass(frozen=True)
class Routing:
    """Where the positions of a batch sit once sorted by kind: text rows first, then audio rows.

    ``order[i]`` is the flat position of sorted row i, ``place`` its inverse; ``split`` counts text and audio rows.
    """

    order: Int[Tensor, " row"]
    place: Int[Tensor, " row"]
    split: tuple[int, int]

    @classmethod
    def of(cls, audio_mask: Bool[Tensor, "batch position"]) -> Routing:
        """Sort once per batch; every layer shares the result."""
        flat = audio_mask.flatten()
        order = flat.to(torch.int8).argsort(stable=True)
        num_audio = int(flat.sum())
        return cls(order, order.argsort(), (len(flat) - num_audio, num_audio))


class DualFFNLayer(nn.Module):
    """One decoder layer: attention shared by all positions, norms and MLP by kind of position."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        dim, eps = config.hidden_size, config.rms_norm_eps
        self.self_attn = CausalSelfAttention(config.attention)
        self.mlp = GatedMLP(dim, config.intermediate_size)
        self.audio_mlp = GatedMLP(dim, config.intermediate_size)
        self.input_layernorm = RMSNorm(dim, eps)
        self.post_attention_layernorm = RMSNorm(dim, eps)
        self.audio_input_layernorm = RMSNorm(dim, eps)
        self.audio_post_attention_layernorm = RMSNorm(dim, eps)
        self.residual = Residual()

    def forward(
        self,
        text: Float[Tensor, "text dim"],
        audio: Float[Tensor, "audio dim"],
        routing: Routing,
        rope: RopeTable,
        mask: Float[Tensor, "position position"] | Packing,
    ) -> tuple[Float[Tensor, "text dim"], Float[Tensor, "audio dim"]]:
        """Advance the residual streams, in the order of ``routing``; ``mask`` gives the length of a sequence."""
        normed = merge_rows(self.input_layernorm(text), self.audio_input_layernorm(audio), routing.order)
        grid = normed.view(-1, len(mask), text.shape[-1])
        mixed = self.self_attn(grid, rope, mask).flatten(0, 1)
        to_text, to_audio = take_rows(mixed, routing.order, routing.place).split(routing.split)
        text, audio = self.residual(text, to_text), self.residual(audio, to_audio)
        text = self.residual(text, self.mlp(self.post_attention_layernorm(text)))
        audio = self.residual(audio, self.audio_mlp(self.audio_post_attention_layernorm(audio)))
        return text, audio


class HiggsLM(nn.Module):
    """Weights and training forward; parameters are named as in the transformers layout without its ``model.``."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.config = config
        audio_rows = config.num_codebooks * config.table_rows
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.embed_audio_tokens = nn.Embedding(audio_rows, config.hidden_size)
        self.layers = nn.ModuleList(DualFFNLayer(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.audio_lm_head = nn.Linear(config.hidden_size, audio_rows, bias=False)
        self.text_lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False) if config.text_head else None
        self.apply(self._initialise)

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=INITIAL_STD)
        if isinstance(module, DualFFNLayer):
            residual_std = INITIAL_STD / (2 * self.config.num_layers) ** 0.5
            for projection in (module.self_attn.o_proj, module.mlp.down_proj, module.audio_mlp.down_proj):
                nn.init.normal_(projection.weight, std=residual_std)

    def set_dropout(self, share: float) -> None:
        """Drop this share of what every block adds to the residual stream, in training mode only."""
        set_residual_dropout(self, share)

    def embed_frames(self, codes: Int[Tensor, "frame codebook"]) -> Float[Tensor, "frame dim"]:
        """Sum over codebooks of each code's row in that codebook's part of the table."""
        offsets = torch.arange(self.config.num_codebooks, device=codes.device) * self.config.table_rows
        return summed_rows(self.embed_audio_tokens, codes + offsets)

    def forward(
        self,
        tokens: Int[Tensor, "batch position"],
        codes: Int[Tensor, "batch position codebook"],
        audio_mask: Bool[Tensor, "batch position"],
        lengths: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch position dim"]:
        """Final hidden states (after the last norm) of whole sequences; apply a head to those rows that need it.

        Pad on the right with text positions: attention is causal, so padding never reaches a real position.
        ``codes`` matters only where ``audio_mask`` is true and ``tokens`` only where it is false. With ``lengths``,
        nothing is computed for the padding, and the states there are zero.
        """
        packing = None if lengths is None else Packing.of(lengths, tokens.shape[1])
        if packing is not None:
            tokens, codes, audio_mask = (packing.pack(each) for each in (tokens, codes, audio_mask))
        routing = Routing.of(audio_mask)
        text_rows, audio_rows = routing.order.split(routing.split)
        text = self.embed_tokens(tokens.flatten()[text_rows])
        audio = self.embed_frames(codes.flatten(0, 1)[audio_rows])
        rope, mask = places(self.config.rope, self.config.head_dim, tokens.shape[1], text, packing)
        for layer in self.layers:
            text, audio = layer(text, audio, routing, rope, mask)
        hidden = merge_rows(self.norm(text), self.norm(audio), routing.order).view(*tokens.shape, -1)
        return hidden if packing is None else packing.spread(hidden)

    def audio_logits(self, hidden: Float[Tensor, "*rest dim"]) -> Float[Tensor, "*rest codebook rows"]:
        """Float32 logits of the next frame, one row of ``table_rows`` per codebook."""
        logits = self.audio_lm_head(hidden).float()
        return logits.view(*hidden.shape[:-1], self.config.num_codebooks, self.config.table_rows)

    def text_logits(self, hidden: Float[Tensor, "*rest dim"]) -> Float[Tensor, "*rest vocab"]:
        """Float32 logits of the next text token; only for a config with a text head."""
        assert self.text_lm_head is not None, "this model has no text head"
        return self.text_lm_head(hidden).float()
