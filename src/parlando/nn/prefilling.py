"""Prompts of several rows in one pass: where each lies among the positions, and attention within each alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from parlando.core.types import Prefill
from parlando.nn.attention import attend_causal
from parlando.nn.kvcache import KVCache


class Prefilling:
    """The positions that are new of each prompt, one prompt after the other, and the rows of a cache they go to."""

    def __init__(self, prefills: Sequence[Prefill], cache: KVCache) -> None:
        """Clear the rows of prompts that begin anew."""
        for each in prefills:
            if each.start == 0:
                cache.free(each.row)
            assert cache.length(each.row) == each.start, "the row holds something else"
        self._prefills, self._cache = prefills, cache
        bounds = accumulate((len(each.prompt) - each.start for each in prefills), initial=0)
        self._parts = [slice(first, stop) for first, stop in pairwise(bounds)]

    @property
    def positions(self) -> Tensor:
        """Where each position stands in its own prompt."""
        return torch.cat([torch.arange(each.start, len(each.prompt), device="cpu") for each in self._prefills])

    @property
    def lasts(self) -> list[int]:
        """Which positions are the last of their prompts."""
        return [part.stop - 1 for part in self._parts]

    def attend(
        self, layer: int, q: Float[Tensor, "position head dim"], pairs: Float[Tensor, "position 2 kv_head dim"]
    ) -> Float[Tensor, "position mixed"]:
        """Put keys and values into the cache, and attend: as alone, since nothing is padded."""
        mixed = [
            attend_causal(q[part], *self._cache.fill(layer, each.row, *pairs[part].unbind(1)))
            for each, part in zip(self._prefills, self._parts, strict=True)
        ]
        return torch.cat(mixed)

    def count(self) -> None:
        """Once all layers have them, the rows hold these positions."""
        for each, part in zip(self._prefills, self._parts, strict=True):
            self._cache.advance(each.row, part.stop - part.start)
