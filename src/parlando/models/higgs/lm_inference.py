"""The Higgs language model with a cache: prefill of one row, and one batched step over rows of different lengths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from parlando.core.errors import GenerationError, PromptTooLongError
from parlando.core.types import NOWHERE, Frame, Prefill, Prompt
from parlando.models.higgs.config import LMConfig
from parlando.models.higgs.lm import DualFFNLayer, HiggsLM
from parlando.nn.attention import attend_cached
from parlando.nn.following import FollowingCache, looks_of
from parlando.nn.kvcache import CachePlan, KVCache, StaticCache
from parlando.nn.lora import adapted_layers
from parlando.nn.mlp import GatedMLP
from parlando.nn.native.kernel import BranchWeights, Kernel, LayerWeights, Panels
from parlando.nn.norm import FastRMSNorm, RMSNorm
from parlando.nn.packing import Packed, pack
from parlando.nn.prefilling import Prefilling
from parlando.nn.quantized import is_quantized
from parlando.nn.rope import RopeTable, rotate_
from parlando.nn.sampling import Ranking

Block = Callable[[Tensor], Tensor]

# Beyond this, attention to all that went before outweighs the products, and is better shared out over all cores.
LONGEST_COMPILED_PROMPT = 256


@dataclass(frozen=True)
class Logits:
    """Float32, on the host: of the next frame, and of the next text token where the last position was text.

    The frame's are those of row ``row`` of ``ranking``, which all rows of a step share. ``place`` is the token of the
    sentence that it says, where a head reads along.
    """

    ranking: Ranking
    row: int
    text: Float[Tensor, " vocab"] | None
    place: int = NOWHERE

    @property
    def audio(self) -> Float[Tensor, "codebook rows"]:
        """Logits of the next frame."""
        return self.ranking.logits[self.row]


class LastLogits:
    """Those of a prompt's last position, found when somebody asks: a clip's first frame is given and not drawn."""

    row, place = 0, NOWHERE

    def __init__(self, find: Callable[[], Logits]) -> None:
        self._find = find

    @cached_property
    def _found(self) -> Logits:
        return self._find()

    @property
    def ranking(self) -> Ranking:
        """Logits of the next frame."""
        return self._found.ranking

    @property
    def text(self) -> Float[Tensor, " vocab"] | None:
        """Logits of the next text token, where the last position was text."""
        return self._found.text

    @property
    def audio(self) -> Float[Tensor, "codebook rows"]:
        """Logits of the next frame."""
        return self._found.audio


@dataclass(frozen=True)
class OneKind:
    """Every position is of one kind: one block does all."""

    audio: bool

    def apply(self, x: Tensor, text: Block, audio: Block) -> Tensor:
        """The rows of ``x`` [row, dim], each through the block of its kind."""
        return audio(x) if self.audio else text(x)


@dataclass(frozen=True)
class ByMask:
    """Few positions of both kinds: compute both and select, so that no shape depends on the data."""

    audio_mask: Bool[Tensor, "row 1"]

    def apply(self, x: Tensor, text: Block, audio: Block) -> Tensor:
        """The rows of ``x`` [row, dim], each through the block of its kind."""
        return torch.where(self.audio_mask, audio(x), text(x))


@dataclass(frozen=True)
class ByIndex:
    """Many positions of both kinds, known on the host: each block computes only its own."""

    text_rows: Int[Tensor, " text"]
    audio_rows: Int[Tensor, " audio"]

    def apply(self, x: Tensor, text: Block, audio: Block) -> Tensor:
        """The rows of ``x`` [row, dim], each through the block of its kind."""
        text_result, audio_result = text(x[self.text_rows]), audio(x[self.audio_rows])
        result = text_result.new_empty(len(x), text_result.shape[-1])
        result[self.text_rows], result[self.audio_rows] = text_result, audio_result
        return result


Route = OneKind | ByMask | ByIndex


class _Branch:
    """The packed norms and MLP of one kind of position."""

    def __init__(self, before: RMSNorm, after: RMSNorm, mlp: GatedMLP) -> None:
        self.norm, self._after = FastRMSNorm(before), FastRMSNorm(after)
        self._gate_up = pack((mlp.gate_proj, mlp.up_proj))
        self._down = pack((mlp.down_proj,))
        self._weights = before.weight, after.weight

    @property
    def weights(self) -> BranchWeights:
        """As the compiled kernel wants them; only where nothing is quantised."""
        return BranchWeights(*self._weights, *(cast("Packed", each).weight for each in (self._gate_up, self._down)))

    @property
    def rows_apart(self) -> bool:
        """Whether a row's numbers are the same however many rows there are."""
        return self._gate_up.rows_apart and self._down.rows_apart

    def feed_forward(self, x: Tensor) -> Tensor:
        gate, up = self._gate_up.mm(self._after(x)).chunk(2, dim=-1)
        return self._down.addmm(x, functional.silu(gate).mul_(up))


