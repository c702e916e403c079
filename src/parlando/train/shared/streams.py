"""Examples from a corpus in shards: each batch from its own shard, by the sampler that whole corpora have."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

from parlando.data.streams import StreamedCorpus, is_streamed
from parlando.data.tokens import TokenCorpus
from parlando.train.shared.sentences import SentenceSampler

Sampler = TypeVar("Sampler", bound=SentenceSampler[Any])


def open_examples(folder: Path, make: Callable[[TokenCorpus], Sampler]) -> Sampler:
    """What ``make`` makes of an encoded corpus; of one in shards, something that stands for it.

    Raises:
        FileMissingError, ConfigError: there is no such corpus, or nothing in it to train on.
        CheckpointError: a shard is damaged.
    """
    return (
        cast("Sampler", StreamedExamples(StreamedCorpus(folder), make))
        if is_streamed(folder)
        else make(TokenCorpus(folder))
    )


class StreamedExamples:
    """Stands for the sampler of a whole corpus: batches come from one window after another, all else from the first."""

    def __init__(self, corpus: StreamedCorpus, make: Callable[[TokenCorpus], SentenceSampler[Any]]) -> None:
        self._corpus = corpus
        # A sampler reads its window through once; as many are kept as windows.
        self._sampler = lru_cache(maxsize=4)(lambda shard: make(corpus.window(shard)))
        self._first = self._sampler(0)
        frames = sum(shard.frames for shard in corpus.described.train) // len(corpus.described.train)
        self._batches_per_shard = max(1, frames // self._first.mix.tokens_per_batch)

    def batch(self, number: int) -> list[Any]:
        """Examples of similar length from the shard of a number."""
        return self._sampler(self._corpus.shard_of(number, self._batches_per_shard)).batch(number)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._first, name)
