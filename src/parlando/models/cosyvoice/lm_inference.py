"""The CosyVoice2 language model with a cache: prefill of one row, and one batched step over rows of any kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from parlando.core.errors import GenerationError, PromptTooLongError
from parlando.core.types import NOWHERE, Frame, Prefill, Prompt
from parlando.models.cosyvoice.config import DRAW_RULES, LMConfig
from parlando.models.cosyvoice.lm import CosyVoiceLM, DecoderLayer
from parlando.models.cosyvoice.parts.monotonic_attention import MonotonicAttention, MonotonicCache, attend_monotonic
from parlando.models.cosyvoice.prompt import SpeechPrompt
from parlando.nn.attention import attend_cached
from parlando.nn.kvcache import CachePlan, KVCache, StaticCache
from parlando.nn.norm import FastRMSNorm
from parlando.nn.packing import pack
from parlando.nn.prefilling import Prefilling
from parlando.nn.rope import RopeTable, rotate_
from parlando.nn.sampling import Ranking

NO_CODE = -1


@dataclass(frozen=True)
class Logits:
    """Those of one request: row ``row`` of ``ranking`` (float32, on the host, one codebook), which a step shares.

    ``place`` is the token of the sentence that is said next, where a head is led through the text.
    """

    ranking: Ranking
    row: int
    place: int = NOWHERE


class _Layer:
    """One packed layer; attention over whatever was seen before is the caller's."""

    def __init__(self, layer: DecoderLayer) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        inputs = (attention.q_proj, attention.k_proj, attention.v_proj)
        self._bias = torch.cat([projection.bias.detach() for projection in inputs])
        self._qkv, self._out = pack(inputs), pack((attention.o_proj,))
        self._gate_up, self._down = pack((mlp.gate_proj, mlp.up_proj)), pack((mlp.down_proj,))
        self._before, self._after = FastRMSNorm(layer.input_layernorm), FastRMSNorm(layer.post_attention_layernorm)

    @property
    def rows_apart(self) -> bool:
        """Whether a row's numbers are the same however many rows there are."""
        return all(product.rows_apart for product in (self._qkv, self._out, self._gate_up, self._down))

    def forward(self, x: Float[Tensor, "row dim"], attend: Callable[[Tensor], Tensor]) -> Float[Tensor, "row dim"]:
        """Advance the residual stream; ``attend`` maps packed q, k, v to mixed values."""
        x = self._out.addmm(x, attend(self._qkv.addmm(self._bias, self._before(x))))
        gate, up = self._gate_up.mm(self._after(x)).chunk(2, dim=-1)
        return self._down.addmm(x, functional.silu(gate).mul_(up))