class _Layer:
    """One packed layer; attention over whatever was seen before is the caller's."""

    def __init__(self, layer: DualFFNLayer) -> None:
        attention = layer.self_attn
        self._qkv = pack((attention.q_proj, attention.k_proj, attention.v_proj))
        self._out = pack((attention.o_proj,))
        self._text = _Branch(layer.input_layernorm, layer.post_attention_layernorm, layer.mlp)
        self._audio = _Branch(layer.audio_input_layernorm, layer.audio_post_attention_layernorm, layer.audio_mlp)

    @property
    def weights(self) -> LayerWeights:
        """As the compiled kernel wants them; only where nothing is quantised."""
        qkv, out = (cast("Packed", each).weight for each in (self._qkv, self._out))
        return LayerWeights(qkv, out, self._text.weights, self._audio.weights)

    @property
    def rows_apart(self) -> bool:
        """Whether a row's numbers are the same however many rows there are."""
        return all(part.rows_apart for part in (self._qkv, self._out, self._text, self._audio))

    def forward(self, x: Tensor, route: Route, attend: Block) -> Tensor:
        """Advance the residual stream ``x`` [row, dim]; ``attend`` maps packed q, k, v to mixed values."""
        qkv = self._qkv.mm(route.apply(x, self._text.norm, self._audio.norm))
        x = self._out.addmm(x, attend(qkv))
        return route.apply(x, self._text.feed_forward, self._audio.feed_forward)


