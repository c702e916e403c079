"""The CosyVoice2 language model (Du et al., 2024): a Qwen2 decoder that reads text and speech codes and says codes.

`CosyVoiceLM` holds the weights and is the training forward; `lm_inference.CosyVoiceTokenLM` runs them with a cache.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from parlando.models.cosyvoice.config import LMConfig
from parlando.nn.attention import CausalSelfAttention, places
from parlando.nn.mlp import GatedMLP
from parlando.nn.norm import RMSNorm
from parlando.nn.packed import Packing
from parlando.nn.residual import Residual, set_residual_dropout
from parlando.nn.rope import RopeTable

INITIAL_STD = 0.02
_MARKS = 2


class DecoderLayer(nn.Module):
    """One Qwen2 layer: attention with biased queries, keys and values, and a gated MLP, both before a norm."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.self_attn = CausalSelfAttention(config.attention)
        self.mlp = GatedMLP(config.hidden_size, config.intermediate_size)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.residual = Residual()

    def forward(
        self,
        x: Float[Tensor, "batch position dim"],
        rope: RopeTable,
        mask: Float[Tensor, "position position"] | Packing,
    ) -> Float[Tensor, "batch position dim"]:
        """Advance the residual stream of whole sequences."""
        x = self.residual(x, self.self_attn(self.input_layernorm(x), rope, mask))
        return self.residual(x, self.mlp(self.post_attention_layernorm(x)))


class CosyVoiceLM(nn.Module):
    """Weights and training forward.

    The published model also carries Qwen2's own head over text, tied to the text table; nothing is ever read from it,
    so it does not exist here.
    """

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.hidden_size
        self.embed_tokens = nn.Embedding(config.vocab_size, dim)
        self.embed_marks = nn.Embedding(_MARKS, dim)
        self.embed_speech = nn.Embedding(config.table_rows, dim)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_layers))
        self.norm = RMSNorm(dim, config.rms_norm_eps)
        self.speech_head = nn.Linear(dim, config.table_rows)
        self.apply(self._initialise)

    def _initialise(self, module: nn.Module) -> None:
        """Normal weights, narrower for what adds to the residual stream (GPT-2, Radford et al., 2019); no biases."""
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=INITIAL_STD)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, DecoderLayer):
            for projection in (module.self_attn.o_proj, module.mlp.down_proj):
                nn.init.normal_(projection.weight, std=INITIAL_STD / (2 * self.config.num_layers) ** 0.5)

    def set_dropout(self, share: float) -> None:
        """Drop this share of what every block adds to the residual stream, in training mode only."""
        set_residual_dropout(self, share)

    def embed(
        self, tokens: Int[Tensor, "*rest"], codes: Int[Tensor, "*rest"], is_speech: Bool[Tensor, "*rest"]
    ) -> Float[Tensor, "*rest dim"]:
        """The input of each position: its code's row where it is speech, else that of its token or mark.

        All three tables are read everywhere, so that no shape depends on what the positions hold.
        """
        size = self.config.vocab_size
        text = self.embed_tokens(tokens.clamp(max=size - 1))
        marks = self.embed_marks((tokens - size).clamp(0, _MARKS - 1))
        speech = self.embed_speech(torch.where(is_speech, codes, 0))
        written = torch.where((tokens < size)[..., None], text, marks)
        return torch.where(is_speech[..., None], speech, written)

    def forward(
        self,
        tokens: Int[Tensor, "batch position"],
        codes: Int[Tensor, "batch position"],
        is_speech: Bool[Tensor, "batch position"],
        lengths: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch position dim"]:
        """Final hidden states (after the last norm) of whole sequences; apply `speech_logits` to those that need it.

        Pad on the right with anything: attention is causal, so padding never reaches a real position.
        ``codes`` matters only where ``is_speech`` is true and ``tokens`` only where it is false. With ``lengths``,
        nothing is computed for the padding, and the states there are zero.
        """
        packing = None if lengths is None else Packing.of(lengths, tokens.shape[1])
        if packing is not None:
            tokens, codes, is_speech = (packing.pack(each) for each in (tokens, codes, is_speech))
        x = self.embed(tokens, codes, is_speech)
        rope, mask = places(self.config.rope, self.config.head_dim, tokens.shape[1], x, packing)
        for layer in self.layers:
            x = layer(x, rope, mask)
        return self.norm(x) if packing is None else packing.spread(self.norm(x))

    def speech_logits(self, hidden: Float[Tensor, "*rest dim"]) -> Float[Tensor, "*rest rows"]:
        """Float32 logits of the code that follows: ``table_rows`` of them, the three that are no speech last."""
        return self.speech_head(hidden).float()