class CosyVoiceTokenLM:
    """`core.stages.TokenLM` over the weights of a `CosyVoiceLM`, which it packs once and never changes.

    After this, the module's parameters are views of the packed weights; move or cast the module before, not after.
    A frame without codes is a position of text or a mark, one with a code a position of speech; rows of both kinds
    share a step. Every position is fed exactly once, and a step needs no mask beyond the cache's own (the published
    code passes one that newer libraries read as "see the first position only").
    ``static`` steps have shapes that recur, and so are one launch each on a CUDA device, unless a layer is guided.
    """

    def __init__(self, lm: CosyVoiceLM, static: bool = False) -> None:
        self.config: LMConfig = lm.config
        self.context_length = lm.config.context_length
        self._lm = lm
        self._layers = [_Layer(cast("DecoderLayer", layer)) for layer in lm.layers]
        self._head, self._head_bias = pack((lm.speech_head,)), lm.speech_head.bias.detach()
        self._norm = FastRMSNorm(lm.norm)
        self._like = lm.norm.weight.detach()
        self._static = static
        self._rope = RopeTable.build(lm.config.rope, lm.config.head_dim, self.context_length, self._like)

    def new_cache(self, rows: int, length: int) -> KVCache:
        """Allocate ``rows`` sequences of at most ``length`` positions, on the model's device and in its dtype."""
        config = self.config
        kind = StaticCache if self._static else KVCache
        if config.guided_layer is not None:
            kind = MonotonicCache
        return kind(config.attention, config.num_layers, rows, min(length, self.context_length), self._like)

    @property
    def joins_prompts(self) -> bool:
        """Whether prompts that are read together are read as alone: where products keep rows apart."""
        return self._head.rows_apart and all(layer.rows_apart for layer in self._layers)

    def prefill(self, prompt: Prompt, cache: KVCache, row: int, start: int = 0) -> Logits:
        """Replace what a row holds, but for the first ``start`` positions, by a prompt; returns its last logits.

        Raises:
            PromptTooLongError: the prompt is longer than the cache's rows.
        """
        return self.prefill_all([Prefill(prompt, row, start)], cache)[0]

    @torch.inference_mode()
    def prefill_all(self, prefills: Sequence[Prefill], cache: KVCache) -> list[Logits]:
        """`prefill` for each, in one pass.

        Raises:
            PromptTooLongError: a prompt is longer than the cache's rows.
        """
        longest = max(len(each.prompt) for each in prefills)
        if longest > cache.capacity:
            raise PromptTooLongError(
                f"the prompt has {longest} positions and the context {cache.capacity}; "
                "shorten the text or the reference"
            )
        filling = Prefilling(prefills, cache)
        tokens = torch.cat([torch.tensor(each.prompt.tokens[each.start :]) for each in prefills])
        codes = torch.cat([_codes_of(each.prompt)[each.start :] for each in prefills])
        rope = self._rope.at(filling.positions.to(self._like.device))

        def attend(layer: int, qkv: Tensor) -> Tensor:
            return filling.attend(layer, *self._split_heads(qkv, rope))

        hidden = self._run(tokens, codes.clamp(min=0), codes != NO_CODE, attend)
        filling.count()
        if isinstance(cache, MonotonicCache):
            for each in prefills:
                self._follow(each.prompt, each.row, cache.monotonic)
        logits = self._logits(hidden[filling.lasts])
        return [replace(each, place=_place(cache, to.row)) for each, to in zip(logits, prefills, strict=True)]

    def _follow(self, prompt: Prompt, row: int, monotonic: MonotonicAttention) -> None:
        """Begin to follow the text of a prompt."""
        text = [position for position, token in enumerate(prompt.tokens) if token < self.config.vocab_size]
        monotonic.begin(row, text, prompt.lead_tokens if isinstance(prompt, SpeechPrompt) else 0)

    @torch.inference_mode()
    def step(self, frames: Sequence[Frame | None], cache: KVCache) -> list[Logits | None]:
        """Advance rows ``0..len(frames)-1`` by one frame each; idle rows (None) get None.

        Raises:
            GenerationError: a row has no room for another position.
        """
        live = [frame is not None for frame in frames]
        full = [row for row, is_live in enumerate(live) if is_live and cache.length(row) >= cache.capacity]
        if full:
            raise GenerationError(f"row {full[0]} is full at {cache.capacity} positions; ask for less audio at once")
        if not any(live):
            return [None] * len(frames)
        if isinstance(cache, MonotonicCache):
            for row, frame in enumerate(frames):
                if frame and not frame.codes and frame.token < self.config.vocab_size:
                    cache.monotonic.hear(row, cache.length(row))
        logits = self._logits(self._run_step(frames, live, cache))
        for row, is_live in enumerate(live):
            cache.advance(row, int(is_live))
        return [replace(logits[row], place=_place(cache, row)) if live[row] else None for row in range(len(live))]

    def _run_step(self, frames: Sequence[Frame | None], live: list[bool], cache: KVCache) -> Tensor:
        # An idle row is computed along as any text.
        fed = [(frame.token, *(frame.codes[:1] or (NO_CODE,))) if frame else (0, NO_CODE) for frame in frames]
        inputs = torch.tensor(fed)
        if not isinstance(cache, StaticCache):
            return self._advance(inputs.to(self._like.device, non_blocking=True), cache.plan(live), cache, frames)
        extent = cache.extent(live)

        def work(described: Tensor) -> Tensor:
            """Nothing in it depends on what is not in ``described``."""
            return self._advance(described[:, 1:], cache.plan_at(described[:, 0], extent), cache)

        return cache.step(extent, work, cache.padded(inputs))[: len(frames)]

    def _advance(
        self,
        inputs: Int[Tensor, "row 2"],
        plan: CachePlan,
        cache: KVCache,
        frames: Sequence[Frame | None] = (),
    ) -> Float[Tensor, "row dim"]:
        """One new position for each row of a plan: a token, and a code where it is one of speech."""
        rope = self._rope.at(plan.positions)

        def attend(layer: int, qkv: Tensor) -> Tensor:
            q, pairs = self._split_heads(qkv, rope)
            keys, values = cache.append(layer, plan, pairs)
            if layer == self.config.guided_layer and isinstance(cache, MonotonicCache):
                return self._attend_monotonic(q, keys, values, plan.mask, cache.monotonic, frames)
            return attend_cached(q, keys, values, plan.mask)

        tokens, codes = inputs.unbind(1)
        return self._run(tokens, codes.clamp(min=0), codes != NO_CODE, attend)

    def _attend_monotonic(
        self,
        q: Float[Tensor, "row head dim"],
        keys: Float[Tensor, "row kv_head position dim"],
        values: Float[Tensor, "row kv_head position dim"],
        mask: Float[Tensor, "row 1 1 position"] | None,
        monotonic: MonotonicAttention,
        frames: Sequence[Frame | None],
    ) -> Float[Tensor, "row mixed"]:
        """The guided layer's: rows that speak go on through their text."""
        whole, looks = attend_monotonic(q, keys, mask, monotonic.mask(len(frames), keys.shape[2]))
        looked_at = looks.float().cpu().numpy()
        for row, frame in enumerate(frames):
            if frame and (frame.codes or frame.token == self.config.task_id):
                monotonic.follow(row, looked_at[row])
        return attend_cached(q, keys, values, whole)

    def _run(
        self, tokens: Tensor, codes: Tensor, is_speech: Tensor, attend: Callable[[int, Tensor], Tensor]
    ) -> Float[Tensor, "row dim"]:
        """Hidden states after the last norm of positions that are described on the host."""
        x = self._lm.embed(*(part.to(self._like.device, non_blocking=True) for part in (tokens, codes, is_speech)))
        for index, layer in enumerate(self._layers):
            x = layer.forward(x, partial(attend, index))
        return self._norm(x)

    def _split_heads(self, qkv: Float[Tensor, "row packed"], rope: RopeTable) -> tuple[Tensor, Tensor]:
        """Queries [row, head, dim], and keys before values [row, 2, kv_head, dim]; turns those in ``qkv`` in place."""
        config = self.config
        parts = qkv.unflatten(1, (-1, config.head_dim))
        rotate_(parts[:, : config.num_heads + config.num_kv_heads], rope)
        queries, pairs = parts.tensor_split([config.num_heads], dim=1)
        return queries, pairs.unflatten(1, (2, config.num_kv_heads))

    def _logits(self, hidden: Float[Tensor, "row dim"]) -> list[Logits]:
        logits = self._head.addmm(self._head_bias, hidden).float().cpu()
        ranking = Ranking(logits[:, None], DRAW_RULES)
        return [Logits(ranking, row) for row in range(len(hidden))]


def _codes_of(prompt: Prompt) -> Int[Tensor, " position"]:
    """The code of each position of speech, `NO_CODE` elsewhere."""
    codes = torch.full((len(prompt),), NO_CODE)
    codes[torch.from_numpy(prompt.audio_mask)] = torch.from_numpy(prompt.codes).flatten()
    return codes


def _place(cache: KVCache, row: int) -> int:
    return cache.follower.said(row) if isinstance(cache, MonotonicCache) else NOWHERE
