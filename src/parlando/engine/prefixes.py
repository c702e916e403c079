"""What a cache held after the beginnings of prompts, so that a voice is read once and not for every sentence."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from parlando.core.types import Prompt

Key = tuple[tuple[int, ...], bytes, bytes]


@dataclass(frozen=True)
class PrefixCounts:
    """How often what was asked for was there, how often not, and how much memory (bytes) is taken now."""

    hits: int = 0
    misses: int = 0
    held_bytes: int = 0


class Prefixes:
    """Beginnings of prompts by what they are, whatever the voice is called, up to ``most_bytes`` of them.

    One engine's own: its language model alone has filled them. Who was not asked for the longest goes first.
    """

    def __init__(self, most_bytes: int, position_bytes: int) -> None:
        self._most_bytes, self._position_bytes = most_bytes, position_bytes
        self._held: OrderedDict[Key, Any] = OrderedDict()
        self._positions = 0
        self._hits = self._misses = 0

    @property
    def counts(self) -> PrefixCounts:
        """What was counted so far."""
        return PrefixCounts(self._hits, self._misses, self._positions * self._position_bytes)

    def find(self, beginning: Prompt) -> Any | None:
        """What `keep` was given for this beginning."""
        key = _key(beginning)
        if key not in self._held:
            self._misses += 1
            return None
        self._hits += 1
        self._held.move_to_end(key)
        return self._held[key]

    def keep(self, beginning: Prompt, held: Any) -> None:
        """Remember what a row held after this beginning, if it is not too much."""
        if len(beginning) * self._position_bytes > self._most_bytes:
            return
        self._held[_key(beginning)] = held
        self._positions += len(beginning)
        while self._positions * self._position_bytes > self._most_bytes:
            (tokens, _, _), _ = self._held.popitem(last=False)
            self._positions -= len(tokens)


def _key(beginning: Prompt) -> Key:
    return beginning.tokens, beginning.audio_mask.tobytes(), beginning.codes.tobytes()
