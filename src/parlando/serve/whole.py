"""Answers in one piece: files whose sizes and lengths are true, for clients that do not want a stream."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from parlando.audio.containers import STREAM_FORMATS, encode_whole
from parlando.audio.formats import find_format
from parlando.result import Chunk
from parlando.serve.service import Making


def whole_file(format: str) -> Making:
    """For `Service.open`: all chunks as the bytes of one file, which comes when the last one is there.

    Raises:
        ConfigError: no such format.
    """
    find_format(format, STREAM_FORMATS)

    def made(chunks: Iterator[Chunk]) -> Iterator[bytes]:
        collected = list(chunks)
        samples = np.concatenate([chunk.samples for chunk in collected])
        yield encode_whole(samples, collected[0].sample_rate, format)

    return made