class HiggsTokenLM:
    """`core.stages.TokenLM` over the weights of a `HiggsLM`, which it packs once and never changes.

    After this, the module's parameters are views of the packed weights; move or cast the module before, not after.
    A small model takes its steps in the compiled kernel, where there is one and unless ``compiled`` is false, or the
    model is quantised or has an adapter that is not merged.
    ``static`` steps have shapes that recur, and so are one launch each on a CUDA device, unless a head reads along.
    """

    def __init__(self, lm: HiggsLM, compiled: bool = True, static: bool = False) -> None:
        self.config: LMConfig = lm.config
        self.context_length = lm.config.context_length
        self._lm = lm
        self._layers = [_Layer(cast("DualFFNLayer", layer)) for layer in lm.layers]
        self._audio_head = pack((lm.audio_lm_head,))
        self._text_head = None if lm.text_lm_head is None else pack((lm.text_lm_head,))
        self._norm = FastRMSNorm(lm.norm)
        self._like = lm.norm.weight.detach()
        self._rope = RopeTable.build(lm.config.rope, lm.config.head_dim, self.context_length, self._like)
        self._static = static
        self._kernel = self._compiled() if compiled and not adapted_layers(lm) and not is_quantized(lm) else None

    def _compiled(self) -> Kernel | None:
        config = self.config
        num_weights = sum(weight.numel() for weight in self._lm.layers.parameters())
        if not Kernel.fits(config.attention, config.intermediate_size, self._like, num_weights):
            return None
        self._head_panels = Panels(cast("Packed", self._audio_head).weight)
        layers = [layer.weights for layer in self._layers]
        watched = None if config.reading_head is None else (config.reading_head.layer, config.reading_head.head)
        return Kernel(config.attention, layers, config.rms_norm_eps, self._rope, watched)

    @property
    def is_compiled(self) -> bool:
        """Whether steps run in the compiled kernel."""
        return self._kernel is not None

    def new_cache(self, rows: int, length: int) -> KVCache:
        """Allocate ``rows`` sequences of at most ``length`` positions, on the model's device and in its dtype."""
        length = min(length, self.context_length)
        kind = StaticCache if self._static else KVCache
        if self.config.reading_head is not None:
            kind = FollowingCache
        return kind(self.config.attention, self.config.num_layers, rows, length, self._like)

    @property
    def joins_prompts(self) -> bool:
        """Whether prompts that are read together are read as alone: where products keep rows apart."""
        heads = [head for head in (self._audio_head, self._text_head) if head is not None]
        return (
            self._kernel is None
            and all(head.rows_apart for head in heads)
            and all(layer.rows_apart for layer in self._layers)
        )

    def prefill(self, prompt: Prompt, cache: KVCache, row: int, start: int = 0) -> LastLogits:
        """Replace what a row holds, but for the first ``start`` positions, by a prompt; returns its last logits.

        Raises:
            PromptTooLongError: the prompt is longer than the cache's rows.
        """
        return self.prefill_all([Prefill(prompt, row, start)], cache)[0]

    @torch.inference_mode()
    def prefill_all(self, prefills: Sequence[Prefill], cache: KVCache) -> list[LastLogits]:
        """`prefill` for each, in one pass where the steps are not compiled.

        Raises:
            PromptTooLongError: a prompt is longer than the cache's rows.
        """
        longest = max(len(each.prompt) for each in prefills)
        if longest > cache.capacity:
            raise PromptTooLongError(
                f"the prompt has {longest} positions and the context {cache.capacity}; "
                "shorten the text or use fewer or shorter reference clips"
            )
        filling = Prefilling(prefills, cache)
        new = max(len(each.prompt) - each.start for each in prefills)
        if self._kernel is not None and new <= LONGEST_COMPILED_PROMPT:
            hidden = torch.cat([self._compiled_prompt(self._kernel, each, cache) for each in prefills])
        else:
            hidden = self._run_prompts(prefills, filling)
        filling.count()
        if isinstance(cache, FollowingCache):
            for each in prefills:
                cache.follower.begin(each.row, range(*each.prompt.sentence_positions), 0)
        return [
            LastLogits(partial(self._last_logits, hidden[last : last + 1], not each.prompt.audio_mask[-1]))
            for last, each in zip(filling.lasts, prefills, strict=True)
        ]

    @torch.inference_mode()
    def step(self, frames: Sequence[Frame | None], cache: KVCache) -> list[Logits | None]:
        """Advance rows ``0..len(frames)-1`` by one frame each; idle rows (None) get None.

        Raises:
            GenerationError: a row has no room for another position.
        """
        live = [frame is not None for frame in frames]
        if not any(live):
            return [None] * len(frames)
        for row, is_live in enumerate(live):
            if is_live and cache.length(row) >= cache.capacity:
                raise GenerationError(f"row {row} is full at {cache.capacity} positions; ask for less audio at once")
        if self._kernel is not None:
            return self._compiled_step(self._kernel, frames, cache)
        hidden = self._run_step(frames, live, cache)
        for row, is_live in enumerate(live):
            cache.advance(row, int(is_live))
        wants_text = [frame is not None and not frame.codes for frame in frames]
        results = self._logits(self._norm(hidden), wants_text)
        return [_placed(results[row], cache, row) if live[row] else None for row in range(len(live))]

    def _run_prompts(self, prefills: Sequence[Prefill], filling: Prefilling) -> Tensor:
        inputs = torch.cat([self._inputs_of(each.prompt)[each.start :] for each in prefills])
        audio_mask = np.concatenate([each.prompt.audio_mask[each.start :] for each in prefills])
        device = self._like.device
        route = _route_of(audio_mask.tolist(), device, few=False)
        rope = self._rope.at(filling.positions.to(device))

        def attend(layer: int, qkv: Tensor) -> Tensor:
            return filling.attend(layer, *self._split_heads(qkv, rope))

        return self._run(inputs.to(device), route, attend)

    def _inputs_of(self, prompt: Prompt) -> Int[Tensor, "position column"]:
        """The token and the codes of each position."""
        inputs = torch.zeros(len(prompt), 1 + self.config.num_codebooks, dtype=torch.int64)
        inputs[:, 0] = torch.tensor(prompt.tokens)
        inputs[torch.from_numpy(prompt.audio_mask), 1:] = torch.from_numpy(prompt.codes).reshape(
            -1, self.config.num_codebooks
        )
        return inputs

    def _compiled_prompt(self, kernel: Kernel, prefill: Prefill, cache: KVCache) -> Tensor:
        """Before the last norm. Positions are rows of one sequence, each after those before it."""
        prompt = prefill.prompt
        hidden = self._lm.embed_tokens(torch.tensor(prompt.tokens[prefill.start :]))
        audio_mask = prompt.audio_mask[prefill.start :]
        if audio_mask.any():
            codes = torch.from_numpy(prompt.codes[len(prompt.codes) - audio_mask.sum() :])
            hidden[torch.from_numpy(audio_mask)] = self._lm.embed_frames(codes)
        kernel.prefill(hidden, audio_mask.tolist(), prefill.row, cache)
        return hidden

    def _run_step(self, frames: Sequence[Frame | None], live: list[bool], cache: KVCache) -> Tensor:
        # An idle row borrows a live row's frame, so that it never makes a step of one kind a mixed one.
        stand_in = next(frame for frame in frames if frame is not None)
        filled = [stand_in if frame is None else frame for frame in frames]
        no_codes = (0,) * self.config.num_codebooks
        inputs = torch.tensor([(frame.token, *(frame.codes or no_codes)) for frame in filled])
        is_audio = [bool(frame.codes) for frame in filled]
        if isinstance(cache, StaticCache):
            return self._static_step(inputs, is_audio, live, cache)
        route = _route_of(is_audio, self._like.device, few=True)
        return self._advance(inputs.to(self._like.device, non_blocking=True), route, cache.plan(live), cache)

    def _static_step(self, inputs: Tensor, is_audio: list[bool], live: list[bool], cache: StaticCache) -> Tensor:
        """The same in shapes that recur: nothing in ``work`` depends on what is not in ``described``."""
        extent, mixed = cache.extent(live), not all(is_audio)

        def work(described: Tensor) -> Tensor:
            positions, kinds, frames = described.tensor_split([1, 2], dim=1)
            route = ByMask(kinds.bool()) if mixed else OneKind(True)
            return self._advance(frames, route, cache.plan_at(positions[:, 0], extent), cache)

        described = cache.padded(torch.cat([torch.tensor(is_audio)[:, None], inputs], dim=1))
        return cache.step((extent, mixed), work, described)[: len(inputs)]

    def _advance(self, inputs: Int[Tensor, "row column"], route: Route, plan: CachePlan, cache: KVCache) -> Tensor:
        """One new position for each row of a plan."""
        rope = self._rope.at(plan.positions)

        def attend(layer: int, qkv: Tensor) -> Tensor:
            q, pairs = self._split_heads(qkv, rope)
            keys, values = cache.append(layer, plan, pairs)
            self._watch(layer, q, keys, plan.mask, cache)
            return attend_cached(q, keys, values, plan.mask)

        return self._run(inputs, route, attend)

    def _compiled_step(self, kernel: Kernel, frames: Sequence[Frame | None], cache: KVCache) -> list[Logits | None]:
        # Text rows first; idle rows take no part.
        live = [(bool(frame.codes), row, frame) for row, frame in enumerate(frames) if frame is not None]
        live.sort(key=lambda entry: entry[:2])
        cache_rows = [row for _, row, _ in live]
        num_text = sum(not is_audio for is_audio, _, _ in live)
        tokens = [frame.token for _, _, frame in live[:num_text]]
        codes = [frame.codes for _, _, frame in live[num_text:]]
        parts = [self._lm.embed_tokens(torch.tensor(tokens))] if tokens else []
        parts += [self._lm.embed_frames(torch.tensor(codes))] if codes else []
        hidden = torch.cat(parts)
        kernel.step(hidden, num_text, cache_rows, [cache.length(cache_row) for cache_row in cache_rows], cache)
        for cache_row in cache_rows:
            cache.advance(cache_row)
        audio = kernel.head(hidden, self._norm.weight, self._head_panels)
        ranking = Ranking(audio.view(len(hidden), self.config.num_codebooks, -1))
        results: list[Logits | None] = [None] * len(frames)
        for index, cache_row in enumerate(cache_rows):
            text = self._text_logits(self._norm(hidden[index : index + 1])) if index < num_text else None
            results[cache_row] = _placed(Logits(ranking, index, text), cache, cache_row)
        return results

    def _watch(
        self,
        layer: int,
        q: Float[Tensor, "row head dim"],
        keys: Float[Tensor, "row kv_head position dim"],
        mask: Float[Tensor, "row 1 1 position"] | None,
        cache: KVCache,
    ) -> None:
        """Note what each row looks at, if the head that reads along is in this layer."""
        reading = self.config.reading_head
        if reading is None or layer != reading.layer or not isinstance(cache, FollowingCache):
            return
        kv_head = reading.head * self.config.num_kv_heads // self.config.num_heads
        seen = None if mask is None else mask[:, 0, 0]
        looks = looks_of(q[:, reading.head], keys[:, kv_head], seen)
        cache.looks[: len(q), : keys.shape[2]] = looks.float().cpu()

    def _text_logits(self, hidden: Float[Tensor, "1 dim"]) -> Float[Tensor, " vocab"] | None:
        return None if self._text_head is None else self._text_head.mm(hidden).float()[0]

    def _run(self, inputs: Int[Tensor, "row column"], route: Route, attend: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Hidden states before the last norm; column 0 of ``inputs`` is the token, the others are the frame's codes."""
        x = route.apply(
            inputs, lambda rows: self._lm.embed_tokens(rows[:, 0]), lambda rows: self._lm.embed_frames(rows[:, 1:])
        )
        for index, layer in enumerate(self._layers):
            x = layer.forward(x, route, partial(attend, index))
        return x

    def _split_heads(self, qkv: Tensor, rope: RopeTable) -> tuple[Tensor, Tensor]:
        """Queries [row, head, dim], and keys before values [row, 2, kv_head, dim]; turns those in ``qkv`` in place."""
        heads, kv_heads, dim = self.config.num_heads, self.config.num_kv_heads, self.config.head_dim
        parts = qkv.view(qkv.shape[0], -1, dim)
        rotate_(parts[:, : heads + kv_heads], rope)
        return parts[:, :heads], parts[:, heads:].view(-1, 2, kv_heads, dim)

    @torch.inference_mode()
    def _last_logits(self, hidden: Float[Tensor, "1 dim"], wants_text: bool) -> Logits:
        return self._logits(self._norm(hidden), [wants_text])[0]

    def _logits(self, hidden: Float[Tensor, "row dim"], wants_text: list[bool]) -> list[Logits]:
        audio = self._audio_head.mm(hidden).float().cpu().view(len(hidden), self.config.num_codebooks, -1)
        text: list[Tensor | None] = [None] * len(hidden)
        text_rows = [row for row, wanted in enumerate(wants_text) if wanted]
        if text_rows and self._text_head is not None:
            computed = self._text_head.mm(hidden[text_rows]).float().cpu()
            for row, logits in zip(text_rows, computed, strict=True):
                text[row] = logits
        ranking = Ranking(audio)
        return [Logits(ranking, row, found) for row, found in enumerate(text)]


def _placed(logits: Logits, cache: KVCache, row: int) -> Logits:
    return replace(logits, place=cache.follow(row)) if isinstance(cache, FollowingCache) else logits


def _route_of(is_audio: list[bool], device: torch.device, few: bool) -> Route:
    """The cheapest route for kinds known on the host; ``few`` prefers fixed shapes over skipped work."""
    if all(is_audio) or not any(is_audio):
        return OneKind(is_audio[0])
    mask = torch.tensor(is_audio)
    if few:
        return ByMask(mask[:, None].to(device, non_blocking=True))
    return ByIndex((~mask).nonzero()[:, 0].to(device), mask.nonzero()[:, 0].to(device))
